"""Attributes obey laws, agree with the models they re-implement, and are defined everywhere."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from afxvae.audio import resample
from afxvae.timbre import ATTRIBUTES, attributes
from afxvae.types import AudioError, UsageError
from tests.sounds import phrases, sound

RATE = 44100
every_attribute = pytest.mark.parametrize("name", ATTRIBUTES)


def made(name: str) -> np.ndarray:
    """Signals of 3 s at 44.1 kHz that the original was run on."""
    rng = np.random.default_rng(5)
    time = np.arange(3 * RATE) / RATE
    if name == "notes":
        return phrases(3, 3.0, RATE)
    if name == "rough noise":
        return 0.1 * rng.standard_normal(len(time)) * (1 + np.sin(2 * np.pi * 70 * time))
    if name == "bells":
        partials = np.array([220.0, 447.0, 661.0, 1020.0, 2310.0, 4800.0])
        tones = np.sin(2 * np.pi * partials[:, None] * time).T @ (1 / np.arange(1, 7))
        return 0.1 * tones * np.exp(-4 * (time % 0.75))
    walk = np.cumsum(rng.standard_normal(len(time)))  # "rumble"
    walk -= np.convolve(walk, np.ones(4410) / 4410, "same")
    return walk / np.abs(walk).max() * (0.2 + (time % 1.0 < 0.5))


# What timbral_models 0.4 says of `made`, with librosa 0.11.0, numpy 2.4.6 and scipy 1.17.1: written
# as float WAV files and given to tests/benchmarks/original_attributes.py.
ORIGINAL: dict[str, dict[str, float]] = {
    "bells": {
        "brightness": 56.694,
        "sharpness": 48.372,
        "boominess": 29.36,
        "warmth": 53.797,
        "roughness": 0.0,
        "depth": 52.011,
        "hardness": 51.306,
        "reverberation": 0.696,
    },
    "notes": {
        "brightness": 62.659,
        "sharpness": 54.183,
        "boominess": 29.068,
        "warmth": 32.972,
        "roughness": 54.32,
        "depth": 51.104,
        "hardness": 76.959,
        "reverberation": 0.738,
    },
    "rough noise": {
        "brightness": 87.469,
        "sharpness": 75.279,
        "boominess": 11.164,
        "warmth": 18.657,
        "roughness": 87.241,
        "depth": 33.043,
        "hardness": 77.058,
        "reverberation": 0.298,
    },
    "rumble": {
        "brightness": 58.367,
        "sharpness": 51.712,
        "boominess": 35.627,
        "warmth": 59.731,
        "roughness": 39.534,
        "depth": 71.822,
        "hardness": 53.885,
        "reverberation": 0.298,
    },
}
TOLERANCE = {"warmth": 1.5, "depth": 1.5, "hardness": 3.0, "reverberation": 0.05}
"""Of brightness and the others 0.1 points."""


def value(name: str, audio: torch.Tensor, sample_rate: int = RATE) -> torch.Tensor:
    return attributes(audio, sample_rate, [name])[name]


def brighter(audio: torch.Tensor) -> torch.Tensor:
    """First difference on top: +6 dB an octave at the upper end."""
    return audio + 2.0 * torch.diff(audio, dim=-1, prepend=audio[..., :1])


def shelved(audio: torch.Tensor, gain_db: float, below_hz: float = 200.0) -> torch.Tensor:
    """Gain below a frequency, by spectrum."""
    spectrum = torch.fft.rfft(audio)
    hz = torch.fft.rfftfreq(audio.shape[-1], 1 / RATE)
    low = 1 / (1 + (hz / below_hz) ** 4)
    return torch.fft.irfft(spectrum * (1 + (10 ** (gain_db / 20) - 1) * low), audio.shape[-1])


@pytest.fixture(scope="module")
def clips() -> torch.Tensor:
    return torch.cat([sound(seed, 2.0, RATE) for seed in (1, 2)])


@pytest.fixture(scope="module")
def found(clips: torch.Tensor) -> dict[str, torch.Tensor]:
    return attributes(clips, RATE)


@pytest.mark.parametrize("signal", ORIGINAL)
def test_values_are_those_of_the_original(signal: str) -> None:
    audio = torch.from_numpy(made(signal)).float()[None]
    ours = attributes(audio, RATE, ORIGINAL[signal])
    for name, expected in ORIGINAL[signal].items():
        assert float(ours[name]) == pytest.approx(expected, abs=TOLERANCE.get(name, 0.1)), name


def test_they_are_all_there(found: dict[str, torch.Tensor]) -> None:
    assert list(found) == list(ATTRIBUTES)
    for values in found.values():
        assert values.shape == (2,)
        assert values.dtype == torch.float32
        assert bool(torch.isfinite(values).all())


def test_level_does_not_matter(clips: torch.Tensor, found: dict[str, torch.Tensor]) -> None:
    for gain in (0.003, 50.0):
        for name, values in attributes(gain * clips, RATE).items():
            torch.testing.assert_close(values, found[name], atol=1e-3, rtol=1e-4)


def test_an_item_of_a_batch_equals_one_alone(
    clips: torch.Tensor, found: dict[str, torch.Tensor]
) -> None:
    for name, values in attributes(clips[1:], RATE).items():
        torch.testing.assert_close(values[0], found[name][1], atol=1e-3, rtol=1e-4)


def test_double_precision_agrees(clips: torch.Tensor, found: dict[str, torch.Tensor]) -> None:
    for name, values in attributes(clips[:1].double(), RATE).items():
        assert values.dtype == torch.float64
        torch.testing.assert_close(values.float()[0], found[name][0], atol=1e-2, rtol=1e-3)


def test_sample_rates_agree() -> None:
    source = resample(sound(4, 2.0, 16000), 16000, 96000)
    expected = attributes(resample(source, 96000, 16000), 16000)
    for rate in (22050, 48000, 96000):
        for name, values in attributes(resample(source, 96000, rate), rate).items():
            torch.testing.assert_close(values, expected[name], atol=0.5, rtol=0.02, msg=name)


def test_a_brighter_filter_raises_brightness_and_sharpness(
    clips: torch.Tensor, found: dict[str, torch.Tensor]
) -> None:
    ours = attributes(brighter(clips), RATE, ["brightness", "sharpness"])
    for name, values in ours.items():
        assert bool((values > found[name] + 1.0).all()), name


def test_more_bass_raises_boominess_depth_and_warmth(
    clips: torch.Tensor, found: dict[str, torch.Tensor]
) -> None:
    ours = attributes(shelved(clips, 12.0), RATE, ["boominess", "depth", "warmth"])
    for name, values in ours.items():
        assert bool((values > found[name] + 1.0).all()), name


def test_beating_at_70_hz_is_rough() -> None:
    time = torch.arange(RATE) / RATE
    tone = torch.sin(2 * torch.pi * 1000 * time)[None]
    beating = tone * (1 + torch.sin(2 * torch.pi * 70 * time))
    slow = tone * (1 + torch.sin(2 * torch.pi * 4 * time))
    rough, even, swaying = (value("roughness", x) for x in (beating, tone, slow))
    assert float(even) == 0.0
    assert float(rough) > 30.0
    assert float(rough) > float(swaying) + 20.0


def test_decay_is_how_long_sounds_ring() -> None:
    time = torch.arange(3 * RATE) / RATE
    noise = torch.randn(1, 3 * RATE, generator=torch.Generator().manual_seed(0))
    for seconds in (0.3, 0.6, 1.2):
        ringing = noise * 10 ** (-3 * (time % 1.0) / seconds)
        assert float(value("decay", ringing)) == pytest.approx(seconds, rel=0.25)


def test_modulation_rises_with_the_depth_of_a_tremolo() -> None:
    time = torch.arange(3 * RATE) / RATE
    noise = torch.randn(1, 3 * RATE, generator=torch.Generator().manual_seed(0))
    last = float(value("modulation", noise))
    assert last < 5.0
    for depth_db in (1.0, 3.0, 9.0):
        moved = noise * 10 ** (depth_db / 20 * torch.sin(2 * torch.pi * 5 * time))
        stands_out = float(value("modulation", moved))
        assert stands_out > last + 3.0
        last = stands_out


def test_silence_is_zero_and_disturbs_no_neighbour(clips: torch.Tensor) -> None:
    mixed = torch.stack([torch.zeros(RATE), clips[0, :RATE]]).requires_grad_()
    ours = attributes(mixed, RATE)
    alone = attributes(clips[:1, :RATE], RATE)
    for name, values in ours.items():
        assert not bool(values[0])
        torch.testing.assert_close(values.detach()[1:], alone[name], atol=1e-3, rtol=1e-4)
    sum(values.sum() for values in ours.values()).backward()
    assert bool(torch.isfinite(mixed.grad).all())
    assert not bool(mixed.grad[0].any())


@pytest.mark.parametrize("kind", ["noise", "click", "constant", "sine", "one sample"])
@pytest.mark.parametrize("rate", [8000, 44100])
def test_short_and_odd_clips_are_finite(kind: str, rate: int) -> None:
    length = 1 if kind == "one sample" else rate // 20
    time = torch.arange(length) / rate
    audio = {
        "noise": torch.randn(length, generator=torch.Generator().manual_seed(1)),
        "click": torch.eye(1, length)[0],
        "sine": torch.sin(2 * torch.pi * 440 * time),
    }.get(kind, torch.ones(length))
    for name, values in attributes(audio[None], rate).items():
        assert bool(torch.isfinite(values).all()), name


@every_attribute
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    audio = sound(6, 1.0, RATE).double().requires_grad_()
    found = value(name, audio)
    if name == "reverberation":  # has none
        assert not found.requires_grad
        return
    (slope,) = torch.autograd.grad(found.sum(), audio)
    assert bool(torch.isfinite(slope).all())
    if name == "hardness":  # has those of some of its parts
        return
    change = torch.randn(audio.shape, generator=torch.Generator().manual_seed(2)).double() * 0.01
    step = 1e-6
    with torch.no_grad():
        ends = [value(name, audio + sign * step * change) for sign in (1, -1)]
    measured = float(ends[0] - ends[1]) / (2 * step)
    assert float((slope * change).sum()) == pytest.approx(measured, rel=1e-3, abs=1e-6)


def test_what_cannot_be_measured_is_refused() -> None:
    clip = torch.ones(1, 8000)
    with pytest.raises(UsageError, match="no attribute 'loudness'"):
        attributes(clip, 8000, ["loudness"])
    with pytest.raises(UsageError, match="at least 8000 Hz, not 4000"):
        attributes(clip, 4000)
    with pytest.raises(UsageError, match="float32 or float64, not"):
        attributes(clip.short(), 8000)
    with pytest.raises(UsageError, match="audio"):
        attributes(clip[None], 8000)
    with pytest.raises(AudioError, match="0 samples"):
        attributes(clip[:, :0], 8000)
    with pytest.raises(AudioError, match="not finite"):
        attributes(clip * torch.nan, 8000)
