"""`match`: from two recordings to a preset, its rendering and an honest report.

Both recordings are analysed at one loudness. The model proposes treatments, its critic predicts how
much nearer each would bring the input to the unknown truth, and "leave it as it is" wins in doubt.
The report measures style distances that took no part in the choice.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from .analysis import analysis_clips, as_audio, clips_with_run_in
from .audio import check_usable
from .decision import decide
from .dsp.features import ANALYSIS_LUFS, CLIP_SAMPLES, SAMPLE_RATE
from .effects import default_chain
from .loudness import loudness_lufs, peak_limit_gain
from .measure import LINEAR, measure_settings, nothing_measured
from .presets import Preset
from .types import UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from .candidates import Candidate
    from .measure import Measured
    from .models.style_vae import AFXStyleVAE
    from .models.vae import Posterior

__all__ = ["EFFORTS", "Match", "match", "style_report"]

EFFORTS = ("fast", "normal")
SAME_LOUDNESS_DB = 0.5
"""Below this a change of level is not worth touching the samples."""
_SAME_WIDTH_DB = 4.0  # below this a difference in stereo width is content, not production
_NARROWEST_DB = -40.0  # side against mid; below this a recording counts as mono


@dataclass(frozen=True)
class Match:
    """What `match` returns.

    Attributes:
        audio: ``(channel, time)`` at the input's rate and length.
        preset: The chain with its settings; ``preset.apply(input, sample_rate)`` equals `audio`.
        report: By metric, the style distance to the reference ``before`` and ``after``.
        decision: Name of the chosen candidate; ``"nothing"`` when the input was left as it is.
        candidates: Every candidate's name, expected advantage and doubt, the chosen one marked.
        notes: Sentences about what else was done.
        posterior: Over the latent of treatments.
        seconds: Time taken.
        real_time_factor: That over the input's duration.
    """

    audio: Tensor
    preset: Preset
    report: dict[str, dict[str, float]]
    decision: str
    candidates: list[dict[str, Any]]
    notes: list[str] = field(default_factory=list)
    posterior: Posterior | None = None
    seconds: float = 0.0
    real_time_factor: float = 0.0


@torch.no_grad()
def match(
    model: AFXStyleVAE,
    audio: Any,
    reference: Any,
    *,
    sample_rate: int,
    reference_rate: int | None = None,
    effort: str = "normal",
    loudness: str | float = "reference",
    seed: int = 0,
) -> Match:
    """Make `audio` sound as if it had gone through the production of `reference`.

    Args:
        model: Estimates and chooses.
        audio: ``(channel, time)`` or ``(time,)`` tensor or array, full scale +-1, any length.
        reference: Another recording, ``(channel, time)`` or ``(time,)``.
        sample_rate: Of `audio`, Hz.
        reference_rate: Of `reference`, the same if omitted.
        effort: ``"fast"``: the posterior mean or nothing; ``"normal"``: many candidates.
        loudness: Of the result: ``"reference"``, ``"keep"`` or a value in LUFS. The true peak stays
            below full scale whatever is asked for.
        seed: Of the samples drawn from the posterior.

    Raises:
        AudioError: A recording is silent, shorter than 0.1 s, or not finite.
        UsageError: An unknown effort or loudness, or the reference is the input.
    """
    start = time.perf_counter()
    audio, reference = as_audio(audio), as_audio(reference)
    reference_rate = reference_rate or sample_rate
    _check(audio, reference, sample_rate, reference_rate, effort, loudness)
    wanted = analysis_clips(reference, reference_rate)
    clips = clips_with_run_in(audio, sample_rate)
    measured = _measured(model, audio, reference, sample_rate, reference_rate)
    if len(reference) > 1 and any(measured[effect].found for effect in LINEAR):
        wanted = analysis_clips(reference[:1], reference_rate)  # the channel that was measured
    decision = decide(model, clips, wanted, measured, effort, seed)
    found, index = decision.candidates, decision.index
    best, notes = found[index], []
    preset = _preset(model, best, audio, sample_rate)
    rendered = preset.apply(audio, sample_rate)
    preset, rendered, note = _with_width(preset, rendered, reference, sample_rate)
    notes += note
    level = _wanted_lufs(loudness, audio, reference, sample_rate, reference_rate)
    preset, result, note = _with_loudness(preset, rendered, level, sample_rate)
    notes += note
    name = best.name
    if index == 0 and any(preset.switches.values()):
        name = "loudness only" if not preset.switches["width"] else "width and loudness only"
    seconds = time.perf_counter() - start
    return Match(
        audio=result,
        preset=preset,
        report=style_report(audio, result, reference, sample_rate, reference_rate),
        decision=name,
        candidates=[
            {
                "name": candidate.name,
                "advantage": round(candidate.advantage, 4),
                "doubt": round(candidate.spread, 4),
                "chosen": place == index,
            }
            for place, candidate in enumerate(found)
        ],
        notes=notes,
        posterior=decision.posterior,
        seconds=round(seconds, 3),
        real_time_factor=round(seconds * sample_rate / audio.shape[1], 4),
    )


def _check(
    audio: Tensor,
    reference: Tensor,
    sample_rate: int,
    reference_rate: int,
    effort: str,
    loudness: str | float,
) -> None:
    if effort not in EFFORTS:
        raise UsageError(f"effort is {effort!r}, but it must be one of {', '.join(EFFORTS)}.")
    if isinstance(loudness, str) and loudness not in ("reference", "keep"):
        raise UsageError(
            f"loudness is {loudness!r}, but it must be reference, keep or a LUFS value."
        )
    if not isinstance(loudness, str) and not -60.0 <= loudness <= 0.0:
        raise UsageError(f"loudness is {loudness:g} LUFS, outside its range -60 to 0 LUFS.")
    check_usable(audio, sample_rate, "The input")
    check_usable(reference, reference_rate, "The reference")
    if sample_rate == reference_rate and torch.equal(audio, reference):
        raise UsageError("The reference is the input itself, so there is nothing to match.")


def _measured(
    model: AFXStyleVAE, audio: Tensor, reference: Tensor, sample_rate: int, reference_rate: int
) -> dict[str, Measured]:
    """What can be measured of the reference's first channel.

    The channels of a stereo effect differ, and their mix is neither. What is shorter than a clip is
    analysed repeated, and a repetition measures like an echo.
    """
    if reference.shape[1] < CLIP_SAMPLES * reference_rate / SAMPLE_RATE:
        return nothing_measured(model.chain)
    mine = analysis_clips(audio[:1], sample_rate)
    return measure_settings(model.chain, mine, analysis_clips(reference[:1], reference_rate))


def _preset(model: AFXStyleVAE, best: Candidate, audio: Tensor, sample_rate: int) -> Preset:
    """The candidate as a preset whose input gain brings this input to the analysis loudness."""
    gain_db = 0.0
    if bool(best.switches.any()):
        gain_db = ANALYSIS_LUFS - float(loudness_lufs(audio.unsqueeze(0), sample_rate))
    return Preset.from_tensors(
        model.chain.to_settings(best.controls.unsqueeze(0)),
        dict(zip(model.chain.names, best.switches.unsqueeze(1), strict=True)),
        input_gain_db=gain_db,
        model=model.identifier,
        model_checksum=model.checksum,
    )


def _side_db(audio: Tensor) -> float | None:
    """Level of the side signal against the mid in dB, None for other than stereo."""
    if audio.shape[0] != 2:
        return None
    mid, side = audio[0] + audio[1], audio[0] - audio[1]
    return 10.0 * math.log10(float(side.square().sum() + 1e-12) / float(mid.square().sum() + 1e-12))


def _with_effect(
    preset: Preset, rendered: Tensor, effect: str, knob: str, value: float, sample_rate: int
) -> tuple[Preset, Tensor]:
    """Switch on one of the last effects of the chain behind what is rendered already."""
    preset = preset.changed(effect, {knob: value})
    setting = torch.tensor([preset.settings[effect][knob]], device=rendered.device)
    process = default_chain()[effect].process
    return preset, process(rendered.unsqueeze(0), {knob: setting}, sample_rate).squeeze(0)


def _with_width(
    preset: Preset, rendered: Tensor, reference: Tensor, sample_rate: int
) -> tuple[Preset, Tensor, list[str]]:
    """Scale the side signal if the reference is clearly wider or narrower, by measurement."""
    mine, theirs = _side_db(rendered), _side_db(reference)
    if mine is None or theirs is None or min(mine, theirs) < _NARROWEST_DB:
        return preset, rendered, []
    if abs(theirs - mine) < _SAME_WIDTH_DB:
        return preset, rendered, []
    width = min(10.0 ** ((theirs - mine) / 20.0), 2.0)
    preset, rendered = _with_effect(preset, rendered, "width", "width", width, sample_rate)
    return preset, rendered, [f"Stereo width set to {width:.2f}: measured, not estimated."]


def _wanted_lufs(
    loudness: str | float,
    audio: Tensor,
    reference: Tensor,
    sample_rate: int,
    reference_rate: int,
) -> float:
    if loudness == "reference":
        return float(loudness_lufs(reference.unsqueeze(0), reference_rate))
    if loudness == "keep":
        return float(loudness_lufs(audio.unsqueeze(0), sample_rate))
    return float(loudness)


def _with_loudness(
    preset: Preset, rendered: Tensor, wanted_lufs: float, sample_rate: int
) -> tuple[Preset, Tensor, list[str]]:
    """Set the output gain for the wanted loudness; the true peak stays in full scale."""
    gain_db = wanted_lufs - float(loudness_lufs(rendered.unsqueeze(0), sample_rate))
    untouched = not any(preset.switches.values())
    if untouched and abs(gain_db) < SAME_LOUDNESS_DB:
        return preset, rendered, []
    louder = rendered.unsqueeze(0) * 10.0 ** (gain_db / 20.0)
    room_db = 20.0 * math.log10(float(peak_limit_gain(louder)))
    notes: list[str] = []
    if room_db < 0.0:
        if untouched and gain_db + room_db < 0.0 < gain_db:
            return preset, rendered, ["No louder: the peaks of the input already reach full scale."]
        gain_db += room_db
        notes.append(f"{-room_db:.1f} dB below the wanted loudness, so that no peak clips.")
    gain_db = min(max(gain_db, -60.0), 60.0)
    preset, result = _with_effect(preset, rendered, "gain", "gain_db", gain_db, sample_rate)
    return preset, result, notes


def style_report(
    audio: Tensor, result: Tensor, reference: Tensor, sample_rate: int, reference_rate: int
) -> dict[str, dict[str, float]]:
    """Style distances to the reference before and after, by measures without part in the choice.

    Average mel cepstra (``mfcc``), spectral centroid (``centroid_hz``), crest factor (``crest_db``)
    and loudness (``loudness_lu``), over the loudest stretches of each recording.
    """
    from .evaluation import metrics

    theirs = analysis_clips(reference, reference_rate).flatten().unsqueeze(0)
    report: dict[str, dict[str, float]] = {}
    for when, mine in (("before", audio), ("after", result)):
        clips = analysis_clips(mine, sample_rate).flatten().unsqueeze(0)
        levelled = metrics.at_matched_loudness(clips, theirs)
        values = {
            "mfcc": metrics.mfcc_error(levelled, theirs),
            "centroid_hz": metrics.spectral_centroid_error(levelled, theirs),
            "crest_db": metrics.crest_factor_error(levelled, theirs),
            "loudness_lu": metrics.lufs_error(clips, theirs),
        }
        for name, value in values.items():
            report.setdefault(name, {})[when] = round(float(value), 4)
    return report
