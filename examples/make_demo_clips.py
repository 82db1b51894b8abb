"""Make the two clips that `afxvae demo` matches: plucked strings, dry and with a production.

python examples/make_demo_clips.py [FOLDER]

Both are synthesised here, so nobody else has a right in them. The strings are Karplus and Strong's
(Computer Music Journal 7(2), 1983): a burst of noise goes round in a delay line that loses treble
at each turn. The reference plays other notes, and goes through a preset that is saved beside it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch

from afxvae import Preset, audio

RATE = 44100
OVERSAMPLING = 4  # whole periods are then in tune within 3 cents
FOLDER = Path(__file__).resolve().parent.parent / "afxvae" / "demo"
LOUDNESS_LUFS = -22.0

Note = tuple[float, int, float, float]  # beat, MIDI key, beats it rings, strength


def pluck(key: int, seconds: float, strength: float, rng: np.random.Generator) -> np.ndarray:
    """One string at OVERSAMPLING * RATE; a stronger pluck is brighter."""
    rate = RATE * OVERSAMPLING
    period = round(rate / (440.0 * 2.0 ** ((key - 69) / 12)) - 0.38)  # the loss delays by 0.38
    burst = rng.uniform(-1.0, 1.0, period)
    spectrum = np.fft.rfft(burst)
    hertz = np.fft.rfftfreq(period, 1.0 / rate)
    spectrum[1:] /= np.arange(1, len(spectrum)) ** 0.8  # weaker harmonics, as fingers do
    spectrum /= 1.0 + (hertz / (1200.0 + 3800.0 * strength)) ** 2
    spectrum *= np.sin(np.pi * 0.17 * hertz * period / rate)  # plucked at 17 % of its length
    turn = np.fft.irfft(spectrum, period)
    turn /= np.abs(turn).max()
    turns = int(np.ceil(seconds * rate / period))
    string = np.empty((turns, period))
    kept = 0.001 ** (period / rate / (5.5 - 0.045 * (key - 40)))  # RT60, shorter for high strings
    last = 0.0
    for index in range(turns):
        string[index] = turn
        before = np.concatenate([[last], turn[:-1]])
        last = turn[-1]
        turn = kept * (0.62 * turn + 0.38 * before)
    sound = strength * string.ravel()[: int(seconds * rate)]
    fade = int(0.05 * rate)
    sound[-fade:] *= np.linspace(1.0, 0.0, fade)
    return sound


def body(sound: np.ndarray) -> np.ndarray:
    """Three resonances of a wooden box, as peaks in the spectrum."""
    spectrum = np.fft.rfft(sound, axis=-1)
    hertz = np.fft.rfftfreq(sound.shape[-1], 1.0 / RATE)
    for centre, quality, gain in ((105.0, 6.0, 1.4), (205.0, 8.0, 1.0), (400.0, 5.0, 0.4)):
        ratio = 1j * quality * (hertz / centre - centre / np.maximum(hertz, 1.0))
        spectrum = spectrum * (1.0 + gain / (1.0 + ratio))
    return np.fft.irfft(spectrum, sound.shape[-1], axis=-1)


def play(notes: list[Note], beats_a_minute: float, seconds: float, seed: int) -> torch.Tensor:
    """Notes as `(2, time)`; low strings a little left, high ones a little right."""
    rng = np.random.default_rng(seed)
    rate = RATE * OVERSAMPLING
    mixed = np.zeros((2, int(seconds * rate)))
    beat = 60.0 / beats_a_minute
    for place, key, beats, strength in notes:
        start = int((place * beat + rng.normal(0.0, 0.004)) * rate) + rate // 50
        sound = pluck(key, beats * beat, strength * rng.uniform(0.9, 1.05), rng)
        sound = sound[: mixed.shape[1] - start]
        right = 0.5 + 0.12 * (key - 57) / 12
        gains = np.array([[np.cos(0.5 * np.pi * right)], [np.sin(0.5 * np.pi * right)]])
        mixed[:, start : start + len(sound)] += gains * sound
    fade = int(0.4 * rate)
    mixed[:, -fade:] *= np.linspace(1.0, 0.0, fade) ** 2
    dry = audio.resample(torch.from_numpy(mixed).float(), rate, RATE)
    dry = torch.from_numpy(body(dry.double().numpy())).float()
    return level(dry)


def level(sound: torch.Tensor) -> torch.Tensor:
    """At LOUDNESS_LUFS, or below it where the peaks need room."""
    levelled, _ = audio.normalize_loudness(sound[None], RATE, LOUDNESS_LUFS)
    return (levelled * audio.peak_limit_gain(levelled, -0.5)[:, None, None])[0]


def melody() -> list[Note]:
    """Two bars of 4/4 and a last chord in D: a thumb on the beats, a tune above."""
    notes: list[Note] = []
    for bar, basses in enumerate(((50, 57, 50, 57), (47, 54, 43, 50), (45, 52, 45, 49))):
        notes += [(4 * bar + beat, key, 1.6, 0.75) for beat, key in enumerate(basses)]
    tune = (
        (0, 66), (0.5, 69), (1, 74), (1.5, 73), (2.5, 71), (3, 69), (3.5, 66),
        (4, 71), (4.5, 74), (5.5, 71), (6, 67), (6.5, 71), (7, 74), (7.5, 76),
        (8, 76), (8.5, 73), (9, 69), (9.5, 71), (10, 73), (10.5, 76), (11, 73),
    )  # fmt: skip
    notes += [(place, key, 1.8, 0.8 if place % 1 == 0 else 0.6) for place, key in tune]
    notes += [(12 + 0.06 * i, key, 5.0, 0.8) for i, key in enumerate((38, 50, 57, 62, 66, 74))]
    return notes


def arpeggios() -> list[Note]:
    """Broken chords in eighths: E minor, C, G, D, and E minor to end on."""
    chords = ((40, 55, 59, 64), (48, 55, 60, 64), (43, 55, 59, 62), (50, 57, 62, 66))
    order = (0, 1, 2, 3, 2, 1)
    notes: list[Note] = []
    for bar, chord in enumerate(chords):
        for step, string in enumerate(order):
            strength = 0.9 if step == 0 else 0.65
            notes.append((3 * bar + step / 2, chord[string], 2.4, strength))
    notes += [(12 + 0.08 * i, key, 4.0, 0.8) for i, key in enumerate((40, 52, 55, 59, 64))]
    return notes


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


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    dry = play(melody(), beats_a_minute=104.0, seconds=9.2, seed=1)
    reference = level(treatment().apply(play(arpeggios(), 92.0, 9.6, seed=2), RATE))
    for name, sound in (("guitar", dry), ("reference", reference)):
        path = folder / f"{name}.flac"
        audio.write(path, sound, RATE, subtype="PCM_16", overwrite=True)
        print(f"{path}: {sound.shape[1] / RATE:.1f} s, {path.stat().st_size / 1e3:.0f} kB")
    treatment().save(folder / "reference.afx.json", overwrite=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
