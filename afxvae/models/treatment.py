"""Treatment embedding: all that a comparison of two recordings shows, as one vector.

A difference embedding is what an encoder of spectra makes of a pair. The other comparators see what
it does not: the aligner the filter between moments that sound alike, waveforms whether amplitudes
were bent or levels held down, cepstra echoes and rooms. `match` decides by each of these; side by
side they describe a treatment to whatever compares, sorts or classifies treatments. A linear map
has no squares, so sizes of filters and odds of traces are there in logarithms too.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from ..analysis import analysis_clips, as_audio, clip_period, once
from ..audio import check_usable
from ..dsp.features import CLIP_SAMPLES, SAMPLE_RATE, Features, extract_features
from ..dsp.likeness import filters_between
from ..dsp.waveform import waveform_statistics
from ..measure.cepstra import clip_spectrum
from ..measure.chorus import N_SWINGING, swinging
from ..measure.echo import echo_level, measure_echo
from ..measure.reverb import measure_reverb
from ..measure.settings import LEAST_SAMPLES

if TYPE_CHECKING:
    from torch import Tensor

    from .style_vae import AFXStyleVAE

__all__ = ["Heard", "embed_treatment", "hear", "hear_recording"]

_UNTOLD = 99.0  # contrast of a room from which on it would be refined, which none has
_FAINTEST, _FAINTEST_DB2 = 0.01, 0.1
_NO_TRACES = torch.tensor(
    [0.0, 0.0, 0.0, 1.0, 0.0, math.log(_FAINTEST), 0.0, *(0.0,) * 2 * N_SWINGING]
)


@dataclass(frozen=True, eq=False)
class Heard:
    """One recording, as comparisons need it.

    Attributes:
        clips: ``(clip, 131072)``, mono, at 24 kHz and the analysis loudness.
        features: Of the clips.
        embedding: Style embedding of all ``(1, embedding)``.
        statistics: Of waveforms ``(clip, N_WAVEFORM)``.
        period: Samples after which clips of what is shorter begin again.
    """

    clips: Tensor
    features: Features
    embedding: Tensor
    statistics: Tensor
    period: int = CLIP_SAMPLES

    @functools.cached_property
    def once(self) -> Tensor:
        """The clips, silent from where they begin again."""
        return once(self.clips, self.period)

    @functools.cached_property
    def spectrum(self) -> Tensor:
        """Mean of the log magnitudes of its clips, ``(bin,)``."""
        return clip_spectrum(self.once).mean(0)

    @functools.cached_property
    def room(self) -> float:
        """Contrast of a room, whatever echoes there are."""
        return measure_reverb(self.once, None, _UNTOLD).contrast

    @functools.cached_property
    def voice(self) -> Tensor:
        """See `swinging`, of its first clip."""
        return swinging(self.once[0])


@torch.no_grad()
def hear(model: AFXStyleVAE, clips: Tensor, period: int = CLIP_SAMPLES) -> Heard:
    """Listen to the clips of a recording.

    Args:
        model: Has the encoder.
        clips: ``(clip, 131072)`` mono at 24 kHz, of any loudness.
        period: Samples after which they begin again, if the recording is shorter.
    """
    levelled = model.level(clips)
    features = extract_features(levelled)
    embedding = model.embed_features(features).mean(0, keepdim=True)
    return Heard(levelled, features, embedding, waveform_statistics(levelled), period)


def hear_recording(
    model: AFXStyleVAE, audio: Any, sample_rate: int, name: str = "The recording"
) -> Heard:
    """Listen to a recording ``(channel, time)`` or ``(time,)``.

    Raises:
        AudioError: It is silent, too short or not finite; `name` is what it is called.
    """
    recording = as_audio(audio)
    check_usable(recording, sample_rate, name)
    period = clip_period(recording.shape[-1], sample_rate)
    return hear(model, analysis_clips(recording, sample_rate), period)


@torch.no_grad()
def embed_treatment(model: AFXStyleVAE, mine: Heard, theirs: Heard) -> Tensor:
    """What was done to a reference that was not done to an input, ``(177,)``.

    In this order: the difference embedding (64 numbers, as the weights have it); the aligner's
    filter in dB by mel band (80) and its log odds of one source (1); sizes of that filter (5); log
    odds of a compressor and of an overdrive (2), with their knobs (6, see `BENDING`); level, level
    beyond the input's and feedback of the strongest echo, contrast and contrast beyond the input's
    of a room, and the logarithms of that level and that contrast (7), see `measure_echo` and
    `measure_reverb`; how clearly something swings, and that beyond the input (12), see `swinging`.
    The last 19 are those of nothing where a recording is shorter than 1.5 s.

    Args:
        model: Has the comparators.
        mine: The input.
        theirs: The reference.
    """
    difference = model.compare(mine.embedding, theirs.embedding)[0]
    both = mine, theirs
    frames = [one.features.log_mel.flatten(0, 1).unsqueeze(0) for one in both]
    aligned = model.aligner(*frames, filters_between(*frames))
    curve, error = aligned.curve_db[0], aligned.error_db[0]
    bends = model.waveform.between(mine.statistics, theirs.statistics)
    parts = [difference, curve, aligned.source, _sizes(curve, error), bends.logits[0]]
    short = min(mine.period, theirs.period) < LEAST_SAMPLES
    traces = _NO_TRACES if short else _traces(mine, theirs)
    return torch.cat([*parts, bends.knobs[0], traces.to(curve)])


def _sizes(curve: Tensor, error: Tensor) -> Tensor:
    """How far a filter in dB is from none, alone and beside its errors, in logarithms ``(5,)``."""
    certain = curve / error
    sizes = (
        curve.square().mean() + _FAINTEST_DB2,
        certain.square().mean() + _FAINTEST_DB2,
        certain.abs().amax() + _FAINTEST_DB2,
        curve.diff().square().mean() + 0.1 * _FAINTEST_DB2,
        error.mean(),
    )
    return torch.stack(sizes).log()


def _traces(mine: Heard, theirs: Heard) -> Tensor:
    """Of an echo, of a room and of a voice, ``(19,)``."""
    echo = measure_echo(theirs.once)
    place = torch.tensor([echo.time_ms * SAMPLE_RATE / 1000.0], dtype=torch.float64)
    own = float(echo_level(mine.spectrum, place))
    level, room = max(echo.level, 0.0), measure_reverb(theirs.once, echo, _UNTOLD).contrast
    told = torch.tensor([level, level - own, echo.feedback, room, room - mine.room])
    logs = torch.tensor([level, room]).clamp_min(_FAINTEST).log()
    return torch.cat([told.clamp(-2.0, 2.0), logs, theirs.voice, theirs.voice - mine.voice])
