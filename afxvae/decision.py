"""From analysed clips to one treatment: propose, weigh, choose."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from .candidates import Candidate, choose, propose, weigh
from .dsp.features import ANALYSIS_LUFS, CLIP_SAMPLES, RUN_IN, SAMPLE_RATE
from .loudness import normalize_loudness
from .measure import peel

if TYPE_CHECKING:
    from torch import Tensor

    from .measure import Measured
    from .models.style_vae import AFXStyleVAE
    from .models.vae import Posterior

__all__ = ["Decision", "decide", "infer"]

_CRITIC_CLIPS = {"fast": 1, "normal": 2}


@dataclass(frozen=True)
class Decision:
    """The critic's choice.

    Attributes:
        candidates: All that were weighed, "nothing" first.
        index: Of the chosen one.
        posterior: Over the latent.
    """

    candidates: list[Candidate]
    index: int
    posterior: Posterior

    @property
    def best(self) -> Candidate:
        """The chosen candidate."""
        return self.candidates[self.index]


@torch.no_grad()
def decide(
    model: AFXStyleVAE,
    clips: Tensor,
    wanted: Tensor,
    measured: dict[str, Measured],
    effort: str = "normal",
    seed: int = 0,
) -> Decision:
    """Propose treatments and let the critic choose.

    Args:
        model: Estimates and chooses.
        clips: Of the input ``(clip, 1, run-in + 131072)`` at 24 kHz.
        wanted: Of the reference ``(clip, 131072)``.
        measured: What `measure_settings` found; empty to leave everything to the model's estimate.
        effort: See `match`.
        seed: Of the posterior's samples.
    """
    clips = _levelled(clips)
    wanted = _levelled(wanted.unsqueeze(1)).squeeze(1)
    plain = clips[:, 0, RUN_IN:]
    embedded = model.embed_clips(plain).mean(0, keepdim=True)
    target = model.embed_clips(wanted).mean(0, keepdim=True)
    bare, posterior = infer(model, embedded, wanted, measured)
    generator = torch.Generator().manual_seed(seed)
    found = propose(model, posterior, embedded, (plain, bare), measured, generator, effort)
    found = _weigh_on_clips(model, clips[: _CRITIC_CLIPS[effort]], (embedded, target), found)
    return Decision(found, choose(found, float(model.critic.margin)), posterior)


def infer(
    model: AFXStyleVAE, embedded: Tensor, wanted: Tensor, measured: dict[str, Measured]
) -> tuple[Tensor, Posterior]:
    """The posterior of what was not measured: of a reference without its measured effects.

    Args:
        model: Has the encoder.
        embedded: Style embedding of the input ``(1, embedding)``.
        wanted: Of the reference ``(clip, 131072)``.
        measured: See `decide`.

    Returns:
        The clips of the reference without what was measured and can be undone, and the posterior.
    """
    bare = _levelled(peel(model.chain, wanted, measured).unsqueeze(1)).squeeze(1)
    return bare, model.encode(embedded, model.embed_clips(bare).mean(0, keepdim=True))


def _levelled(clips: Tensor) -> Tensor:
    """Bring each clip ``(clip, 1, [run-in +] 131072)`` to the analysis loudness."""
    _, gain_db = normalize_loudness(clips[..., -CLIP_SAMPLES:], SAMPLE_RATE, ANALYSIS_LUFS)
    return clips * (10.0 ** (gain_db.clamp_max(60.0) / 20.0)).view(-1, 1, 1)


def _weigh_on_clips(
    model: AFXStyleVAE,
    clips: Tensor,
    embeddings: tuple[Tensor, Tensor],
    candidates: list[Candidate],
) -> list[Candidate]:
    """The critic's mean opinion over some clips of the input."""
    rounds = []
    for clip in clips:
        own = model.embed_clips(clip[:, RUN_IN:])
        rounds.append(weigh(model, clip.unsqueeze(0), (own, embeddings[1]), candidates))
    merged = []
    for versions in zip(*rounds, strict=True):
        advantage = sum(v.advantage for v in versions) / len(versions)
        spread = sum(v.spread for v in versions) / len(versions)
        merged.append(replace(versions[0], advantage=advantage, spread=spread))
    return merged
