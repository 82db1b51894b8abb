"""The second hearing: what was chosen is rendered, and compared with the reference once more.

Where two recordings have moments that sound alike, an equaliser between them can be measured, but a
drive or a compressor between them is in its way. A rendered choice has those too. What then still
lies between it and the reference is an equaliser that was missed, or the error of one that was
found, unless it is something that no knob of the chain does; how likely that is follows from a
regression.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from .candidates import render_candidates
from .measure.equalizer import blend, eq_bands_db
from .models.estimate import ESTIMATED
from .models.pair import compare_clips

if TYPE_CHECKING:
    from torch import Tensor

    from .candidates import Candidate
    from .dsp.features import Features
    from .measure.equalizer import EqualizerFit
    from .models.style_vae import AFXStyleVAE

__all__ = ["ALONE", "HEARD_AGAIN", "LEAST_SAME", "hear_again"]

LEAST_SAME = 0.85
"""Probability that two recordings are of one source, below which what lies between them says little
about what was done."""
HEARD_AGAIN = "heard again"
"""At the end of the name of a candidate that was corrected."""
ALONE = "equaliser alone"
"""At its beginning, if that was "nothing"."""
_SHARE = 0.75
"""Of the equaliser that is left, what is added."""
_WEIGHTS = {"one": -2.947, "size": 2.039, "rest": -2.229, "eq": 0.467, "eq is on": 0.663}
"""Of the log odds that adding it helps: a constant; the logarithms of its size in dB, and of what
it leaves of the filter between the two; the log odds of an equaliser; and whether the choice has
one. By logistic regression, weighted by gain or loss, on 562 pairs of validation recordings that
may be of one source: a third of the treatments are by others, a sixth none at all. The constant is
1 less since filters are aligned, which leave less of them: that was best on 226 other pairs."""
_LEAST_ODDS = 1.5
"""Log odds that it helps, 82 %, from which on something is done where nothing was chosen; otherwise
even odds will do."""
_LEAST_SIZE = 0.2  # dB, added before the logarithm
_EPS = 1e-3  # of probabilities


@torch.no_grad()
def hear_again(
    model: AFXStyleVAE,
    clips: Tensor,
    theirs: Features,
    candidate: Candidate,
    same_source: float,
    rounds: int = 1,
) -> Candidate:
    """The candidate, with its equaliser corrected as often as that is likely to help.

    Args:
        model: Renders and hears.
        clips: Of the input ``(clip, 1, run-in + 131072)`` at 24 kHz and the analysis loudness.
        theirs: Features of the reference's clips.
        candidate: What was chosen; it may be "nothing".
        same_source: Probability that input and reference are of one voice or instrument.
        rounds: Corrections at most.
    """
    found = candidate
    if same_source < LEAST_SAME:
        return found
    for _ in range(rounds):
        made = torch.cat([render_candidates(model, clip[None], [found]) for clip in clips])
        left = compare_clips(model, model.listen(made), theirs).fits[0]
        if _odds(model, left, found) < (_LEAST_ODDS if found.is_nothing else 0.0):
            break
        found = _with_more(model, found, left)
    if found is candidate:
        return found
    first = ALONE if candidate.is_nothing else candidate.name
    return replace(found, name=f"{first}, {HEARD_AGAIN}")


def _with_more(model: AFXStyleVAE, candidate: Candidate, left: EqualizerFit) -> Candidate:
    """With an equaliser that does what it did and most of what is left."""
    effect, own = model.chain["eq"], model.chain.knobs_of("eq")
    curve, start = _SHARE * left.curve_db, left.controls
    if _has_eq(model, candidate):
        start = candidate.controls[own]
        curve = curve + eq_bands_db(effect, start.unsqueeze(0))[0]
    controls, switches = candidate.controls.clone(), candidate.switches.clone()
    controls[own] = blend(effect, curve, start)
    switches[model.chain.names.index("eq")] = True
    return replace(candidate, controls=controls, switches=switches)


def _has_eq(model: AFXStyleVAE, candidate: Candidate) -> bool:
    return bool(candidate.switches[model.chain.names.index("eq")])


def _odds(model: AFXStyleVAE, left: EqualizerFit, candidate: Candidate) -> float:
    """Log odds that it helps to add what is left."""
    causes = {
        "one": 1.0,
        "size": math.log(float(left.curve_db.std(correction=0)) + _LEAST_SIZE),
        "rest": left.left,
        "eq": float(torch.logit(candidate.evidence[ESTIMATED.index("eq")], _EPS)),
        "eq is on": float(_has_eq(model, candidate)),
    }
    return sum(_WEIGHTS[name] * value for name, value in causes.items())
