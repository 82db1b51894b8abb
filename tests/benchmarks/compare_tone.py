"""Print how far our equalisers and stereo effects are from those of ffmpeg, SoX and pedalboard.

python -m tests.benchmarks.compare_tone

The rows go into docs/reference/comparisons.md.
"""

from __future__ import annotations

import numpy as np
import pedalboard
import torch

from afxvae.effects.spatial import WIDTH
from tests.benchmarks.peers import RATE, ffmpeg, noise, ours, plugged, row, sox

BUTTERWORTH = 0.5**0.5
EXTRA = "extrastereo=m=1.7:c=0"


def compare_sections() -> None:
    """Section by section, each as our `eq` has it."""
    white = noise(RATE)
    rows: list[tuple[str, dict[str, float], str, str, pedalboard.Plugin | None]] = [
        (
            "peak",
            {"peak2_hz": 1000.0, "peak2_gain_db": -9.0, "peak2_q": 2.0},
            "equalizer 1000 2q -9",
            "equalizer=f=1000:t=q:w=2:g=-9:r=f64",
            pedalboard.PeakFilter(1000.0, -9.0, 2.0),
        ),
        (
            "low shelf",
            {"low_shelf_hz": 150.0, "low_shelf_gain_db": 9.0},
            "bass 9 150 1s",
            "bass=f=150:t=q:w=0.5:g=9:r=f64",
            pedalboard.LowShelfFilter(150.0, 9.0, BUTTERWORTH),
        ),
        (
            "high shelf",
            {"high_shelf_hz": 5000.0, "high_shelf_gain_db": -9.0},
            "treble -9 5000 1s",
            "treble=f=5000:t=q:w=0.5:g=-9:r=f64",
            pedalboard.HighShelfFilter(5000.0, -9.0, BUTTERWORTH),
        ),
        (
            "low cut",
            {"low_cut_hz": 100.0},
            "highpass -2 100 0.70710678q",
            "highpass=f=100:p=2:t=q:w=0.70710678:r=f64",
            pedalboard.HighpassFilter(100.0),
        ),
        (
            "high cut",
            {"high_cut_hz": 6000.0},
            "lowpass -2 6000 0.70710678q",
            "lowpass=f=6000:p=2:t=q:w=0.70710678:r=f64",
            pedalboard.LowpassFilter(6000.0),
        ),
    ]
    for name, knobs, of_sox, of_ffmpeg, plugin in rows:
        found = ours("eq", white, **knobs)
        row(f"eq, {name}, SoX `{of_sox}`", found, sox(white, of_sox))
        row(f"eq, {name}, ffmpeg `{of_ffmpeg}`", found, ffmpeg(white, of_ffmpeg))
        row(f"eq, {name}, pedalboard `{type(plugin).__name__}`", found, plugged(plugin, white))


def compare_bass_boost() -> None:
    white = noise(RATE)
    found = ours("bass_boost", white, gain_db=12.0, frequency_hz=80.0, q=1.2)
    row("bass boost, SoX `bass 12 80 1.2q`", found, sox(white, "bass 12 80 1.2q"))
    effect = pedalboard.LowShelfFilter(80.0, 12.0, 1.2)
    row("bass boost, pedalboard `LowShelfFilter`", found, plugged(effect, white))


def compare_stereo() -> None:
    left, right = noise(RATE), np.roll(noise(RATE), 1000)
    width = {"width": torch.tensor([1.7], dtype=torch.float64)}
    audio = torch.from_numpy(np.stack([left, right]))[None]
    found = WIDTH.process(audio, width, RATE)[0].numpy()
    row(f"width, ffmpeg `{EXTRA}`", found, ffmpeg(audio[0].numpy(), EXTRA))
    louder = ours("gain", left, gain_db=-7.5)
    row("gain, SoX `gain -7.5`", louder, sox(left, "gain -7.5"))


if __name__ == "__main__":
    print("| effect and peer | null |\n|---|---|")
    compare_sections()
    compare_bass_boost()
    compare_stereo()
