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

from .analysis import Cutter, as_audio
from .decision import decide
from .dsp.features import ANALYSIS_LUFS, CLIP_SAMPLES, RUN_IN, SAMPLE_RATE
from .loudness import PEAK_CEILING_DB, LoudnessMeter, PeakMeter
from .measure import LINEAR, measure_settings, nothing_measured
from .presets import Preset
from .recordings import Recording, SideMeter, Spool
from .types import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor

    from .candidates import Candidate
    from .decision import Decision
    from .models.style_vae import AFXStyleVAE
    from .models.vae import Posterior
    from .recordings import Blocks

__all__ = ["EFFORTS", "Finding", "Match", "match", "match_recordings"]

EFFORTS = ("fast", "normal")
SAME_LOUDNESS_DB = 0.5
"""Below this a change of level is not worth touching the samples."""
_SAME_WIDTH_DB = 4.0  # below this a difference in stereo width is content, not production
_NARROWEST_DB = -40.0  # side against mid; below this a recording counts as mono


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What was found for two recordings.

    Attributes:
        preset: The chain with its settings.
        report: By metric, the style distance to the reference ``before`` and ``after``.
        decision: Name of the chosen candidate; ``"nothing"`` when the input was left as it is.
        candidates: Every candidate's name, expected advantage and doubt, the chosen one marked.
        notes: Sentences about what else was done.
        posterior: Over the latent of treatments.
        seconds: Time taken.
        real_time_factor: That over the input's duration.
    """

    preset: Preset
    report: dict[str, dict[str, float]]
    decision: str
    candidates: list[dict[str, Any]]
    notes: list[str] = field(default_factory=list)
    posterior: Posterior | None = None
    seconds: float = 0.0
    real_time_factor: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Match(Finding):
    """What `match` returns: a `Finding`, and how it sounds.

    Attributes:
        audio: ``(channel, time)`` at the input's rate and length, the same as
            ``preset.apply(input, sample_rate)``.
    """

    audio: Tensor


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
    since = time.perf_counter()
    audio, reference = as_audio(audio), as_audio(reference)
    _check(effort, loudness)
    mine = Recording.of_array(audio, sample_rate, "The input")
    theirs = Recording.of_array(reference, reference_rate or sample_rate, "The reference")
    if mine.same_samples(theirs):
        raise UsageError("The reference is the input itself, so there is nothing to match.")
    done: list[Tensor] = []
    with Spool() as spool:
        found = match_recordings(
            model,
            mine,
            theirs,
            spool=spool,
            put=done.append,
            effort=effort,
            loudness=loudness,
            seed=seed,
            since=since,
        )
    return Match(**vars(found), audio=torch.cat(done, 1).to(audio.device))


@torch.no_grad()
def match_recordings(
    model: AFXStyleVAE,
    source: Recording,
    reference: Recording,
    *,
    spool: Spool,
    put: Callable[[Tensor], None],
    effort: str = "normal",
    loudness: str | float = "reference",
    seed: int = 0,
    since: float | None = None,
) -> Finding:
    """`match` for recordings of any length, in memory that does not grow with it.

    The result is rendered once; how loud it then is decides about the gain at its end.

    Args:
        model: Estimates and chooses.
        source: The input.
        reference: The recording whose style is wanted.
        spool: Keeps the rendered input until its gain is known.
        put: Takes the result block by block, each ``(channel, time)`` on the device of `model`.
        effort: See `match`.
        loudness: See `match`.
        seed: See `match`.
        since: When the work began, by `time.perf_counter`; now if omitted.

    Raises:
        UsageError: An unknown effort or loudness.
    """
    since = time.perf_counter() if since is None else since
    _check(effort, loudness)
    device = next(model.parameters()).device
    (clips, own), (wanted, first) = (
        [part.to(device) for part in r.clips()] for r in (source, reference)
    )
    theirs = wanted[:, 0, RUN_IN:]
    measured = nothing_measured(model.chain)
    if reference.frames >= CLIP_SAMPLES * reference.sample_rate / SAMPLE_RATE:
        # The channels of a stereo effect differ, and their mix is neither. What is shorter than a
        # clip is analysed repeated, and a repetition measures like an echo.
        measured = measure_settings(model.chain, own[:, 0, RUN_IN:], first[:, 0, RUN_IN:])
    if any(measured[effect].found for effect in LINEAR):
        wanted = first  # the channel that was measured
    decision = decide(model, clips, wanted[:, 0, RUN_IN:], measured, effort, seed)
    preset = _preset(model, decision.best, source)
    rendered = source.blocks
    if not preset.is_empty:
        spool.fill(_through(preset, source, source.blocks, device))
        rendered = spool.blocks
    level = {"reference": reference.lufs, "keep": source.lufs}.get(str(loudness), loudness)
    finish, notes = _finish(preset, source, rendered, reference.side_db, float(level), device)
    cutter = Cutter(source.mixed)
    for block in _through(finish, source, rendered, device):
        put(block)
        cutter.add(block.mean(0).cpu())
    for effect, knobs in finish.settings.items():
        preset = preset.changed(effect, knobs)
    after = cutter.clips()[:, 0, RUN_IN:].to(device)
    seconds = time.perf_counter() - since
    return Finding(
        preset=preset,
        report=_report(clips[:, 0, RUN_IN:], after, theirs),
        decision=_name(decision, finish),
        candidates=_rows(decision),
        notes=notes,
        posterior=decision.posterior,
        seconds=round(seconds, 3),
        real_time_factor=round(seconds / source.duration_s, 4),
    )


def _check(effort: str, loudness: str | float) -> None:
    if effort not in EFFORTS:
        raise UsageError(f"effort is {effort!r}, but it must be one of {', '.join(EFFORTS)}.")
    if isinstance(loudness, str) and loudness not in ("reference", "keep"):
        raise UsageError(
            f"loudness is {loudness!r}, but it must be reference, keep or a LUFS value."
        )
    if not isinstance(loudness, str) and not -60.0 <= loudness <= 0.0:
        raise UsageError(f"loudness is {loudness:g} LUFS, outside its range -60 to 0 LUFS.")


def _preset(model: AFXStyleVAE, best: Candidate, source: Recording) -> Preset:
    """The candidate as a preset whose input gain brings this input to the analysis loudness."""
    return Preset.from_tensors(
        model.chain.to_settings(best.controls.unsqueeze(0)),
        dict(zip(model.chain.names, best.switches.unsqueeze(1), strict=True)),
        input_gain_db=ANALYSIS_LUFS - source.lufs if bool(best.switches.any()) else 0.0,
        model=model.identifier,
        model_checksum=model.checksum,
    )


def _through(
    preset: Preset, form: Recording, blocks: Blocks, device: torch.device
) -> Iterator[Tensor]:
    """Blocks that have the form of a recording, through a preset."""
    stream = preset.stream(form.sample_rate, form.channels, device)
    return stream.render(block.to(device) for block in blocks())


def _finish(
    preset: Preset,
    form: Recording,
    rendered: Blocks,
    side_db: float | None,
    lufs: float,
    device: torch.device,
) -> tuple[Preset, list[str]]:
    """The end of the chain, set by measurement of what was rendered: width, then gain.

    Args:
        preset: What it was rendered with.
        form: Of the rendered blocks.
        rendered: Gives them.
        side_db: Level of the reference's side signal against its mid.
        lufs: The wanted loudness.
        device: Of the blocks.
    """
    side = SideMeter()
    for block in rendered():
        side.add(block)
    width, notes = _width(side.side_db(), side_db)
    finish = Preset() if width is None else Preset().changed("width", {"width": width})
    loudness, peak = LoudnessMeter(form.sample_rate), PeakMeter()
    for block in _through(finish, form, rendered, device):
        loudness.add(block)
        peak.add(block)
    untouched = preset.is_empty and finish.is_empty
    gain_db, more = _gain_db(lufs - loudness.lufs(), peak, untouched)
    if gain_db is not None:
        finish = finish.changed("gain", {"gain_db": gain_db})
    return finish, notes + more


def _width(mine_db: float | None, theirs_db: float | None) -> tuple[float | None, list[str]]:
    """By what to scale the side signal if the reference is clearly wider or narrower."""
    if mine_db is None or theirs_db is None or min(mine_db, theirs_db) < _NARROWEST_DB:
        return None, []
    if abs(theirs_db - mine_db) < _SAME_WIDTH_DB:
        return None, []
    width = min(10.0 ** ((theirs_db - mine_db) / 20.0), 2.0)
    return width, [f"Stereo width set to {width:.2f}: measured, not estimated."]


def _gain_db(wanted_db: float, peak: PeakMeter, untouched: bool) -> tuple[float | None, list[str]]:
    """The output gain for a change of loudness; the true peak stays in full scale."""
    if untouched and abs(wanted_db) < SAME_LOUDNESS_DB:
        return None, []
    room_db = 20.0 * math.log10(peak.limit_gain(PEAK_CEILING_DB - wanted_db))
    notes: list[str] = []
    if room_db < 0.0:
        if untouched and wanted_db + room_db < 0.0 < wanted_db:
            return None, ["No louder: the peaks of the input already reach full scale."]
        notes.append(f"{-room_db:.1f} dB below the wanted loudness, so that no peak clips.")
    return min(max(wanted_db + room_db, -60.0), 60.0), notes


def _name(decision: Decision, finish: Preset) -> str:
    """Of what was done: the chosen candidate, or what was measured in place of it."""
    if decision.index > 0 or finish.is_empty:
        return decision.best.name
    return "width and loudness only" if "width" in finish.settings else "loudness only"


def _rows(decision: Decision) -> list[dict[str, Any]]:
    return [
        {
            "name": candidate.name,
            "advantage": round(candidate.advantage, 4),
            "doubt": round(candidate.spread, 4),
            "chosen": place == decision.index,
        }
        for place, candidate in enumerate(decision.candidates)
    ]


def _report(*clips: Tensor) -> dict[str, dict[str, float]]:
    """By measures without part in the choice, see `style_report`."""
    from .evaluation.style import style_report

    before, after, theirs = (part.flatten() for part in clips)
    return style_report(before, after, theirs, SAMPLE_RATE)
