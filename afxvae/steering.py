"""Moving a treatment along named axes of the latent: brighter, rougher, with a longer decay.

What a candidate does to the input is encoded, as the difference of the input's style and that of
the candidate's rendering. The code is moved and decoded, and so is the code as it was; the
*difference* of both is added to the candidate's knobs. So what was measured of a reference (echo,
room, equaliser) stays where it is wanted, and a wish about "nothing" is granted too.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from .decision import levelled
from .dsp.features import CLIP_SAMPLES, RUN_IN
from .models.axes import step_of
from .models.estimate import expected_controls

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from .candidates import Candidate
    from .effects import Chain
    from .models.style_vae import AFXStyleVAE

__all__ = ["add_difference", "steer"]

_CLIPS = 2  # of the input, on which the candidate is encoded
_LEAST = 0.02  # control; an effect whose amounts stay nearer to nothing is not switched on
_KEPT = ("time_ms",)
"""Knobs that stay where they are while their effect is on: another echo is another rhythm."""


@torch.no_grad()
def steer(
    model: AFXStyleVAE,
    candidate: Candidate,
    clips: Tensor,
    move: Mapping[str, float],
    allowed: Tensor | None = None,
) -> Candidate:
    """A candidate that is moved along named axes.

    Args:
        model: Has the axes.
        candidate: What is to be moved.
        clips: Of the input ``(clip, 1, run-in + 131072)`` at 24 kHz.
        move: By name of an axis, how far, in standard deviations of what random treatments do to
            that attribute.
        allowed: Effects that may be switched on, ``(effect,)`` boolean; all if omitted.

    Raises:
        UsageError: The model has no such axis.
    """
    step = step_of(model.axes, move).to(clips)
    clips = levelled(clips[:_CLIPS])
    embedded = model.embed_clips(clips[:, 0, RUN_IN:])
    controls, switches = (
        part.to(clips.device).expand(len(clips), -1)
        for part in (candidate.controls, candidate.switches)
    )
    rendered = model.render(clips, controls, switches)[:, 0, -CLIP_SAMPLES:]
    latent = model.encode(embedded, model.embed_clips(rendered)).mean
    before, after = (
        expected_controls(model.decode(z, embedded).estimate, model.chain).mean(0).cpu()
        for z in (latent, latent + step)
    )
    moved, on = add_difference(
        model.chain, (candidate.controls, candidate.switches), before, after, allowed
    )
    return replace(candidate, controls=moved, switches=on)


def add_difference(
    chain: Chain,
    treatment: tuple[Tensor, Tensor],
    before: Tensor,
    after: Tensor,
    allowed: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """A treatment, moved as far as another was.

    Knobs of effects that are off begin at nothing, and where `before` has them if they are no
    amounts. An effect is switched on when its amounts are worth it, and none is switched off: at
    nothing it does nothing.

    Args:
        chain: Whose knobs they are.
        treatment: Controls ``(control,)`` and switches ``(effect,)``.
        before: Controls ``(control,)``, amounts counting as far as effects are on.
        after: The same after the move.
        allowed: Effects that may be switched on, ``(effect,)`` boolean.
    """
    controls, switches = treatment
    owner = torch.tensor([chain.names.index(effect) for effect, _ in chain.knobs])
    amounts = torch.tensor([param.amount for param in chain.params])
    kept = torch.tensor([param.name in _KEPT for param in chain.params])
    defaults, on = chain.default_controls(), switches[owner]
    start = torch.where(on, controls, torch.where(amounts, defaults, before))
    moved = (start + after - before).clamp(0.0, 1.0)
    moved = torch.where(kept & on, controls, moved)
    audible = amounts & ((moved - defaults).abs() > _LEAST)
    wanted = torch.zeros_like(switches).index_put((owner[audible],), torch.tensor(True))
    new = wanted & ~switches & (torch.ones_like(switches) if allowed is None else allowed)
    unchanged = ~(switches | new)[owner]
    return torch.where(unchanged, controls, moved), switches | new
