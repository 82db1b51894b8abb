"""`fit`: from a recording and what was made of it to the preset that does it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

from ..analysis import analysis_clips, as_audio
from ..audio import check_usable, resample
from ..dsp.features import ANALYSIS_LUFS
from ..dsp.units import fast_length
from ..effects import default_chain
from ..loudness import loudness_lufs
from ..presets import Preset
from ..ranges import FIT_SECONDS
from ..types import AudioError, UsageError
from .alignment import Alignment, align, aligned, best_gain, overlap, residual_db
from .search import Search, prune
from .solver import Problem, State, loudest, solve

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from ..effects import Chain
    from ..models.style_vae import AFXStyleVAE

__all__ = ["LONGEST_S", "Fit", "fit"]

LONGEST_S = 120.0
"""Of a recording, that is listened to."""
LEAST_S = 0.1
_MOST_HZ = 48_000
_STRETCH = 1 << 18
_SEARCHED = 1 << 17
_NO_DELAY_S = 5e-4  # what is less may be an equaliser's
_SEARCH_SHARE, _POLISH_SHARE = 0.7, 0.82
_SAME_DB, _CLEARLY_DB = 0.1, 1.0
_EXACT_DB = -55.0  # below it nothing needs to be improved
_EXACT = 1e-9  # loss at which the last knobs rest
_LEAST_SHIFT = 2e-3  # samples
_FAR_DB = 12.0  # from the analysis loudness: knobs would not reach
_WEIGHT_HZ = 100.0


@dataclass(frozen=True, kw_only=True)
class Fit:
    """What `fit` returns.

    Attributes:
        preset: The chain with its settings.
        audio: ``preset.apply(dry, sample_rate)``, ``(channel, time)`` at the rate of the dry
            recording.
        residual_db: Power of the rendered sound less the wet one, relative to the wet one's, after
            alignment, in dB, at least -120.
        report: The same for nothing done, ``"before"``; for the best gain alone, ``"gain_only"``;
            and for the preset, ``"after"``.
        alignment: Of the wet recording against the dry one.
        notes: Sentences about what else there is to say.
        seconds: Time taken.
        target: The wet recording, aligned, ``(channel, time)``, with which `audio` was compared.
    """

    preset: Preset
    audio: Tensor
    residual_db: float
    report: dict[str, float]
    alignment: Alignment
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0
    target: Tensor = field(repr=False)


@torch.no_grad()
def fit(
    dry: Any,
    wet: Any,
    *,
    sample_rate: int,
    wet_rate: int | None = None,
    model: AFXStyleVAE | None = None,
    seconds: float = FIT_SECONDS,
    seed: int = 0,
    names: tuple[str, str] = ("The dry recording", "The wet recording"),
    tell: Callable[[float], None] = lambda share: None,
) -> Fit:
    """Find the preset that makes one recording of another: the same take, dry and processed.

    Args:
        dry: ``(channel, time)`` or ``(time,)``, full scale +-1; the first two minutes count.
        wet: The same recording after unknown processing, shifted, turned over and scaled as it may
            be; of any length and number of channels.
        sample_rate: Of `dry`, Hz.
        wet_rate: Of `wet`, the same if omitted.
        model: Its estimate is one of the starts; signal processing alone if omitted.
        seconds: About how much processor time it may take, above 0; a busy machine takes longer.
        seed: Of what is drawn.
        names: What messages call the recordings.
        tell: Called with the share of the time that is spent.

    Raises:
        AudioError: A recording is silent, shorter than 0.1 s, or not finite; or one is not heard in
            the other.
        UsageError: A rate or the time is not positive.
    """
    since, begun = time.perf_counter(), time.thread_time()
    if not seconds > 0.0:
        raise UsageError(f"The time for a fit must be positive, not {seconds:g} s.")
    dry, wet = as_audio(dry).cpu(), as_audio(wet).cpu()
    check_usable(dry, sample_rate, names[0])
    check_usable(wet, wet_rate or sample_rate, names[1])
    notes: list[str] = []
    original, processed = _same_form(dry, wet, sample_rate, wet_rate or sample_rate, notes)
    found = align(original, processed, sample_rate)
    if not found.related:
        raise AudioError(
            f"{names[0]} is not heard in {names[1]}: their correlation is too low, so these are no "
            "dry and processed version of one recording."
        )
    found = _settled(found, original, processed, sample_rate)
    both = overlap(found.delay_s, original.shape[1], processed.shape[1], sample_rate)
    if both.stop - both.start < LEAST_S * sample_rate:
        raise AudioError(f"{names[0]} and {names[1]} have less than {LEAST_S:g} s in common.")
    job = _Job(original[:, : both.stop], processed, both.start, sample_rate, model, begun, seconds,
               seed, tell)  # fmt: skip
    candidates = [Preset(), _gain(found.gain_db)]
    before, gain_only = (job.residual_db(preset, found) for preset in candidates)
    if min(before, gain_only) > _EXACT_DB:
        preset, found = job.run(found)
        candidates.append(preset)
    preset, after = job.simplest(candidates, found)
    report = {"before": before, "gain_only": gain_only, "after": after}
    if found.polarity < 0:
        notes.append("The wet recording is upside down, which no preset does: turn it over.")
    return Fit(
        preset=preset,
        audio=preset.apply(dry, sample_rate),
        residual_db=after,
        report={name: round(value, 2) for name, value in report.items()},
        alignment=found,
        notes=notes,
        seconds=round(time.perf_counter() - since, 3),
        target=job.target(found),
    )


def _same_form(
    dry: Tensor, wet: Tensor, sample_rate: int, wet_rate: int, notes: list[str]
) -> tuple[Tensor, Tensor]:
    """Both at the rate of the first, with as many channels, and not too long."""
    original = dry[:, : round(LONGEST_S * sample_rate)]
    processed = resample(wet[:, : round(LONGEST_S * wet_rate)], wet_rate, sample_rate)
    if max(dry.shape[1] / sample_rate, wet.shape[1] / wet_rate) > LONGEST_S:
        notes.append(f"Only the first {LONGEST_S:g} s are compared.")
    if len(original) != len(processed):
        if len(processed) == 1:
            original = original.mean(0, keepdim=True)
            notes.append("The wet recording is mono, so it is compared with the mean of channels.")
        else:  # the channels of a stereo effect differ, and their mean is neither
            original, processed = original.mean(0, keepdim=True), processed[:1]
            notes.append("Compared with the first channel of the wet recording.")
    return original, processed


def _settled(found: Alignment, dry: Tensor, wet: Tensor, sample_rate: int) -> Alignment:
    """The delay without what may be an equaliser's, or sharper, if nothing else was done."""

    def left_db(one: Alignment) -> float:
        target = aligned(wet, one.delay_s, one.polarity, sample_rate, dry.shape[1])
        both = overlap(one.delay_s, dry.shape[1], wet.shape[1], sample_rate)
        mine, theirs = dry[:, both], target[:, both]
        return residual_db(best_gain(mine, theirs) * mine, theirs)

    best = replace(found, delay_s=0.0) if abs(found.delay_s) < _NO_DELAY_S else found
    sharper = found
    for _ in range(2):
        target = aligned(wet, sharper.delay_s, sharper.polarity, sample_rate, dry.shape[1])
        both = overlap(sharper.delay_s, dry.shape[1], wet.shape[1], sample_rate)
        shift_s = 0.01 / sample_rate
        early, late = (aligned(dry, side * shift_s, 1, sample_rate, dry.shape[1])[:, both]
                       for side in (1, -1))  # fmt: skip
        slope = (late - early) / (2.0 * shift_s)
        missed = target[:, both] / max(best_gain(dry[:, both], target[:, both]), 1e-6)
        more_s = best_gain(slope, missed - dry[:, both])
        sharper = replace(sharper, delay_s=sharper.delay_s + min(max(more_s, -1e-4), 1e-4))
    for one in (found, sharper):
        if left_db(one) < left_db(best) - _CLEARLY_DB:
            best = one
    return best


def _gain(gain_db: float) -> Preset:
    return Preset().changed("gain", {"gain_db": min(max(gain_db, -60.0), 60.0)})


@dataclass(frozen=True)
class _Job:
    """The search for a preset, within a time.

    Attributes:
        dry: ``(channel, time)``, as far as there is a wet sound.
        wet: The same, before it is aligned.
        first: Sample of `dry` at which the wet sound begins.
        sample_rate: In Hz.
        model: See `fit`.
        begun: When the work began, by `time.thread_time`.
        seconds: How long it may take.
        seed: Of draws.
        tell: Called with the share that is done.
    """

    dry: Tensor
    wet: Tensor
    first: int
    sample_rate: int
    model: AFXStyleVAE | None
    begun: float
    seconds: float
    seed: int
    tell: Callable[[float], None]

    def run(self, found: Alignment) -> tuple[Preset, Alignment]:
        """The preset, and the alignment as it turned out."""
        chain = default_chain() if self.model is None else self.model.chain
        lift_db = self._input_gain_db()
        whole = self._problem(chain, found, lift_db)
        self.tell(0.1)
        part = loudest(whole, _SEARCHED)
        part = replace(part, weight=_weight(part), deadline=self._deadline(_SEARCH_SHARE))
        state = Search(part, whole, self._estimate(found), self.seed).run()
        self.tell(_SEARCH_SHARE)
        whole = replace(whole, deadline=self._deadline(_POLISH_SHARE))
        state = solve(whole, replace(state, damping=1e-3), 8)
        found, whole, state = self._shifted(found, whole, state, lift_db)
        self.tell(_POLISH_SHARE)
        whole = replace(whole, deadline=self._deadline(1.0))
        state = solve(whole, prune(whole, state), 6, enough=_EXACT)
        self.tell(1.0)
        return self._preset(chain, state, lift_db), found

    def residual_db(self, preset: Preset, found: Alignment) -> float:
        """What a preset leaves, see `Fit`."""
        rendered, target = preset.apply(self.dry, self.sample_rate), self.target(found)
        return residual_db(rendered[:, self.first :], target[:, self.first :])

    def simplest(self, presets: list[Preset], found: Alignment) -> tuple[Preset, float]:
        """The first, in the order of effort, than which none is clearly nearer; its residual."""
        residuals = [self.residual_db(preset, found) for preset in presets]
        least = max(min(residuals) + _SAME_DB, _EXACT_DB)
        place = next(k for k, residual in enumerate(residuals) if residual <= least)
        return presets[place], residuals[place]

    def _deadline(self, share: float) -> float:
        return self.begun + share * self.seconds

    def target(self, found: Alignment) -> Tensor:
        """The wet sound, aligned, as long as the dry one."""
        length = self.dry.shape[1]
        return aligned(self.wet, found.delay_s, found.polarity, self.sample_rate, length)

    def _input_gain_db(self) -> float:
        """To the analysis loudness if it is so far off that knobs would not reach."""
        lufs = float(loudness_lufs(self.dry.unsqueeze(0), self.sample_rate))
        away_db = ANALYSIS_LUFS - lufs
        return round(away_db, 2) if abs(away_db) > _FAR_DB else 0.0

    def _problem(self, chain: Chain, found: Alignment, lift_db: float) -> Problem:
        """The loudest stretch, with what precedes it, at a rate that can be afforded."""
        rate = min(self.sample_rate, _MOST_HZ)
        dry = resample(self.dry * 10.0 ** (lift_db / 20.0), self.sample_rate, rate)
        wet = resample(self.target(found), self.sample_rate, rate)
        first = round(self.first * rate / self.sample_rate)
        return loudest(Problem(chain, dry, wet, rate, run_in=first), _STRETCH)

    def _shifted(
        self, found: Alignment, whole: Problem, state: State, lift_db: float
    ) -> tuple[Alignment, Problem, State]:
        """The delay between what was rendered and the wet sound taken off, if that is better."""
        rate, wet = whole.sample_rate, whole.wet[:, whole.run_in :]
        left = align(whole.render(state), wet, rate).delay_s
        if whole.is_late() or not _LEAST_SHIFT < abs(left) * rate < 1.0:
            return found, whole, state
        moved = replace(found, delay_s=found.delay_s + left)
        problem = replace(self._problem(whole.chain, moved, lift_db), deadline=whole.deadline)
        if problem.loss(state) > state.loss:
            return found, whole, state
        return moved, problem, solve(problem, state, 6)

    def _estimate(self, found: Alignment) -> Tensor | None:
        """The model's controls, ``(control,)``."""
        if self.model is None:
            return None
        model = self.model
        device = next(model.parameters()).device
        clips = [
            analysis_clips(audio.to(device), self.sample_rate, 1)
            for audio in (self.dry, self.target(found))
        ]
        dry, wet = (model.embed_clips(clip).mean(0, keepdim=True) for clip in clips)
        return model.decode(model.encode(dry, wet).mean, dry).estimate.controls[0].cpu()

    def _preset(self, chain: Chain, state: State, lift_db: float) -> Preset:
        """The state as a preset; the input gain is part of the output gain where it can be."""
        settings = chain.to_settings(state.controls.unsqueeze(0))
        switches = dict(zip(chain.names, state.switches.unsqueeze(1), strict=True))
        on = {name for name, switch in switches.items() if bool(switch)}
        if lift_db and not on & {"compressor", "overdrive"}:
            gain_db = float(settings["gain"]["gain_db"]) if "gain" in on else 0.0
            settings["gain"]["gain_db"] = torch.tensor([min(max(gain_db + lift_db, -60.0), 60.0)])
            switches["gain"], lift_db = torch.tensor([True]), 0.0
        return Preset.from_tensors(
            settings,
            switches,
            input_gain_db=lift_db,
            model=self.model.identifier if self.model else None,
            model_checksum=self.model.checksum if self.model else None,
        )


def _weight(problem: Problem) -> Tensor:
    """By frequency, what makes half of the wet sound's spectrum flat: treble counts too."""
    wet = problem.wet[:, problem.run_in :]
    n_fft = 2 * fast_length(-(-wet.shape[1] // 2))
    power = torch.fft.rfft(wet, n_fft).abs().square().sum(0)
    near = 2 * round(0.5 * _WEIGHT_HZ * n_fft / problem.sample_rate) + 1
    smooth = functional.avg_pool1d(
        power.view(1, 1, -1), near, 1, near // 2, count_include_pad=False
    ).flatten()
    smooth = smooth + 1e-6 * smooth.max()
    return (smooth / smooth.mean()) ** -0.25
