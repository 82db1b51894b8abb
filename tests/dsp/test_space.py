"""The room decays as its knobs say at every rate, and is the same room at all of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.signal import butter, sosfiltfilt

from afxvae.dsp import space
from afxvae.effects.reverb import REVERB
from afxvae.effects.spatial import WIDTH

ROOM = {"decay_s": 0.5, "treble_ratio": 0.5, "pre_delay_ms": 10.0, "mix": 1.0}


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 0.2 * torch.randn(*shape, generator=generator, dtype=torch.float64)


def run(effect, x: torch.Tensor, rate: int, **knobs: float) -> torch.Tensor:
    settings = {name: torch.full((len(x),), value, dtype=x.dtype) for name, value in knobs.items()}
    return effect.process(x, settings, rate)


def room(decay_s: float, treble_ratio: float, rate: int, channels: int = 1) -> np.ndarray:
    """The room's response, ``(channel, time)``."""
    knobs = (torch.tensor([value], dtype=torch.float64) for value in (decay_s, treble_ratio))
    return space.reverb_impulse_response(*knobs, rate, channels)[0].numpy()


def db(power: float) -> float:
    return 10.0 * math.log10(power + 1e-30)


def residual_db(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return db(float((found.double() - wanted).square().mean() / wanted.double().square().mean()))


def band(x: np.ndarray, low_hz: float, high_hz: float, rate: int) -> np.ndarray:
    """Zero-phase band pass with room at both ends for its ringing."""
    sections = butter(4, [low_hz, min(high_hz, 0.48 * rate)], "bandpass", fs=rate, output="sos")
    return sosfiltfilt(sections, np.pad(x, ((0, 0), (rate // 4, rate // 4))), axis=-1)


# reverberation


@pytest.mark.parametrize("rate", [24000, 48000])
@pytest.mark.parametrize("treble_ratio", [0.2, 0.3, 0.5, 0.7, 1.0])
@pytest.mark.parametrize("decay_s", [0.1, 0.4, 1.5, 6.0])
def test_rt60_of_each_band_is_within_10_percent_of_the_knob(decay_s, treble_ratio, rate):
    """Schroeder's backward integration, -5 to -35 dB (T30), in octaves around the centres."""
    response = room(decay_s, treble_ratio, rate, channels=4)
    wanted = (decay_s, decay_s * math.sqrt(treble_ratio), decay_s * treble_ratio)
    for centre, rt60 in zip(space.BAND_CENTRES_HZ, wanted, strict=True):
        part = band(response, centre / math.sqrt(2.0), centre * math.sqrt(2.0), rate)
        left = np.cumsum((part**2).sum(0)[::-1])[::-1]
        level = 10.0 * np.log10(left / left[0] + 1e-30)
        start, end = int((level < -5.0).argmax()), int((level < -35.0).argmax())
        slope = np.polyfit(np.arange(start, end) / rate, level[start:end], 1)[0]
        assert -60.0 / slope == pytest.approx(rt60, rel=0.1)


@pytest.mark.parametrize("rate", [8000, 24000, 44100, 96000])
@pytest.mark.parametrize("decay_s", [0.1, 1.0, 6.0])
def test_room_has_unit_energy_and_less_with_less_treble(decay_s, rate):
    energy = (room(decay_s, 1.0, rate, channels=2) ** 2).sum(-1)
    assert energy == pytest.approx([1.0, 1.0], rel=0.1)  # half a dB
    darker = (room(decay_s, 0.3, rate, channels=2) ** 2).sum(-1)
    assert (darker < 0.8 * energy).all()


def test_level_of_noise_is_kept():
    """Unit energy: white noise in a fully wet room of equal decay is as loud as it was."""
    x = noise(1, 2, 60000)
    y = run(REVERB, x, 24000, **ROOM | {"treble_ratio": 1.0})
    assert db(float(y[..., 20000:].var() / x.var())) == pytest.approx(0.0, abs=1.0)


def test_it_is_the_same_room_at_24_and_48_khz():
    """What both rates can carry well (up to 4 kHz) correlates, sample by sample."""
    low, high = room(0.8, 0.6, 24000, 2), room(0.8, 0.6, 48000, 2)
    for channel in range(2):
        slow = band(low[channel : channel + 1], 100.0, 4000.0, 24000)[0]
        fast = band(high[channel : channel + 1], 100.0, 4000.0, 48000)[0, ::2]
        length = min(len(slow), len(fast))
        slow, fast = slow[:length], fast[:length]
        correlation = slow @ fast / math.sqrt((slow @ slow) * (fast @ fast))
        assert correlation > 0.95
        assert db(float(fast @ fast) * 4.0 / float(slow @ slow)) == pytest.approx(0.0, abs=0.3)


def test_channels_hear_different_reflections():
    left, right, third = room(1.0, 0.5, 24000, 3)
    for one, other in ((left, right), (left, third), (right, third)):
        correlation = one @ other / math.sqrt((one @ one) * (other @ other))
        assert abs(correlation) < 0.1


@pytest.mark.parametrize("pre_delay_ms", [0.0, 25.0, 100.0])
def test_reverb_is_the_convolution_after_the_pre_delay(pre_delay_ms):
    rate = 8000
    x = noise(1, 2, 3000)
    found = run(REVERB, x, rate, **ROOM | {"pre_delay_ms": pre_delay_ms, "mix": 0.25})
    responses = room(ROOM["decay_s"], ROOM["treble_ratio"], rate, 2)
    shift = round(pre_delay_ms * rate / 1000.0)
    for channel, response in enumerate(responses):
        dry = x[0, channel].numpy()
        wet = np.concatenate([np.zeros(shift), np.convolve(dry, response)])[:3000]
        want = torch.from_numpy(0.75 * dry + 0.25 * wet)
        assert residual_db(found[0, channel], want) < -120.0


@pytest.mark.parametrize("pre_delay_ms", [0.0, 20.0, 20.02])
def test_reverb_leaves_what_came_before_alone(pre_delay_ms):
    first = noise(1, 1, 12000)
    second = first.clone()
    second[..., 6000:] = noise(1, 1, 6000, seed=1)
    outputs = [
        run(REVERB, x, 24000, **ROOM | {"pre_delay_ms": pre_delay_ms}) for x in (first, second)
    ]
    difference = (outputs[0] - outputs[1])[0, 0]
    onset = 6000 + round(24 * pre_delay_ms)
    early = float(difference[: onset - 200].square().mean())
    assert db(early / float(difference[onset:].square().mean())) < -60.0


def test_late_reflections_do_not_wrap_around():
    """A click at the end of the signal sounds on beyond it, not at its beginning."""
    x = torch.zeros(1, 1, 6000, dtype=torch.float64)
    x[..., 5900] = 1.0
    wet = run(REVERB, x, 24000, **ROOM | {"decay_s": 6.0, "pre_delay_ms": 0.0})
    assert float(wet[..., :5700].abs().max()) < 1e-6


def test_noise_survives_inference_mode():
    """What inference mode has put into the cache must also serve training."""
    space._velvet_bands.cache_clear()
    x = noise(1, 1, 1000)
    with torch.inference_mode():
        run(REVERB, x, 24000, **ROOM)
    knob = torch.tensor([0.5], dtype=torch.float64, requires_grad=True)
    space.reverb_impulse_response(knob, knob, 24000, 1).square().sum().backward()
    assert bool(knob.grad.isfinite().all())


# width


@pytest.mark.parametrize("width", [0.0, 0.5, 1.0, 1.7, 2.0])
def test_width_scales_the_side_and_keeps_the_middle(width):
    x = noise(1, 2, 500)
    y = run(WIDTH, x, 24000, width=width)
    torch.testing.assert_close(y.sum(1), x.sum(1))
    torch.testing.assert_close(y[:, 0] - y[:, 1], width * (x[:, 0] - x[:, 1]))


def test_width_0_is_mono_and_other_channel_counts_pass():
    y = run(WIDTH, noise(1, 2, 500), 24000, width=0.0)
    torch.testing.assert_close(y[:, 0], y[:, 1])
    for channels in (1, 3, 6):
        x = noise(1, channels, 500)
        assert torch.equal(run(WIDTH, x, 24000, width=2.0), x)
