"""The room decays as its knobs say at every rate, densely, evenly, and from the right moment on."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.signal import butter, sosfiltfilt

from afxvae.dsp import network

KNOBS = {
    "size_m": 10.0, "decay_s": 1.0, "bass_ratio": 1.2, "treble_ratio": 0.5,
    "pre_delay_ms": 0.0, "balance": 1.0,
}  # fmt: skip


def room(rate: int, channels: int = 2, seconds: float | None = None, **changes: float):
    """The room's response in double precision, ``(channel, time)``."""
    knobs = KNOBS | changes
    if seconds is None:
        seconds = 1.2 * knobs["decay_s"] * max(1.0, knobs["bass_ratio"]) + 0.2
    tensors = {name: torch.tensor([value], dtype=torch.float64) for name, value in knobs.items()}
    length = round(seconds * rate)
    response = network.room_response(
        **tensors, sample_rate=rate, channels=channels, length=length, dtype=torch.float64
    )
    return response[0].numpy()


def band(x: np.ndarray, low_hz: float, high_hz: float, rate: int) -> np.ndarray:
    """Zero-phase band pass with room at both ends for its ringing."""
    sections = butter(4, [low_hz, min(high_hz, 0.48 * rate)], "bandpass", fs=rate, output="sos")
    return sosfiltfilt(sections, np.pad(x, ((0, 0), (rate // 4, rate // 4))), axis=-1)


def octave_rt60_s(response: np.ndarray, centre_hz: float, rate: int) -> float:
    """Schroeder's backward integration, -5 to -35 dB (T30)."""
    part = band(response, centre_hz / math.sqrt(2.0), centre_hz * math.sqrt(2.0), rate)
    left = np.cumsum((part**2).sum(0)[::-1])[::-1]
    level = 10.0 * np.log10(left / left[0] + 1e-30)
    start, end = int((level < -5.0).argmax()), int((level < -35.0).argmax())
    return -60.0 / np.polyfit(np.arange(start, end) / rate, level[start:end], 1)[0]


def densities(response: np.ndarray, rate: int) -> np.ndarray:
    """Abel and Huang's echo density, 1 for Gaussian noise, in windows of 20 ms every 10 ms."""
    size = rate // 50
    window = np.hanning(size)
    frames = np.lib.stride_tricks.sliding_window_view(response, size)[:: size // 2]
    spread = np.sqrt((window * frames**2).sum(-1, keepdims=True) / window.sum())
    return (window * (np.abs(frames) > spread)).sum(-1) / window.sum() / math.erfc(math.sqrt(0.5))


@pytest.mark.parametrize("rate", [8000, 24000, 44100])
@pytest.mark.parametrize(
    ("size", "decay", "bass", "treble"),
    [
        (4.0, 0.2, 1.0, 0.6),
        (4.0, 1.0, 1.5, 0.3),
        (10.0, 0.4, 0.6, 1.0),
        (10.0, 1.2, 1.1, 0.5),
        (20.0, 3.0, 0.5, 0.2),
        (40.0, 6.0, 1.2, 0.4),
    ],
)
def test_rt60_of_each_band_is_within_10_percent_of_the_knob(size, decay, bass, treble, rate):
    response = room(rate, 4, size_m=size, decay_s=decay, bass_ratio=bass, treble_ratio=treble)
    for centre, ratio in ((125.0, bass), (1000.0, 1.0), (8000.0, treble)):
        if centre < 0.4 * rate:
            assert octave_rt60_s(response, centre, rate) == pytest.approx(decay * ratio, rel=0.1)


def test_times_between_the_bands_change_evenly():
    frequencies = torch.tensor([20.0, 350.0, 1000.0, 2800.0, 20000.0], dtype=torch.float64)
    knobs = (torch.tensor([value], dtype=torch.float64) for value in (2.0, 1.44, 0.25))
    found = network.reverberation_time_s(*knobs, frequencies)[0]
    np.testing.assert_allclose(found.numpy(), [2.88, 2.4, 2.0, 1.0, 0.5], rtol=5e-3)


@pytest.mark.parametrize("rate", [8000, 24000, 48000])
@pytest.mark.parametrize(("decay", "treble"), [(0.5, 1.0), (1.5, 0.6), (4.0, 0.3)])
def test_energy_is_1_however_long_it_lasts(decay, treble, rate):
    response = room(rate, 4, decay_s=decay, treble_ratio=treble)
    assert 10.0 * math.log10((response**2).sum(-1).mean()) == pytest.approx(0.0, abs=0.7)


def test_it_grows_dense():
    density = densities(room(24000)[0, :12000], 24000)
    assert density[6:].mean() == pytest.approx(1.0, abs=0.1)  # from 60 ms on
    assert density[6:].min() > 0.7


@pytest.mark.parametrize(
    ("size", "decay"), [(4.0, 0.5), (4.0, 2.0), (4.0, 6.0), (10.0, 1.2), (10.0, 4.0), (40.0, 6.0)]
)
def test_no_frequency_stands_out(size, decay):
    """From .3 s on and from .6 to 6 kHz, in bands of 200 Hz: lines over the power around them.

    In noise they are 2.5 dB below on the mean of the levels, and the highest is 9 to 10 dB above.
    """
    length = min(1.0, decay)
    even = {"bass_ratio": 1.0, "treble_ratio": 0.8}
    response = room(24000, 2, length + 0.35, size_m=size, decay_s=decay, **even)
    part = response[:, 7200 : 7200 + round(24000 * length)]
    power = np.abs(np.fft.rfft(part * np.hanning(part.shape[-1])))[:, : round(6000 * length)] ** 2
    window = np.ones(round(200 * length) | 1)
    for line in power[:, round(600 * length) :]:
        around = np.convolve(line, window / window.size, "valid")
        over = 10.0 * np.log10(line[window.size // 2 : -(window.size // 2)] / around)
        assert over.mean() > -4.5
        assert over.max() < 15.0


def test_channels_hear_different_rooms_of_one_make():
    three = room(24000, 3, balance=0.6)
    for one, other in ((0, 1), (0, 2), (1, 2)):
        first, second = three[one], three[other]
        assert abs(first @ second) < 0.2 * math.sqrt((first @ first) * (second @ second))
    np.testing.assert_allclose(room(24000, 1, balance=0.6)[0], three[0], atol=1e-12)
    assert room(24000, 20, seconds=0.1).shape == (20, 2400)


def test_a_shorter_response_is_the_beginning_of_a_longer():
    long = room(24000, seconds=0.5)
    np.testing.assert_allclose(room(24000, seconds=0.01), long[:, :240], atol=1e-12)
    np.testing.assert_allclose(room(24000, seconds=0.21), long[:, :5040], atol=1e-12)


@pytest.mark.parametrize("pre_delay_ms", [0.0, 12.3, 100.0])
@pytest.mark.parametrize("size", [4.0, 15.0])
def test_the_first_reflection_comes_at_its_time(size, pre_delay_ms):
    """Of the shortest way over a wall, a quarter of the room longer than the direct one."""
    rate = 48000
    response = room(rate, 1, 0.3, size_m=size, pre_delay_ms=pre_delay_ms, balance=0.0)[0]
    detour, level = min(network._images(1)[0])
    place = (size * detour / 343.0 + pre_delay_ms / 1000.0) * rate
    first = int((np.abs(response) > 0.5 * abs(level)).argmax())
    assert first == pytest.approx(place, abs=1.0)
    before = response[: max(0, int(place) - 40)]
    assert (np.abs(before) < 1e-3 * abs(level)).all()


@pytest.mark.parametrize("balance", [0.0, 0.6, 1.0])
def test_it_is_the_same_room_at_24_and_48_khz(balance):
    """What both rates can carry well (up to 4 kHz) correlates, sample by sample."""
    low, high = (room(rate, balance=balance, pre_delay_ms=7.7) for rate in (24000, 48000))
    slow, fast = band(low, 100.0, 4000.0, 24000), band(high, 100.0, 4000.0, 48000)[:, ::2]
    correlation = (slow * fast).sum() / math.sqrt((slow**2).sum() * (fast**2).sum())
    assert correlation > 0.95
    assert 10.0 * math.log10((fast**2).sum() * 4.0 / (slow**2).sum()) == pytest.approx(0, abs=0.3)
