"""Loudness is BS.1770's, and true peaks lie between the samples."""

from __future__ import annotations

import math

import numpy as np
import pyloudnorm
import pytest
import torch

from afxvae import audio as aud
from afxvae.loudness import LoudnessMeter

from .conftest import RATE


def programme(rate: int, channels: int, kind: str) -> np.ndarray:
    """Sound with the spectrum of white, pink or brown noise, coming and going."""
    generator = np.random.default_rng(1)
    frames = round(5.5 * rate) + 123
    spectrum = np.fft.rfft(generator.standard_normal((frames, channels)), axis=0)
    slope = {"white": 0.0, "pink": 0.5, "brown": 1.0}[kind]
    spectrum /= np.maximum(np.fft.rfftfreq(frames, 1 / rate), 30)[:, None] ** slope
    samples = np.fft.irfft(spectrum, frames, axis=0)
    envelope = np.abs(np.sin(2.1 * np.arange(frames) / rate)) ** 3 + 0.003
    return samples / np.abs(samples).max() * envelope[:, None]


@pytest.mark.parametrize("rate", [24000, 44100, 48000])
@pytest.mark.parametrize("kind", ["white", "pink", "brown"])
def test_loudness_equals_pyloudnorm(rate, kind):
    for channels in (1, 2, 5):
        samples = programme(rate, channels, kind)
        ours = aud.loudness_lufs(torch.tensor(samples.T[None], dtype=torch.float32), rate).item()
        assert ours == pytest.approx(pyloudnorm.Meter(rate).integrated_loudness(samples), abs=0.05)
        exact = pyloudnorm.Meter(rate, filter_class="DeMan").integrated_loudness(samples)
        assert ours == pytest.approx(exact, abs=0.002 if rate == 48000 else 0.045)


def test_loudness_of_the_standard_tone():
    """A full-scale 997 Hz sine in one channel reads -3.01 LUFS."""
    for rate in (24000, 44100, 48000, 96000):
        time = torch.arange(3 * rate, dtype=torch.float64) / rate
        tone = torch.sin(2 * math.pi * 997 * time).float()[None, None]
        assert aud.loudness_lufs(tone, rate).item() == pytest.approx(-3.01, abs=0.03)
        assert aud.loudness_lufs(tone * 0.1, rate).item() == pytest.approx(-23.01, abs=0.03)


def test_loudness_gates_silence_and_has_a_floor():
    tone = torch.sin(torch.arange(RATE * 4) * 0.2)[None, None]
    padded = torch.cat([tone, torch.zeros(1, 1, RATE * 20)], -1)
    assert abs(aud.loudness_lufs(padded, RATE) - aud.loudness_lufs(tone, RATE)).item() < 0.2
    assert aud.loudness_lufs(torch.zeros(2, 1, RATE), RATE).tolist() == [-70, -70]
    short = aud.loudness_lufs(tone[..., : RATE // 5], RATE)
    assert abs(short - aud.loudness_lufs(tone, RATE)).item() < 0.3


def test_surround_weights():
    tone = torch.sin(torch.arange(RATE) * 0.2)
    for count, channel, gain_db in ((5, 4, 1.492), (6, 4, 1.492), (6, 2, 0.0)):
        audio = torch.zeros(1, count, RATE)
        audio[0, channel] = tone
        raised = aud.loudness_lufs(audio, RATE) - aud.loudness_lufs(tone[None, None], RATE)
        assert raised.item() == pytest.approx(gain_db, abs=0.01)
    audio = torch.zeros(1, 6, RATE)
    audio[0, 3] = tone
    assert aud.loudness_lufs(audio, RATE).item() == -70


def test_loudness_in_batches_in_pieces_and_differentiated(monkeypatch):
    audio = torch.tensor(
        np.stack([programme(RATE, 2, kind).T for kind in ("pink", "white")])
    ).float()
    both = aud.loudness_lufs(audio, RATE)
    for item, loudness in zip(audio, both, strict=True):
        torch.testing.assert_close(aud.loudness_lufs(item[None], RATE)[0], loudness)
    monkeypatch.setattr("afxvae.loudness._BLOCK", 10000)
    torch.testing.assert_close(aud.loudness_lufs(audio, RATE), both, atol=1e-4, rtol=0)
    gain = torch.tensor(0.5, requires_grad=True)
    aud.loudness_lufs(audio * gain, RATE)[0].backward()
    assert gain.grad is not None
    assert gain.grad.item() == pytest.approx(20 / math.log(10) / 0.5, rel=1e-3)
    quiet = torch.zeros(1, 1, RATE, requires_grad=True)
    aud.loudness_lufs(quiet, RATE).sum().backward()
    assert quiet.grad is not None
    assert bool(torch.isfinite(quiet.grad).all())


def test_normalize_loudness():
    audio = torch.tensor(programme(RATE, 1, "pink").T[None]).float().repeat(2, 1, 1)
    out, gain_db = aud.normalize_loudness(audio, RATE, torch.tensor([-23.0, -16.0]))
    torch.testing.assert_close(aud.loudness_lufs(out, RATE), torch.tensor([-23.0, -16.0]))
    assert (gain_db[1] - gain_db[0]).item() == pytest.approx(7, abs=1e-4)
    assert aud.normalize_loudness(audio, RATE, -23.0)[1][0].item() == pytest.approx(
        gain_db[0].item()
    )


def test_true_peak_lies_between_the_samples():
    """A sine at a quarter of the rate, sampled 45 degrees off its crests, reads 3 dB low."""
    tone = torch.sin(math.pi / 2 * torch.arange(4000) + math.pi / 4)[None, None]
    tone = tone * torch.hann_window(4000)
    assert tone.abs().max().item() < 0.708
    assert aud.true_peak(tone).item() == pytest.approx(1, abs=2e-3)
    gain = aud.peak_limit_gain(torch.cat([2 * tone, 0.1 * tone]), -1.0)
    assert gain[0].item() == pytest.approx(10 ** (-1 / 20) / 2, rel=2e-3)
    assert gain[1].item() == 1


def test_true_peak_in_pieces_equals_the_whole(monkeypatch):
    audio = torch.randn(2, 2, 5000, generator=torch.Generator().manual_seed(0))
    whole = aud.true_peak(audio)
    monkeypatch.setattr("afxvae.loudness._BLOCK", 300)
    torch.testing.assert_close(aud.true_peak(audio), whole)


@pytest.mark.parametrize("size", [1, 10, 47, 333, 4000])
def test_peaks_in_blocks_are_those_of_the_whole(size):
    """Peaks between two blocks and at both ends are found too."""
    generator = torch.Generator().manual_seed(0)
    for level in (0.1, 3.0):
        sound = level * torch.randn(2, 2000, generator=generator).cumsum(1).sin()
        meter = aud.PeakMeter()
        for block in sound.split(size, 1):
            meter.add(block)
        assert meter.sample_peak == float(sound.abs().max())
        assert meter.limit_gain() == pytest.approx(float(aud.peak_limit_gain(sound[None])))


@pytest.mark.parametrize("size", [100, 4410, 1 << 18])
@pytest.mark.parametrize(
    ("channels", "seconds"), [(1, 0.2), (2, 0.45), (2, 13.0), (5, 2.0), (6, 2.0)]
)
def test_loudness_in_blocks_is_that_of_the_whole(channels, seconds, size):
    rate = 44100
    generator = torch.Generator().manual_seed(0)
    sound = torch.randn(channels, round(seconds * rate), generator=generator)
    sound = sound * torch.linspace(0.01, 0.5, sound.shape[1])
    meter = LoudnessMeter(rate)
    for block in sound[:, : 300 * size].split(size, 1):
        meter.add(block)
    whole = float(aud.loudness_lufs(sound[None, :, : 300 * size], rate))
    assert meter.lufs() == pytest.approx(whole, abs=1e-3)


def test_a_loudness_meter_that_heard_nothing_reads_its_floor():
    assert LoudnessMeter(44100).lufs() == -70.0
