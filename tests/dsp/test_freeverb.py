"""Freeverb is that of JUCE and of SoX, sample by sample, and its bass decays as its knob says."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.signal import butter, sosfiltfilt

from afxvae.dsp.freeverb import JUCE, SOX, feedback, freeverb_response
from afxvae.effects import FREEVERB, SOX_REVERB, Effect

COMBS = (1116, 1188, 1277, 1356, 1422, 1491, 1557, 1617)
ALL_PASSES = (556, 441, 341, 225)
KNOBS = {"decay_s": 0.7, "damping_hz": 5000.0, "pre_delay_ms": 0.0, "mix": 1.0}


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 0.2 * torch.randn(*shape, generator=generator, dtype=torch.float64)


def run(effect: Effect, x: torch.Tensor, rate: int, **knobs: float) -> torch.Tensor:
    settings = {name: torch.full((len(x),), value, dtype=x.dtype) for name, value in knobs.items()}
    return effect.process(x, settings, rate)


def looped(x: list[float], length: int, gain: float, damp: float) -> list[float]:
    """A comb with a lowpass in its loop."""
    buffer, store, found = [0.0] * length, 0.0, []
    for place, sample in enumerate(x):
        out = buffer[place % length]
        store = out * (1.0 - damp) + store * damp
        buffer[place % length] = sample + store * gain
        found.append(out)
    return found


def passed(x: list[float], length: int) -> list[float]:
    """An all-pass, as Freeverb has it."""
    buffer, found = [0.0] * length, []
    for place, sample in enumerate(x):
        out = buffer[place % length]
        buffer[place % length] = sample + 0.5 * out
        found.append(out - sample)
    return found


def reference(
    x: np.ndarray, combs: list[int], all_passes: list[int], gain: float, damp: float
) -> np.ndarray:
    """A room of these lengths, at about unit energy."""
    sums = np.sum([looped(x.tolist(), length, gain, damp) for length in combs], 0).tolist()
    for length in all_passes:
        sums = passed(sums, length)
    return np.array(sums) / math.sqrt(8 / (1 - gain**2) * (7 / 3) ** 4)


def juce_lengths(room: int, rate: int) -> tuple[list[int], list[int]]:
    combs, all_passes = (
        [rate * (length + 23 * room) // 44100 for length in lengths]
        for lengths in (COMBS, ALL_PASSES)
    )
    return combs, all_passes


def sox_lengths(room: int, rate: int, room_scale: float) -> tuple[list[int], list[int]]:
    scale = room_scale / 100 * 0.9 + 0.1
    signs = [room * 12 * (-1) ** place for place in range(8)]
    combs = [
        int(scale * rate / 44100 * (length + sign) + 0.5)
        for length, sign in zip(COMBS, signs, strict=True)
    ]
    all_passes = [
        int(rate / 44100 * (length + sign) + 0.5)
        for length, sign in zip(ALL_PASSES[::-1], signs, strict=False)
    ]
    return combs, all_passes


def loops(knobs: dict[str, float], rate: int, size: float = 1.0) -> tuple[float, float]:
    """Feedback and damping coefficient."""
    gain = 10 ** (-3 * 1378 / 44100 * size / knobs["decay_s"])
    return gain, math.exp(-2 * math.pi * knobs["damping_hz"] / rate)


def error(found: torch.Tensor, wanted: np.ndarray) -> float:
    return float(np.abs(found.numpy() - wanted).max() / np.abs(wanted).max())


@pytest.mark.parametrize("rate", [24000, 44100, 48000])
@pytest.mark.parametrize("channels", [1, 2])
def test_it_is_juces(channels: int, rate: int) -> None:
    x = noise(1, channels, 8000)
    found = run(FREEVERB, x, rate, **KNOBS)[0]
    sent = x[0].mean(0).numpy()
    for room in range(channels):
        wanted = reference(sent, *juce_lengths(room, rate), *loops(KNOBS, rate))
        assert error(found[room], wanted) < 1e-5


@pytest.mark.parametrize("rate", [24000, 44100, 48000])
@pytest.mark.parametrize("room_scale", [0.0, 37.0, 100.0])
@pytest.mark.parametrize("channels", [1, 2])
def test_it_is_that_of_sox(channels: int, room_scale: float, rate: int) -> None:
    """Of which a mono sound hears the mean of both rooms."""
    x = noise(1, channels, 8000)
    found = run(SOX_REVERB, x, rate, **KNOBS, room_scale=room_scale)[0]
    sent, size = x[0].mean(0).numpy(), 0.1 + 0.009 * room_scale
    rooms = [
        reference(sent, *sox_lengths(room, rate, room_scale), *loops(KNOBS, rate, size))
        for room in range(2)
    ]
    for channel, wanted in enumerate(rooms if channels == 2 else [(rooms[0] + rooms[1]) / 2]):
        assert error(found[channel], wanted) < 1e-5


@pytest.mark.parametrize("rate", [24000, 44100])
@pytest.mark.parametrize("decay_s", [0.4, 1.5, 5.0])
@pytest.mark.parametrize(("variant", "size"), [(JUCE, 1.0), (SOX, 1.0), (SOX, 0.3)])
def test_rt60_of_the_bass_is_that_of_the_knob(variant, size, decay_s, rate) -> None:
    """Schroeder's backward integration below 500 Hz, -5 to -35 dB (T30); long loops last longer."""
    knobs = (torch.tensor([value], dtype=torch.float64) for value in (decay_s, 6000.0, size))
    length = math.ceil(1.5 * decay_s * rate)
    response = freeverb_response(*knobs, rate, length, 0, variant)[0].numpy()
    bass = sosfiltfilt(butter(4, 500.0, fs=rate, output="sos"), response)
    left = np.cumsum((bass**2)[::-1])[::-1]
    level = 10.0 * np.log10(left / left[0] + 1e-30)
    start, end = int((level < -5.0).argmax()), int((level < -35.0).argmax())
    slope = np.polyfit(np.arange(start, end) / rate, level[start:end], 1)[0]
    assert -60.0 / slope == pytest.approx(decay_s, rel=0.2)


@pytest.mark.parametrize("decay_s", [0.3, 2.0])
def test_a_room_without_damping_has_unit_energy_and_less_with_it(decay_s: float) -> None:
    def energy(damping_hz: float) -> float:
        knobs = (torch.tensor([value], dtype=torch.float64) for value in (decay_s, damping_hz, 1.0))
        response = freeverb_response(*knobs, 44100, math.ceil(1.5 * decay_s * 44100))
        return float(response.square().sum())

    assert energy(1e6) == pytest.approx(1.0, rel=0.25)  # a dB
    assert energy(1e6) > energy(6000.0) > energy(2000.0)


@pytest.mark.parametrize("effect", [FREEVERB, SOX_REVERB], ids=lambda effect: effect.name)
def test_a_pre_delay_is_the_same_room_later(effect: Effect) -> None:
    x = noise(1, 2, 12000)
    knobs = KNOBS | ({"room_scale": 50.0} if effect is SOX_REVERB else {})
    plain = run(effect, x, 24000, **knobs)
    late = run(effect, x, 24000, **knobs | {"pre_delay_ms": 25.0})
    assert float(late[..., :600].abs().max()) < 1e-6
    torch.testing.assert_close(late[..., 600:], plain[..., :-600], rtol=0, atol=1e-6)


@pytest.mark.parametrize("effect", [FREEVERB, SOX_REVERB], ids=lambda effect: effect.name)
def test_mix_is_the_share_of_the_room_and_none_is_none(effect: Effect) -> None:
    x = noise(1, 2, 3000)
    knobs = KNOBS | ({"room_scale": 50.0} if effect is SOX_REVERB else {})
    wet = run(effect, x, 24000, **knobs)
    blend = run(effect, x, 24000, **knobs | {"mix": 0.3})
    torch.testing.assert_close(blend, 0.7 * x + 0.3 * wet)
    assert torch.equal(run(effect, x, 24000, **knobs | {"mix": 0.0}), x)


def test_loops_never_grow_louder() -> None:
    """However small the room and long the decay."""
    gains = feedback(torch.tensor([0.1, 1.0, 12.0, 12.0]), torch.tensor([1.0, 1.0, 1.0, 0.1]))
    assert gains.tolist() == sorted(gains.tolist())
    assert float(gains.max()) < 1.0
