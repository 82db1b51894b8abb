"""Print how far our dynamics are from those of ffmpeg, SoX and pedalboard.

python -m tests.benchmarks.compare_dynamics

The rows go into docs/reference/comparisons.md. All peers smooth the level, we smooth the gain in
dB; with times so short that nothing is smoothed, what is left is the static curve.
"""

from __future__ import annotations

import math

import numpy as np
import pedalboard
import torch
from scipy.signal import resample

from afxvae.dsp.dynamics import compress
from afxvae.dsp.expansion import expand
from tests.benchmarks.peers import RATE, ffmpeg, noise, ours, plugged, row, sox

AT_ONCE_MS = 1e-3
PART = 1.0 - math.exp(-1.0)


def instantly(function, audio: np.ndarray, **knobs: float) -> np.ndarray:
    """Our function with times that no knob reaches."""
    settings = {key: torch.tensor([value], dtype=torch.float64) for key, value in knobs.items()}
    times = {key: torch.tensor([AT_ONCE_MS]).double() for key in ("attack_ms", "release_ms")}
    given = torch.from_numpy(audio)[None, None]
    return function(given, **settings, **times, sample_rate=RATE)[0][0, 0].numpy()


def compare_curves() -> None:
    """Threshold -20 dB and ratio 4 with a hard knee; under -30 dB, ratio 2 for the gate."""
    white = noise(RATE)
    knobs = {"threshold_db": -20.0, "ratio": 4.0, "knee_db": 0.0, "makeup_db": 0.0}
    found = instantly(compress, white, **knobs)
    common = "threshold=0.1:ratio=4:knee=1:attack=0.01:release=0.01:detection=peak:link=maximum"
    row(f"compressor, ffmpeg `acompressor={common}`", found, ffmpeg(white, f"acompressor={common}"))
    curve = "compand 0,0 -80,-80,-20,-20,0,-15"
    row(f"compressor, SoX `{curve}`", found, sox(white, curve))
    effect = pedalboard.Compressor(-20.0, 4.0, attack_ms=0.0, release_ms=0.0)
    row("compressor, pedalboard, no attack and no release", found, plugged(effect, white))
    knobs = {"threshold_db": -30.0, "ratio": 2.0, "range_db": 40.0, "hold_ms": 0.0}
    found = instantly(expand, white, **knobs)
    threshold = 10.0 ** (-30.0 / 20.0)
    common = f"threshold={threshold}:ratio=2:range=0.01:knee=1:attack=0.01:release=0.01"
    peer = ffmpeg(white, f"agate={common}:detection=peak:link=maximum")
    row("gate, ffmpeg `agate`, the same", found, peer)


def times_ms(reduction_db: np.ndarray, up: int, down: int) -> tuple[float, float]:
    """Until 63 % of the gain reduction have come, and gone."""
    full = reduction_db[down - 1]
    came = int((reduction_db[up:down] >= PART * full).argmax()) + 1
    went = int((reduction_db[down:] <= (1.0 - PART) * full).argmax()) + 1
    return 1000.0 * came / RATE, 1000.0 * went / RATE


def compare_times() -> None:
    """A step of 40 dB over the threshold and back, attack 10 ms, release 100 ms."""
    time = np.arange(2 * RATE)
    up, down = RATE // 2, RATE
    # a square wave has the same level in every sample
    audio = np.where((time >= up) & (time < down), 0.9, 0.009) * np.where(time % 8 < 4, 1.0, -1.0)
    threshold, times = 20.0 * math.log10(0.009), {"attack_ms": 10.0, "release_ms": 100.0}
    linear = "threshold=0.009:ratio=4:knee=1:attack=10:release=100:detection=peak"
    plugin = pedalboard.Compressor(threshold, 4.0, **times)
    results = {
        "ours": ours("compressor", audio, threshold_db=threshold, ratio=4.0, knee_db=0.0, **times),
        "ffmpeg": ffmpeg(audio, f"acompressor={linear}"),
        "SoX": sox(audio, f"compand 0.01,0.1 -100,-100,{threshold:.4f},{threshold:.4f},0,-30.6863"),
        "pedalboard": plugged(plugin, audio),
    }
    for name, result in results.items():
        came, went = times_ms(-20.0 * np.log10(np.abs(result / audio) + 1e-9), up, down)
        print(f"| attack and release to 63 % of the gain, {name} | {came:.1f} ms, {went:.0f} ms |")


def compare_limiters() -> None:
    """Noise below 20 kHz, 12 dB into a ceiling of -6 dB: how far samples and true peaks pass it."""
    audio, ceiling = noise(20000.0) * 10.0 ** (12.0 / 20.0), 10.0 ** (-6.0 / 20.0)
    results = {
        "ours": ours("limiter", audio, ceiling_db=-6.0),
        "ffmpeg": ffmpeg(audio, f"alimiter=limit={ceiling}:level=0:attack=5:release=100"),
        "pedalboard": plugged(pedalboard.Limiter(-6.0, 100.0), audio),
    }
    for name, result in results.items():
        wide = resample(result, 4 * len(result))
        over = [20.0 * math.log10(np.abs(x).max() / ceiling) for x in (result, wide)]
        print(f"| limiter, samples and true peaks over the ceiling, {name} | "
              f"{over[0]:+.2f} dB, {over[1]:+.2f} dB |")  # fmt: skip


if __name__ == "__main__":
    print("| effect and peer | null |\n|---|---|")
    compare_curves()
    compare_times()
    compare_limiters()
