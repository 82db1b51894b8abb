"""Make the two clips that `afxvae demo` matches: a guitar, dry and with a production.

python examples/make_demo_clips.py SOUNDFONT [FOLDER]

The soundfont is FluidR3_GM.sf2 (Debian's fluid-soundfont-gm, MIT), which FluidSynth plays. The
reference is another piece in another key, and goes through a preset that is saved beside it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch

from afxvae import Preset, audio
from afxvae.data.phrases import Event, midi_file
from afxvae.data.sources import render_midi

RATE = 44100
FOLDER = Path(__file__).resolve().parent.parent / "afxvae" / "demo"
LOUDNESS_LUFS = -22.0
NYLON_GUITAR = 24  # of General MIDI
TO_THE_SIDE = 0.08  # of a quarter circle, where the bass is left and the tune right

Note = tuple[float, int, float, float]  # beat, MIDI key, beats it rings, strength


def play(
    hands: tuple[list[Note], list[Note]], soundfont: Path, beats: float, seconds: float, seed: int
) -> torch.Tensor:
    """Thumb and fingers, at so many beats a minute, as `(2, time)`."""
    rng, mixed = np.random.default_rng(seed), np.zeros((2, round(seconds * RATE)))
    for side, notes in zip((-1.0, 1.0), hands, strict=True):
        events = [
            Event(
                start_s=max(0.0, 60.0 * beat / beats + rng.normal(0.0, 0.004)),
                duration_s=60.0 * rings / beats,
                sound=key,
                velocity=min(1.0, strength * rng.uniform(0.9, 1.05)),
            )
            for beat, key, rings, strength in notes
        ]
        sound = render_midi(midi_file(events, NYLON_GUITAR), soundfont, RATE)
        angle = 0.5 * np.pi * (0.5 + side * TO_THE_SIDE)
        sound = sound[: mixed.shape[1]]
        mixed[:, : len(sound)] += np.array([[np.cos(angle)], [np.sin(angle)]]) * sound
    fade = round(0.4 * RATE)
    mixed[:, -fade:] *= np.linspace(1.0, 0.0, fade) ** 2
    return level(torch.from_numpy(mixed).float())


def level(sound: torch.Tensor) -> torch.Tensor:
    """At LOUDNESS_LUFS, or below it where the peaks need room."""
    levelled, _ = audio.normalize_loudness(sound[None], RATE, LOUDNESS_LUFS)
    return (levelled * audio.peak_limit_gain(levelled, -0.5)[:, None, None])[0]


def dance() -> tuple[list[Note], list[Note]]:
    """Three bars of 4/4 and a last chord in D: a thumb on the beats, a tune above."""
    bars = ((50, 57, 50, 57), (47, 54, 43, 50), (45, 52, 45, 49))
    tune = (
        (0, 66), (0.5, 69), (1, 74), (1.5, 73), (2.5, 71), (3, 69), (3.5, 66),
        (4, 71), (4.5, 74), (5.5, 71), (6, 67), (6.5, 71), (7, 74), (7.5, 76),
        (8, 76), (8.5, 73), (9, 69), (9.5, 71), (10, 73), (10.5, 76), (11, 73),
    )  # fmt: skip
    return two_hands(bars, tune, (38, 50, 57, 62, 66, 74))


def lament() -> tuple[list[Note], list[Note]]:
    """The same in A minor, slower, with other notes."""
    bars = ((45, 52, 45, 52), (50, 57, 43, 50), (40, 47, 52, 47))
    tune = (
        (0, 64), (0.5, 69), (1.5, 72), (2, 71), (3, 69), (3.5, 72), (4, 74), (5, 77), (5.5, 76),
        (6, 74), (7, 71), (7.5, 67), (8, 68), (8.5, 71), (9, 76), (10, 74), (10.5, 71), (11, 68),
    )  # fmt: skip
    return two_hands(bars, tune, (45, 52, 57, 60, 64, 69))


def two_hands(
    bars: tuple[tuple[int, ...], ...], tune: tuple[tuple[float, int], ...], last: tuple[int, ...]
) -> tuple[list[Note], list[Note]]:
    thumb = [(4.0 * bar + beat, key, 1.6, 0.75)
             for bar, keys in enumerate(bars) for beat, key in enumerate(keys)]  # fmt: skip
    fingers = [(place, key, 1.8, 0.8 if place % 1 == 0 else 0.6) for place, key in tune]
    chord = [(4.0 * len(bars) + 0.06 * i, key, 5.0, 0.8) for i, key in enumerate(last)]
    return thumb + chord[:1], fingers + chord[1:]


def treatment() -> Preset:
    """Dark and thick, squeezed, with echoes, in a hall."""
    preset = Preset()
    preset = preset.changed(
        "eq",
        {
            "low_cut_hz": 70.0,
            "low_shelf_gain_db": 3.0,
            "low_shelf_hz": 180.0,
            "peak3_hz": 1400.0,
            "peak3_gain_db": -4.0,
            "high_shelf_hz": 3000.0,
            "high_shelf_gain_db": -9.0,
        },
    )
    preset = preset.changed(
        "compressor", {"threshold_db": -30.0, "ratio": 4.0, "attack_ms": 5.0, "release_ms": 150.0}
    )
    preset = preset.changed("delay", {"time_ms": 330.0, "feedback": 0.35, "mix": 0.22})
    return preset.changed("reverb", {"decay_s": 2.2, "treble_ratio": 0.5, "mix": 0.3})


def main(soundfont: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    dry = play(dance(), soundfont, 104.0, 9.2, seed=1)
    reference = play(lament(), soundfont, 92.0, 9.6, seed=2)
    reference = level(treatment().apply(reference, RATE))
    for name, sound in (("guitar", dry), ("reference", reference)):
        path = folder / f"{name}.flac"
        audio.write(path, sound, RATE, subtype="PCM_16", overwrite=True)
        print(f"{path}: {sound.shape[1] / RATE:.1f} s, {path.stat().st_size / 1e3:.0f} kB")
    treatment().save(folder / "reference.afx.json", overwrite=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else FOLDER)
