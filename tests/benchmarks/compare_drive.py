"""Print how far our clippers, crusher, delay and Freeverb are from ffmpeg, SoX and pedalboard.

python -m tests.benchmarks.compare_drive

The rows go into docs/reference/comparisons.md.
"""

from __future__ import annotations

import math

import numpy as np
import pedalboard
import torch

from afxvae.dsp.oversampling import OVERSAMPLING_LATENCY, oversampled
from afxvae.dsp.shaping import distortion_curve
from tests.benchmarks.peers import RATE, ffmpeg, noise, ours, plugged, row, sox
from tests.dsp.spectra import alias_db

DRIVE_DB = 12.0
GAIN = 10.0 ** (DRIVE_DB / 20.0)


def hard_clipped(audio: np.ndarray) -> np.ndarray:
    """The curve of `distortion` at hardness 1, without the filters behind it."""
    knobs = [torch.tensor(value, dtype=torch.float64) for value in (DRIVE_DB, 1.0, 0.0)]
    padded = np.pad(audio, (0, OVERSAMPLING_LATENCY))
    given = torch.from_numpy(padded)[None, None]
    bent, _ = oversampled(given, lambda x: distortion_curve(x, *knobs), 8, None)
    return bent[0, 0, OVERSAMPLING_LATENCY:].numpy()


def compare_curves() -> None:
    """Soft: an algebraic curve from `1 / k` on. Hard: flat from `1 / GAIN` on."""
    for highest in (500, 2000):
        audio, below = 3.0 * noise(highest), f"noise below {highest} Hz"
        k = GAIN - 1.0
        soft = ours("overdrive", audio, drive_db=DRIVE_DB) / math.hypot(1.0, 0.1 * k)
        common = f"asoftclip=type=alg:threshold={1.0 / k:.6f}:param=1"
        row(f"overdrive, ffmpeg `{common}`, {below}", soft, ffmpeg(audio, common))
        hard = hard_clipped(audio)
        common = f"asoftclip=type=hard:threshold={1.0 / GAIN:.6f}"
        row(f"distortion, ffmpeg `{common}`, {below}", hard, ffmpeg(audio, common))
        peer = plugged(pedalboard.Clipping(-DRIVE_DB), audio)
        row(f"distortion, pedalboard `Clipping`, {below}", hard, peer)


def compare_aliases() -> None:
    """Loudest line that is no harmonic of a full-scale sine at 5 kHz, driven by 12 dB."""
    audio = np.sin(2.0 * math.pi * 5000.0 * np.arange(RATE) / RATE + 0.3)
    results = {
        "overdrive": ours("overdrive", audio, drive_db=DRIVE_DB),
        "distortion": ours("distortion", audio, drive_db=DRIVE_DB, hardness=1.0, mix=1.0),
        "pedalboard `Distortion`": plugged(pedalboard.Distortion(DRIVE_DB), audio),
        "SoX `overdrive 12 0`": sox(audio, "overdrive 12 0"),
        "ffmpeg `asoftclip=type=tanh`": ffmpeg(GAIN * audio, "asoftclip=type=tanh"),
        "ffmpeg `asoftclip=type=tanh:oversample=4`": ffmpeg(
            GAIN * audio, "asoftclip=type=tanh:oversample=4"
        ),
    }
    for name, result in results.items():
        level = alias_db(torch.from_numpy(result.copy())[None, None], 5000.0)
        print(f"| alias of 5 kHz at 12 dB of drive, {name} | {level:.0f} dB |")


def compare_crushers() -> None:
    """Theirs count bits on either side of zero; `mix=0` is all crushed in ffmpeg."""
    white = noise(RATE)
    found = ours("bit_crusher", white, bits=8.0, rate_hz=48000.0, mix=1.0)
    row("bit crusher, 8 bits, pedalboard `Bitcrush(7)`", found,
        plugged(pedalboard.Bitcrush(7), white))  # fmt: skip
    common = "acrusher=bits=8:mix=0:mode=lin:aa=0:samples=1"
    row(f"bit crusher, ffmpeg `{common}`", found, ffmpeg(white, common))
    held = ours("bit_crusher", white, bits=16.0, rate_hz=RATE / 4, mix=1.0)
    kept = np.repeat(white[::4], 4)[: len(white)]
    row("bit crusher, a quarter of the rate, every fourth sample held", held, kept)


def compare_delays() -> None:
    white = noise(RATE)
    found = ours("delay", white, time_ms=250.0, feedback=0.6, mix=0.4)
    row("delay, pedalboard `Delay(0.25, 0.6, 0.4)`", found,
        plugged(pedalboard.Delay(0.25, 0.6, 0.4), white))  # fmt: skip
    single = 1.5 * ours("delay", white, time_ms=250.0, feedback=0.0, mix=1.0 / 3.0)
    row("delay, SoX `echo 1 1 250 .5`", single, sox(white, "echo 1 1 250 .5")[: len(white)])
    peer = ffmpeg(white, "aecho=1:1:250:0.5")[: len(white)]
    row("delay, ffmpeg `aecho=1:1:250:0.5`", single, peer)


def compare_reverberations() -> None:
    """Their knobs set loops; ours are set to what decays and is damped as fast."""
    white = noise(RATE)
    size, room_scale = 0.6, 60.0
    decayed, damped = 0.7 + 0.28 * size, 0.4 * 0.5
    own = ours("freeverb", white, **knobs_of(decayed, damped, 1.0), mix=1.0)
    peer = plugged(pedalboard.Reverb(size, 0.5, 1.0, 0.0, 1.0), white)
    tails("freeverb, pedalboard `Reverb(0.6, 0.5, 1, 0)`", own * level_of(decayed, 3.0), peer)
    least, most = math.log(1.0 - 0.3), math.log(1.0 - 0.98)  # of the feedback, at 0 and 100
    decayed, damped = 1.0 - math.exp(least + 0.5 * (most - least)), 0.5 * 0.3 + 0.2
    scale = 0.1 + 0.009 * room_scale
    own = ours(
        "sox_reverb", white, **knobs_of(decayed, damped, scale), room_scale=room_scale, mix=1.0
    )
    peer = sox(white, "reverb -w 50 50 60 100 0 0")[: len(white)]
    tails("sox_reverb, SoX `reverb -w 50 50 60 100 0 0`", own * level_of(decayed, 1.0), peer)


def tails(what: str, found: np.ndarray, peer: np.ndarray) -> None:
    """With and without what comes after the end of our response."""
    early = slice(0, round(1.4 * RATE))
    row(what, found, peer)
    row(f"{what}, first 1.4 s", found[early], peer[early])


def knobs_of(feedback: float, damping: float, size: float) -> dict[str, float]:
    decay_s = -3.0 * size * 1378.0 / 44100.0 / math.log10(feedback)
    return {"decay_s": decay_s, "damping_hz": -math.log(damping) * RATE / (2.0 * math.pi)}


def level_of(feedback: float, gain: float) -> float:
    """Of a room whose input is scaled by .015, relative to unit energy."""
    return 0.015 * gain * math.sqrt(8.0 / (1.0 - feedback**2) * (7.0 / 3.0) ** 4)


if __name__ == "__main__":
    print("| effect and peer | null |\n|---|---|")
    compare_curves()
    compare_aliases()
    compare_crushers()
    compare_delays()
    compare_reverberations()
