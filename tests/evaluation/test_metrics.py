"""The metrics equal their definitions, written out in numpy; the baselines do their one job."""

from __future__ import annotations

import math
import sys
import types

import numpy as np
import pyloudnorm
import pytest
import scipy.fft
import scipy.signal
import torch

from afxvae.audio import loudness_lufs
from afxvae.evaluation import baselines, metrics, style
from afxvae.types import UsageError

RATE = 24000
TIME = 40000
EXACT = {"atol": 2e-4, "rtol": 2e-4}


def clips(seed: int, colour: float = 0.9, time: int = TIME) -> torch.Tensor:
    """Two clips of coloured noise that comes and goes, `(2, time)`."""
    generator = np.random.default_rng(seed)
    noise = scipy.signal.lfilter([0.05], [1, -colour], generator.standard_normal((2, time)))
    return torch.tensor(noise * np.sin(np.arange(time) / 4000) ** 2, dtype=torch.float32)


def stft(audio: np.ndarray, n_fft: int, hop: int) -> np.ndarray:
    """Spectrum `(bin, frame)` by the definition, in double precision."""
    padded = np.pad(audio.astype(np.float64), n_fft // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, n_fft)[::hop]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)
    return np.fft.rfft(frames * window, axis=1).T


def mel_bands(n_fft: int, n_mels: int) -> np.ndarray:
    """Slaney's bands, edge by edge."""

    def hz(mel: float) -> float:
        return mel * 200 / 3 if mel < 15 else 1000 * math.exp((mel - 15) * math.log(6.4) / 27)

    top = 15 + 27 * math.log(RATE / 2 / 1000) / math.log(6.4)
    edges = [hz(top * i / (n_mels + 1)) for i in range(n_mels + 2)]
    bands = np.zeros((n_mels, n_fft // 2 + 1))
    for band, (low, peak, high) in enumerate(zip(edges, edges[1:], edges[2:], strict=False)):
        for k, f in enumerate(np.arange(n_fft // 2 + 1) * RATE / n_fft):
            rise, fall = (f - low) / (peak - low), (high - f) / (high - peak)
            bands[band, k] = max(0.0, min(rise, fall)) * 2 / (high - low)
    return bands


def log_and_linear(x: np.ndarray, y: np.ndarray) -> float:
    return float(np.mean(np.abs(np.log(x) - np.log(y))) + np.mean(np.abs(x - y)))


def floored(spectrum: np.ndarray) -> np.ndarray:
    return np.sqrt(np.maximum(np.abs(spectrum) ** 2, 1e-8))


def test_mr_stft_equals_its_definition():
    x, y = clips(0), clips(1, 0.5)
    expected = [
        np.mean(
            [
                log_and_linear(floored(stft(a, n, n // 2)), floored(stft(b, n, n // 2)))
                for n in (32, 128, 512, 2048, 8192, 32768)
            ]
        )
        for a, b in zip(x.numpy(), y.numpy(), strict=True)
    ]
    torch.testing.assert_close(metrics.mr_stft(x, y), torch.tensor(expected).float(), **EXACT)


def test_one_truth_serves_many_outputs():
    x, truth = clips(0), clips(1)[:1]
    once = metrics.mr_stft_from_magnitudes(
        metrics.stft_magnitudes(x), metrics.stft_magnitudes(truth)
    )
    torch.testing.assert_close(once, metrics.mr_stft(x, truth.expand(2, -1)))


def test_msd_equals_its_definition():
    x, y = clips(0), clips(1, 0.5)
    bands = mel_bands(65536, 128)
    for i in range(2):
        mel_x, mel_y = (bands @ floored(stft(a[i].numpy(), 65536, 65536)) for a in (x, y))
        assert metrics.msd(x, y)[i].item() == pytest.approx(log_and_linear(mel_x, mel_y), rel=1e-3)


def test_mel_bands():
    np.testing.assert_allclose(
        style.mel_matrix(RATE, 2048, 128).numpy(), mel_bands(2048, 128), atol=1e-7
    )
    area = style.mel_matrix(RATE, 65536, 40).sum(1) * RATE / 65536
    torch.testing.assert_close(area, torch.ones(40), atol=2e-3, rtol=0)


def test_spectral_centroid_error():
    def centroid(audio: np.ndarray) -> float:
        magnitudes = np.abs(stft(audio, 2048, 512))
        hz = np.arange(1025) * RATE / 2048
        return float(np.mean(hz @ magnitudes / magnitudes.sum(0)))

    x, y = clips(0), clips(1, 0.5)
    expected = abs(centroid(x[0].numpy()) - centroid(y[0].numpy()))
    assert metrics.spectral_centroid_error(x, y)[0].item() == pytest.approx(expected, rel=1e-3)
    time = torch.arange(TIME, dtype=torch.float64) / RATE
    low, high = (torch.sin(2 * math.pi * hz * time).float()[None] for hz in (1000, 3000))
    assert metrics.spectral_centroid_error(low, high).item() == pytest.approx(2000, abs=10)


def test_mfcc_error():
    def statistics(audio: np.ndarray) -> np.ndarray:
        power = mel_bands(2048, 128) @ np.abs(stft(audio, 2048, 512)) ** 2
        level_db = 10 * np.log10(np.maximum(power, 1e-10))
        level_db = np.maximum(level_db, level_db.max() - 80)
        mfcc = scipy.fft.dct(level_db, type=2, axis=0, norm="ortho")[:20]
        return np.concatenate([mfcc.mean(1), mfcc.std(1)])

    x, y = clips(0), clips(1, 0.5)
    expected = np.mean(np.abs(statistics(x[1].numpy()) - statistics(y[1].numpy())))
    assert metrics.mfcc_error(x, y)[1].item() == pytest.approx(expected, rel=1e-3)


def test_level_errors():
    x, y = clips(0), clips(1, 0.5)
    lufs = [pyloudnorm.Meter(RATE).integrated_loudness(a[0].double().numpy()) for a in (x, y)]
    assert metrics.lufs_error(x, y)[0].item() == pytest.approx(abs(lufs[0] - lufs[1]), abs=0.03)
    torch.testing.assert_close(metrics.rms_error_db(2 * x, x), torch.full((2,), 6.0206))
    torch.testing.assert_close(metrics.lufs_error(2 * x, x), torch.full((2,), 6.0206))
    torch.testing.assert_close(metrics.crest_factor_error(2 * x, x), torch.zeros(2))
    sine = torch.sin(torch.arange(TIME) * 0.02)[None]
    square = sine.sign()
    assert metrics.crest_factor_error(sine, square).item() == pytest.approx(3.01, abs=0.01)


@pytest.mark.parametrize("name", metrics.METRICS)
def test_every_metric_is_zero_for_the_truth_symmetric_and_batched(name):
    metric, x, y = metrics.METRICS[name], clips(0), clips(1, 0.5)
    assert metric(x, x).tolist() == [0, 0]
    both = metric(x, y)
    assert both.shape == (2,)
    assert (both > 0).all()
    torch.testing.assert_close(metric(y, x), both)
    torch.testing.assert_close(metric(x[1:], y[1:]), both[1:], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", metrics.METRICS)
def test_every_metric_survives_silence(name):
    silence = torch.zeros(2, TIME)
    for pair in ((silence, silence), (silence, clips(0)), (clips(0), silence)):
        assert torch.isfinite(metrics.METRICS[name](*pair)).all()


def test_matched_loudness_takes_the_level_out():
    x = clips(0)
    torch.testing.assert_close(
        metrics.at_matched_loudness(0.1 * x, x, RATE), x, rtol=1e-4, atol=1e-6
    )
    silence = torch.zeros(2, TIME)
    assert torch.equal(metrics.at_matched_loudness(x, silence, RATE), x)
    assert torch.equal(metrics.at_matched_loudness(silence, x, RATE), silence)


def test_clips_that_do_not_fit_are_refused():
    with pytest.raises(UsageError, match="16000 samples; a window of 32768 samples needs more"):
        metrics.stft_magnitudes(torch.zeros(1, 16000))
    with pytest.raises(UsageError, match="differ"):
        metrics.mr_stft(torch.zeros(1, TIME), torch.zeros(1, TIME + 1))


def test_pesq_is_optional_and_counts_failures(monkeypatch):
    monkeypatch.setitem(sys.modules, "pesq", None)
    with pytest.raises(UsageError, match="pip install pesq"):
        metrics.pesq(clips(0), clips(1))
    scores = iter([3.5, RuntimeError("no utterances")])

    def score(rate: int, truth: np.ndarray, output: np.ndarray, mode: str) -> float:
        assert (rate, mode) == (16000, "wb")
        assert truth.shape == output.shape == (round(TIME / 1.5),)
        assert np.abs(truth).max() > np.abs(output).max()
        value = next(scores)
        if isinstance(value, Exception):
            raise value
        return value

    module = types.ModuleType("pesq")
    monkeypatch.setattr(module, "pesq", score, raising=False)
    monkeypatch.setitem(sys.modules, "pesq", module)
    first, second = metrics.pesq(0.1 * clips(0), clips(0)).tolist()
    assert first == 3.5
    assert math.isnan(second)


def test_closure_is_a_ratio_of_means():
    assert metrics.closure([0, 0], [1, 3]) == 1
    assert metrics.closure([1, 3], [1, 3]) == 0
    assert metrics.closure(torch.tensor([2.0, 2.0]), torch.tensor([0.0, 2.0])) == -1
    for output, before, sentence in (
        ([1], [0], "truth already"),
        ([], [], "at least one"),
        ([1, 2], [1], "one length"),
        ([math.nan], [1], "not finite"),
    ):
        with pytest.raises(UsageError, match=sentence):
            metrics.closure(output, before)


def test_share_worse_has_a_margin_for_rounding():
    assert metrics.share_worse([1, 1 + 1e-10, 1.1, 0.9], [1, 1, 1, 1]) == 0.25


def test_bootstrap_interval():
    generator = np.random.default_rng(0)
    before = generator.uniform(0.5, 1.5, 400)
    output = before * generator.uniform(0, 1, 400)
    low, high = metrics.bootstrap_interval(output, before)
    assert low < metrics.closure(output, before) < high
    assert (low, high) == metrics.bootstrap_interval(output, before)
    assert (low, high) != metrics.bootstrap_interval(output, before, seed=1)
    # Against the normal approximation of a ratio of means.
    ratio = output.mean() / before.mean()
    spread = np.std(output - ratio * before) / before.mean() / 20
    assert high - low == pytest.approx(2 * 1.96 * spread, rel=0.1)
    assert metrics.bootstrap_interval(0.5 * before, before) == pytest.approx((0.5, 0.5))
    assert metrics.bootstrap_interval([0.5, 0.0], [1.0, 0.0], n=50) == (0.5, 0.5)
    low, high = metrics.bootstrap_interval([2, 0] * 50, [1] * 100, metrics.share_worse)
    assert (low, high) == pytest.approx((0.4, 0.6), abs=0.03)


ROWS = [baselines.loudness_only, baselines.spectrum_only, baselines.rule_based]


@pytest.mark.parametrize("row", ROWS)
def test_baselines_keep_shapes_and_items_apart(row):
    x = torch.stack([clips(0), clips(1)], 1)
    reference = clips(2, 0.2, 30000)[:, None]
    out = row(x, reference, RATE)
    assert out.shape == x.shape
    assert torch.isfinite(out).all()
    torch.testing.assert_close(row(x[1:], reference[1:], RATE), out[1:], rtol=1e-3, atol=1e-5)
    silence = torch.zeros_like(x)
    assert torch.equal(row(silence, reference, RATE), silence)
    assert torch.equal(row(x, torch.zeros_like(reference), RATE), x)
    with pytest.raises(UsageError, match="as many of each"):
        row(x, reference[:1], RATE)


def test_loudness_only_sets_the_loudness():
    x, reference = clips(0)[:, None], clips(1, 0.3)[:, None]
    out = baselines.loudness_only(x, reference, RATE)
    torch.testing.assert_close(loudness_lufs(out, RATE), loudness_lufs(reference, RATE))
    gain = out.abs().amax(-1) / x.abs().amax(-1)
    torch.testing.assert_close(out, x * gain[..., None])


@pytest.mark.parametrize("row", ROWS[1:])
@pytest.mark.parametrize("rate", [24000, 44100])
def test_spectra_are_matched(row, rate):
    """The recordings differ; the reference went through a shelf that the row has to find."""
    x, dry = clips(0, time=3 * rate)[:, None], clips(1, time=3 * rate)[:, None]
    shelf = ([2, -1.2], [1, -0.2])
    wet = torch.tensor(scipy.signal.lfilter(*shelf, dry.numpy()), dtype=torch.float32)
    truth = torch.tensor(scipy.signal.lfilter(*shelf, x.numpy()), dtype=torch.float32)
    out = row(x, wet, rate)

    def spectrum_db(audio: torch.Tensor) -> np.ndarray:
        hz, power = scipy.signal.welch(audio[0, 0].numpy(), rate, nperseg=512)
        return 10 * np.log10(power[(hz > 200) & (hz < 0.45 * rate)])

    before = spectrum_db(x) - spectrum_db(truth)
    after = spectrum_db(out) - spectrum_db(truth)
    assert after.std() < 0.35 * before.std()


def test_spectrum_only_sets_the_level_and_leaves_a_match_alone():
    x = clips(0)[:, None]
    out = baselines.spectrum_only(x, 0.25 * x, RATE)
    torch.testing.assert_close(out, 0.25 * x, atol=1e-4, rtol=0)


def test_the_rule_based_filter_is_firwin2_of_savgol():
    x, reference = clips(0, time=70000)[:1, None], clips(1, 0.3, 70000)[:1, None]

    def average(audio: torch.Tensor) -> np.ndarray:
        spectrum = torch.stft(
            audio[:, 0], 65536, window=torch.ones(65536), return_complex=True, normalized=True
        )
        return scipy.signal.savgol_filter(spectrum.abs().mean(-1)[0].numpy(), 1025, 2)

    response = average(reference) / average(x)
    response[-1] = 0
    expected = scipy.signal.firwin2(63, np.linspace(0, RATE / 2, 32769), response, fs=RATE)
    ours = baselines._matching_kernel(x, reference)[0].numpy()
    np.testing.assert_allclose(ours, expected, atol=2e-2 * np.abs(expected).max())


def test_rule_based_compresses_until_it_is_loud_enough():
    time = torch.arange(6 * RATE)
    carrier, other = torch.randn(2, 1, 1, len(time), generator=torch.Generator().manual_seed(0))
    swell = 0.5 - 0.5 * torch.cos(2 * math.pi * time / RATE)
    swinging, steady = 0.1 * carrier * (0.1 + 0.9 * swell**4), 0.05 * other * (0.1 + 0.9 * swell)
    out = baselines.rule_based(swinging, steady, RATE)
    torch.testing.assert_close(out.abs().max(), steady.abs().max())
    short_by = loudness_lufs(steady, RATE) - loudness_lufs(out, RATE)
    assert 0.2 < short_by.item() <= 0.5  # the first half decibel of threshold that is enough

    def crest_db(audio: torch.Tensor) -> float:
        return 20 * math.log10(audio.abs().max() / audio.square().mean().sqrt())

    assert crest_db(out) < crest_db(swinging) - 2
    soft = baselines.rule_based(steady, swinging, RATE)  # loud enough: the compressor stays out
    assert crest_db(soft) == pytest.approx(crest_db(steady), abs=0.6)


def test_a_style_report_says_what_the_metrics_say() -> None:
    """A quiet, bright copy of noise, and its low-passed version as the result."""
    generator = torch.Generator().manual_seed(3)
    reference, before = torch.randn(2, 2 * RATE, generator=generator) * torch.tensor(
        [[0.1], [0.01]]
    )
    after = torch.nn.functional.avg_pool1d(before[None], 3, 1, 1)[0]
    report = style.style_report(before, after, reference, RATE)
    for when, clip in (("before", before), ("after", after)):
        pair = [
            audio[None] * 10 ** ((-23 - metrics.loudness_lufs(audio.view(1, 1, -1), RATE)) / 20)
            for audio in (clip, reference)
        ]
        for name, metric in (
            ("mfcc", metrics.mfcc_error),
            ("centroid_hz", metrics.spectral_centroid_error),
            ("crest_db", metrics.crest_factor_error),
        ):
            assert report[name][when] == pytest.approx(float(metric(*pair)), abs=1e-3)
        found = metrics.lufs_error(clip[None], reference[None])
        assert report["loudness_lu"][when] == pytest.approx(float(found), abs=1e-3)
    silent = style.style_report(torch.zeros(RATE), before, reference, RATE)
    assert all(np.isfinite(list(both.values())).all() for both in silent.values())
