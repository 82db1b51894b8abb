"""Distances between an output and the truth, and the statistics that make tables of them.

Every distance takes 24 kHz mono audio, `(batch, time)`, output first, and returns `(batch,)`, one
non-negative number an item. The spectra are centred with reflection and use periodic Hann windows.
Items of different lengths have to be compared one by one.
"""

from __future__ import annotations

import contextlib
import importlib
import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from ..audio import loudness_lufs, resample
from ..types import UsageError, check_shape
from .style import apart, centroid_hz, crest_db, mel_matrix, mfcc_statistics, power, rms_db

__all__ = [
    "METRICS",
    "SAMPLE_RATE",
    "at_matched_loudness",
    "bootstrap_interval",
    "closure",
    "crest_factor_error",
    "lufs_error",
    "matched_mr_stft",
    "mfcc_error",
    "mr_stft",
    "mr_stft_from_magnitudes",
    "msd",
    "pesq",
    "rms_error_db",
    "share_worse",
    "spectral_centroid_error",
    "stft_magnitudes",
]

SAMPLE_RATE = 24000
"""The rate at which the tables are made, Hz."""
MR_STFT_SIZES = (32, 128, 512, 2048, 8192, 32768)
_FLOOR = 1e-8
_MEL_SIZE = 65536

Floats: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]
Magnitudes: TypeAlias = tuple[tuple[Tensor, Tensor], ...]
"""For every resolution, magnitudes and their natural logarithms, `(batch, bin, frame)`."""


def stft_magnitudes(audio: Tensor, sizes: Sequence[int] = MR_STFT_SIZES) -> Magnitudes:
    """Magnitudes `M = sqrt(max(|X|^2, 1e-8))` of `(batch, time)` at every size, with `ln M`.

    Made once for the truth, they serve any number of outputs: see `mr_stft_from_magnitudes`.

    Raises:
        UsageError: not two axes, or too short for the largest window (reflection needs more than
            half of it, 16,385 samples for the default).
    """
    return tuple((power.sqrt(), 0.5 * power.log()) for power in _powers(audio, sizes))


def mr_stft_from_magnitudes(output: Magnitudes, truth: Magnitudes) -> Tensor:
    """`mr_stft` of what `stft_magnitudes` returned; either side may have a batch of one."""
    pairs = zip(output, truth, strict=True)
    sizes = [_mean_abs(a, b) + _mean_abs(ln_a, ln_b) for (a, ln_a), (b, ln_b) in pairs]
    return torch.stack(sizes).mean(0)


def mr_stft(output: Tensor, truth: Tensor) -> Tensor:
    """Multi-resolution STFT distance, `(batch, time)` twice to `(batch,)`; depends on level.

    Windows of 32, 128, 512, 2048, 8192 and 32768 samples, hop half of it; at each the mean over
    time and frequency of `|ln Mx - ln My| + |Mx - My|`; then the mean of the six.
    """
    if output.shape != truth.shape:
        raise UsageError(f"Output {tuple(output.shape)} and truth {tuple(truth.shape)} differ.")
    pairs = zip(
        torch.split(output, 1), torch.split(truth, 1), strict=True
    )  # an item at a time fits the cache
    items = (map(stft_magnitudes, pair) for pair in pairs)
    return torch.cat([mr_stft_from_magnitudes(*item) for item in items])


def msd(output: Tensor, truth: Tensor, sample_rate: int = SAMPLE_RATE) -> Tensor:
    """Mel spectral distance, `(batch, time)` twice to `(batch,)`.

    As `mr_stft` at the one size of 65,536 samples, hop the same, on 128 Slaney mel bands (triangles
    of unit area, as librosa's) of the magnitudes. It hears the spectrum, hardly the time.
    """
    weights = mel_matrix(sample_rate, _MEL_SIZE, 128).to(output)
    mels = []
    for audio in (output, truth):
        (squares,) = _powers(audio, (_MEL_SIZE,), _MEL_SIZE)
        mels.append(weights @ squares.sqrt())
    return _mean_abs(mels[0].log(), mels[1].log()) + _mean_abs(mels[0], mels[1])


def spectral_centroid_error(
    output: Tensor, truth: Tensor, sample_rate: int = SAMPLE_RATE
) -> Tensor:
    """Difference of the mean spectral centroids in Hz, `(batch, time)` twice to `(batch,)`.

    Magnitude-weighted mean frequency at n_fft 2048, hop 512, averaged over frames; a frame of
    digital silence counts as 0 Hz.
    """
    centroids = (centroid_hz(power(audio), sample_rate) for audio in (output, truth))
    return apart(*centroids)


def rms_error_db(output: Tensor, truth: Tensor) -> Tensor:
    """Difference of the RMS levels in dB, `(batch, time)` twice to `(batch,)`.

    Levels are 20 log10, floored at -160 dB. (Older tables used 20 ln.)
    """
    return apart(rms_db(output), rms_db(truth))


def lufs_error(output: Tensor, truth: Tensor, sample_rate: int = SAMPLE_RATE) -> Tensor:
    """Difference of the BS.1770 loudnesses in LU, `(batch, time)` twice to `(batch,)`."""
    return apart(_lufs(output, sample_rate), _lufs(truth, sample_rate))


def crest_factor_error(output: Tensor, truth: Tensor) -> Tensor:
    """Difference of the crest factors (peak / RMS) in dB, `(batch, time)` twice to `(batch,)`."""
    return apart(crest_db(output), crest_db(truth))


def mfcc_error(output: Tensor, truth: Tensor, sample_rate: int = SAMPLE_RATE) -> Tensor:
    """Mean absolute difference of MFCC statistics, `(batch, time)` twice to `(batch,)`.

    The 40 numbers compared are the means and the standard deviations over time of 20 coefficients:
    orthonormal DCT-II of 128 Slaney mel bands in dB (power, n_fft 2048, hop 512, at most 80 dB
    below the loudest of the clip), as librosa's defaults but for the reflection at the ends.
    """
    statistics = (mfcc_statistics(power(audio), sample_rate) for audio in (output, truth))
    return apart(*statistics).mean(-1)


def pesq(output: Tensor, truth: Tensor, sample_rate: int = SAMPLE_RATE) -> Tensor:
    """Wide-band PESQ at 16 kHz (1 bad to 4.6 good), `(batch, time)` twice to `(batch,)`.

    Speech only. An item at which the algorithm fails (it finds no speech) is NaN: count those, and
    print the number.

    Raises:
        UsageError: the optional package `pesq` is not installed.
    """
    try:
        score = importlib.import_module("pesq").pesq
    except ImportError as error:
        raise UsageError("PESQ needs the package pesq: pip install pesq.") from error
    pairs = [resample(audio, sample_rate, 16000).cpu().numpy() for audio in (truth, output)]
    scores = []
    for true, out in zip(*pairs, strict=True):
        try:
            scores.append(float(score(16000, true, out, "wb")))
        except (RuntimeError, ValueError, ZeroDivisionError):
            scores.append(math.nan)
    return torch.tensor(scores)


def at_matched_loudness(output: Tensor, truth: Tensor, sample_rate: int = SAMPLE_RATE) -> Tensor:
    """`output` brought to the BS.1770 loudness of `truth`, `(batch, time)`.

    A silent one of the two (-70 LUFS or less) leaves the output as it is: there is no gain that
    would make silence as loud as sound.
    """
    from_lufs, to_lufs = _lufs(output, sample_rate), _lufs(truth, sample_rate)
    heard = (from_lufs > -70) & (to_lufs > -70)
    gain = torch.where(heard, 10 ** ((to_lufs - from_lufs) / 20), 1.0)
    return output * gain[:, None]


def matched_mr_stft(output: Tensor, truth: Tensor) -> float:
    """MR-STFT of an output brought to the loudness of the truth, ``(1, time)`` each at 24 kHz."""
    return float(mr_stft(at_matched_loudness(output, truth), truth))


METRICS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mr_stft": mr_stft,
    "msd": msd,
    "sce_hz": spectral_centroid_error,
    "rms_db": rms_error_db,
    "lufs": lufs_error,
    "cfe_db": crest_factor_error,
    "mfcc": mfcc_error,
}
"""Columns of the tables, each a function of output and truth at 24 kHz; less is better."""


def closure(d_output: ArrayLike, d_input: ArrayLike) -> float:
    """How much of the way from input to truth was gone: `1 - mean(d_output) / mean(d_input)`.

    The ratio of the means over items, not the mean of the ratios: an item whose input is already
    the truth has no ratio of its own. 0 is doing nothing, 1 is the truth, below 0 is harm.

    Args:
        d_output: distance of each output to its truth, `(item,)`.
        d_input: distance of each input to its truth, `(item,)`.

    Raises:
        UsageError: the arrays are empty, of different length or not finite, or every input is the
            truth, so that there is no way to go.

    >>> closure([1.0, 0.0], [3.0, 1.0])
    0.75
    """
    output, before = _paired(d_output, d_input)
    if not before.any():
        raise UsageError("Every input is the truth already: there is no distance to close.")
    return float(1 - output.mean() / before.mean())


def share_worse(d_output: ArrayLike, d_input: ArrayLike) -> float:
    """Share of items that ended farther from the truth than they began, by more than 1e-9.

    Raises:
        UsageError: the arrays are empty, of different length or not finite.

    >>> share_worse([1.0, 2.0, 3.0, 0.0], [1.0, 1.0, 4.0, 0.0])
    0.25
    """
    return float(np.greater(*_paired(d_output, np.add(d_input, 1e-9))).mean())


def bootstrap_interval(
    d_output: ArrayLike,
    d_input: ArrayLike,
    statistic: Callable[[Floats, Floats], float] = closure,
    n: int = 2000,
    seed: int = 0,
) -> tuple[float, float]:
    """95 % interval of a statistic of paired distances, by the percentile bootstrap over items.

    Items are drawn with replacement, output and input of an item together.

    Args:
        d_output: distance of each output to its truth, `(item,)`.
        d_input: distance of each input to its truth, `(item,)`.
        statistic: `closure`, `share_worse` or another function of the two arrays.
        n: number of draws.
        seed: of the numpy generator; the same seed gives the same interval.

    Raises:
        UsageError: as `closure`, or `n` is not positive.
    """
    output, before = _paired(d_output, d_input)
    if n < 1:
        raise UsageError(f"The number of bootstrap draws must be positive, not {n}.")
    generator = np.random.default_rng(seed)
    whole = statistic(output, before)
    values = []
    for _ in range(n):
        draw = generator.integers(len(output), size=len(output))
        with contextlib.suppress(UsageError):  # only items that had no way to go: left out
            values.append(statistic(output[draw], before[draw]))
    low, high = np.percentile(values or [whole], (2.5, 97.5))
    return float(low), float(high)


def _powers(audio: Tensor, sizes: Sequence[int], hop_length: int | None = None) -> list[Tensor]:
    """`max(|X|^2, 1e-8)` at every size, `(batch, bin, frame)`."""
    check_shape("audio", audio, "batch time")
    if audio.shape[1] <= max(sizes) // 2:
        raise UsageError(
            f"The audio has {audio.shape[1]} samples; a window of {max(sizes)} samples needs more "
            f"than {max(sizes) // 2}."
        )
    return [power(audio, size, hop_length or size // 2).clamp_min(_FLOOR) for size in sizes]


def _mean_abs(first: Tensor, second: Tensor) -> Tensor:
    return (first - second).abs().mean((1, 2))


def _lufs(audio: Tensor, sample_rate: int) -> Tensor:
    return loudness_lufs(audio[:, None], sample_rate)


def _paired(d_output: ArrayLike, d_input: ArrayLike) -> tuple[Floats, Floats]:
    output, before = (np.asarray(values, np.float64) for values in (d_output, d_input))
    if output.shape != before.shape or output.ndim != 1 or not output.size:
        raise UsageError(
            "Distances of outputs and inputs must be two lists of one length, at least one item, "
            f"not {output.shape} and {before.shape}."
        )
    if not (np.isfinite(output).all() and np.isfinite(before).all()):
        raise UsageError("Some distances are not finite: leave out items without a value first.")
    return output, before
