"""Print how far our modulation effects are from those of ffmpeg, SoX and pedalboard.

python -m tests.benchmarks.compare_modulation

The rows go into docs/reference/comparisons.md.
"""

from __future__ import annotations

import math

import numpy as np
import pedalboard
import torch

from afxvae.dsp import moving
from tests.benchmarks.peers import RATE, ffmpeg, noise, ours, plugged, row, sox


def compare_level() -> None:
    white = noise(RATE)
    trembling = ours("tremolo", white, rate_hz=5.0, depth=0.6)
    row("tremolo, ffmpeg `tremolo=f=5:d=0.6`", trembling, ffmpeg(white, "tremolo=f=5:d=0.6"))
    row("tremolo, SoX `tremolo 5 60`", trembling, sox(white, "tremolo 5 60"))
    product = ours("ring_modulator", white, carrier_hz=440.0, mix=1.0)
    row("ring modulator, SoX `synth sine fmod 440`", product, sox(white, "synth sine fmod 440"))


def compare_vibrato() -> None:
    """Theirs swings by a share of a line of 221 samples, and starts from the longest delay."""
    deviation = 0.5 * (221 - 1) / 2.0
    cents = 1200.0 / math.log(2.0) * math.atanh(2.0 * math.pi * 5.0 * deviation / RATE)
    shortest = 221 - int(2.0 * deviation)
    for highest in (500, 2000):
        audio = noise(highest)
        found = ours("vibrato", audio, RATE // 10 + shortest, rate_hz=5.0, depth_cents=cents)
        peer = ffmpeg(audio, "vibrato=f=5:d=0.5")
        what = f"vibrato, ffmpeg `vibrato=f=5:d=0.5`, noise below {highest} Hz"
        row(what, found[:-shortest], peer[shortest:])


def compare_flanger() -> None:
    """Theirs swings over whole numbers of samples, from the shortest delay on."""
    shortest, longest = round(0.001 * RATE), round(0.003 * RATE)
    mean, depth = (0.5 * (longest + sign * shortest) for sign in (1, -1))
    knobs = {"delay_ms": mean * 1000.0 / RATE, "depth_ms": depth * 1000.0 / RATE, "rate_hz": 0.5}
    common = "delay=1:depth=2:width=100:speed=0.5:phase=0:interp=quadratic"
    for highest in (500, 2000):
        audio = noise(highest)
        below = f"noise below {highest} Hz"
        found = ours("flanger", audio, 3 * RATE // 2, **knobs, feedback=0.0, mix=0.5)
        row(f"flanger, ffmpeg `{common}`, {below}", found, ffmpeg(audio, f"flanger={common}"))
        arguments = "1 2 0 100 .5 sine 0 quad"
        row(f"flanger, SoX `{arguments}`, {below}", found, sox(audio, f"flanger {arguments}"))
        voice = ours("flanger", audio, 3 * RATE // 2, **knobs, feedback=0.6, mix=1.0)
        peer = ffmpeg(audio, f"flanger={common}:regen=60")
        row(f"the same with `regen=60`, {below}", 0.5 * audio + 0.2 * voice, peer)
        delay = mean - depth * np.cos(np.pi * np.arange(len(audio)) / RATE)
        loop = np.concatenate([delay[:1], delay[:-1]]) + 1.0
        lines = [torch.from_numpy(line)[None, None] for line in (audio, loop, delay)]
        share, past = torch.full((1, 1, 1), 0.6).double(), torch.zeros(1, 1, 200).double()
        voice = moving.read_line(moving.recirculate(*lines[:2], share, past), lines[2])[0, 0]
        what = f"the same, our loop made a sample longer, {below}"
        row(what, 0.5 * audio + 0.2 * voice.numpy(), peer)


def compare_pedalboard() -> None:
    """Its oscillators start downwards, and drift, as they add up steps in single precision.

    The phaser swings by depth / 2 of the way from 20 Hz to 20 kHz, the chorus by depth times 10 ms.
    """
    white, first = noise(RATE), slice(RATE // 2)
    common = {"rate_hz": 0.5, "feedback": 0.0, "mix": 1.0}
    for depth in (0.0, 0.4):
        octaves = 0.5 * depth * math.log2(1000.0)
        found = ours("phaser", white, RATE, **common, centre_hz=1000.0, depth_octaves=octaves)
        effect = pedalboard.Phaser(**common, depth=depth, centre_frequency_hz=1000.0)
        peer = plugged(effect, white)
        row(f"phaser, pedalboard, depth {depth}, first half second", found[first], peer[first])
        row(f"phaser, pedalboard, depth {depth}, 4 s", found, peer)
    audio = noise(500.0)
    found = ours("chorus", audio, RATE, rate_hz=0.5, depth_ms=2.5, delay_ms=7.0, mix=0.5)
    effect = pedalboard.Chorus(rate_hz=0.5, depth=0.25, centre_delay_ms=7.0, mix=0.5)
    peer = plugged(effect, audio)
    what = "chorus, pedalboard, noise below 500 Hz"
    row(f"{what}, first half second", found[first], peer[first])
    row(f"{what}, 4 s", found, peer)


if __name__ == "__main__":
    print("| effect and peer | null |\n|---|---|")
    compare_level()
    compare_vibrato()
    compare_flanger()
    compare_pedalboard()
