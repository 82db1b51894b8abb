"""Phrases from single sounds: seeded melodies, chords and beats, and a sampler that plays them.

Style transfer hears phrases, not single notes. The writers (`melody`, `beat`) return plain
events, so the same phrase can be played by the sampler here or written as a MIDI file for a
synthesiser. Everything is a function of the given generator.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .clips import Signal, change_rate, fade

SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10), (0, 2, 3, 5, 7, 9, 10), (0, 2, 4, 7, 9))
"""Major, minor, dorian and pentatonic, in semitones over the tonic."""

ROLES = ("kick", "snare", "hat", "tom", "cymbal", "perc")
"""What a drum sound can be in a beat."""


@dataclass(frozen=True)
class Event:
    """One sound of a phrase: when, how long, what, how hard.

    `sound` is a MIDI note number, or for beats an index into `ROLES`; `velocity` is in [0, 1].
    """

    start_s: float
    duration_s: float
    sound: int
    velocity: float


def _scale_notes(rng: np.random.Generator, low: int, high: int) -> list[int]:
    tonic, scale = int(rng.integers(12)), SCALES[int(rng.integers(len(SCALES)))]
    return [note for note in range(low, high + 1) if (note - tonic) % 12 in scale]


def melody(
    rng: np.random.Generator, seconds: float, low: int, high: int, style: str = "mono"
) -> list[Event]:
    """Write a phrase in one key and tempo.

    Args:
        rng: Source of every choice.
        seconds: Length of the phrase.
        low: Lowest MIDI note.
        high: Highest MIDI note.
        style: `mono` (one voice, rests, some slurs), `poly` (bars of chords, broken chords and
            melody), `bass` (one low voice, steadier rhythm) or `pad` (long chords).

    Raises:
        ValueError: If the range is empty or the style unknown.
    """
    if style not in ("mono", "poly", "bass", "pad"):
        raise ValueError(f"style is {style!r}, it must be mono, poly, bass or pad.")
    notes = _scale_notes(rng, low, high)
    if not notes:
        raise ValueError(f"No note of the scale lies between {low} and {high}.")
    beat_s = 60 / rng.uniform(66, 150)
    loudness = float(rng.uniform(0.45, 0.9))
    events: list[Event] = []
    place = int(rng.integers(len(notes) // 4, max(len(notes) // 4 + 1, 3 * len(notes) // 4)))
    start = 0.0
    while start < seconds:
        loudness = float(np.clip(loudness + rng.normal(0, 0.12), 0.3, 1.0))
        bar, place = _bar(rng, notes, place, style)
        for beat, beats, note in bar:
            velocity = float(np.clip(loudness * rng.uniform(0.8, 1.1), 0.15, 1.0))
            at = start + beat * beat_s + float(rng.uniform(0, 0.012))
            if at < seconds:
                events.append(Event(at, beats * beat_s, note, velocity))
        start += 4 * beat_s
    return events


def _bar(
    rng: np.random.Generator, notes: list[int], place: int, style: str
) -> tuple[list[tuple[float, float, int]], int]:
    """Four beats as `(beat, beats, note)`, and the scale place the melody ended on."""
    if style == "pad" or (style == "poly" and rng.random() < 0.55):
        return _chord_bar(rng, notes, style), place
    steps = {"mono": (0.5, 0.5, 1.0, 1.0, 1.5, 2.0, 0.25), "bass": (0.5, 0.5, 0.5, 1.0, 1.0)}
    lengths = steps.get(style, steps["mono"])
    bar: list[tuple[float, float, int]] = []
    beat = 0.0
    while beat < 4:
        beats = min(float(rng.choice(lengths)), 4 - beat)
        place = int(np.clip(place + rng.choice([-4, -2, -1, -1, 0, 1, 1, 2, 4]), 0, len(notes) - 1))
        if rng.random() > 0.1:
            bar.append((beat, beats * float(rng.choice([0.6, 0.95, 1.05])), notes[place]))
        beat += beats
    return bar, place


def _chord_bar(
    rng: np.random.Generator, notes: list[int], style: str
) -> list[tuple[float, float, int]]:
    root = int(rng.integers(0, max(1, len(notes) - 6)))
    size = int(rng.integers(3, 5))
    chord = [notes[min(root + 2 * k, len(notes) - 1)] for k in range(size)]
    chord = sorted(set(chord))
    if style == "pad":
        return [(0.0, 4.1, note) for note in chord]
    if rng.random() < 0.5:  # broken
        order = [chord[k % len(chord)] for k in rng.permutation(8)]
        return [(0.5 * k, float(rng.choice([0.5, 1.5])), note) for k, note in enumerate(order)]
    starts = (0.0, 2.0) if rng.random() < 0.5 else (0.0, 1.5, 3.0)
    return [(at + 0.015 * k, 1.4, note) for at in starts for k, note in enumerate(chord)]


def beat(rng: np.random.Generator, seconds: float) -> list[Event]:
    """Write a drum beat: one tempo and feel, small variations each bar, fills every fourth bar.

    Events carry indexes into `ROLES`; durations are 0 (a hit rings).
    """
    step_s = 60 / rng.uniform(72, 150) / 4
    swing = float(rng.choice([0.0, 0.0, 0.25])) * step_s
    kick = {0, 8} | set(map(int, rng.choice(16, int(rng.integers(0, 4)))))
    snare = {4, 12} if rng.random() < 0.75 else {8}
    hat_every = int(rng.choice([1, 2, 2, 4]))
    perc = set(map(int, rng.choice(16, int(rng.integers(2, 6)), replace=False)))
    ride = bool(rng.random() < 0.25)
    events: list[Event] = []

    def hit(step: int, role: str, velocity: float) -> None:
        at = step * step_s + (swing if step % 2 else 0.0) + float(rng.normal(0, 0.004))
        force = float(np.clip(velocity * rng.uniform(0.75, 1.1), 0.1, 1.0))
        if at < seconds:
            events.append(Event(max(0.0, at), 0.0, ROLES.index(role), force))

    for bar in range(int(seconds / (16 * step_s)) + 1):
        fill = bar % 4 == 3 and rng.random() < 0.7
        if bar % 4 == 0:
            hit(16 * bar, "cymbal", 0.8)
        for step in range(16):
            at = 16 * bar + step
            if fill and step >= 12:
                hit(at, str(rng.choice(["tom", "tom", "snare"])), 0.8)
                continue
            if step in kick and rng.random() < 0.92:
                hit(at, "kick", 1.0)
            if step in snare or rng.random() < 0.04:
                hit(at, "snare", 0.9 if step in snare else 0.35)
            if step % hat_every == 0:
                hit(at, "cymbal" if ride else "hat", 0.75 if step % 4 == 0 else 0.5)
            if step in perc and rng.random() < 0.6:
                hit(at, "perc", 0.6)
    return sorted(events, key=lambda event: event.start_s)


def strum_pattern(rng: np.random.Generator, seconds: float, chords: int) -> list[Event]:
    """Write strummed chords: `sound` is an index in `range(chords)`, changing every bar or two."""
    beat_s = 60 / rng.uniform(70, 130)
    patterns = ((0, 1, 2, 3), (0, 1, 1.5, 2.5, 3), (0, 1.5, 2, 3.5), (0, 2), (0, 0.5, 1, 2, 2.5, 3))
    pattern = patterns[int(rng.integers(len(patterns)))]
    progression = rng.choice(chords, min(4, chords), replace=False)
    events: list[Event] = []
    for bar in range(int(seconds / (4 * beat_s)) + 1):
        chord = int(progression[bar % len(progression)])
        for index, at in enumerate(pattern):
            following = pattern[index + 1] if index + 1 < len(pattern) else 4
            start = (4 * bar + at) * beat_s + float(rng.uniform(0, 0.01))
            if start < seconds:
                force = float(rng.uniform(0.6, 1.0))
                events.append(Event(start, (following - at) * beat_s, chord, force))
    return events


def play_notes(
    samples: Mapping[int, Signal],
    events: Sequence[Event],
    seconds: float,
    sample_rate: int,
    release_s: float = 0.12,
    reach: int = 2,
) -> Signal:
    """Play events on a sampler.

    Each note uses the nearest sample, shifted in pitch by at most `reach` semitones; a note
    further away from every sample is played on the nearest one at its reachable pitch.

    Args:
        samples: Clips of shape `(time,)` by MIDI note.
        events: From `melody`.
        seconds: Length of the result; what rings longer is faded.
        sample_rate: In Hz.
        release_s: Fade after a note's end.
        reach: Largest pitch shift in semitones.
    """
    result = np.zeros(int(seconds * sample_rate))
    shifted: dict[tuple[int, int], Signal] = {}
    for event in events:
        nearest = min(samples, key=lambda note: (abs(note - event.sound), note))
        shift = int(np.clip(event.sound - nearest, -reach, reach))
        if (nearest, shift) not in shifted:
            shifted[nearest, shift] = change_rate(samples[nearest], 2 ** (-shift / 12))
        clip = shifted[nearest, shift][: int((event.duration_s + release_s) * sample_rate)]
        _add(result, clip, event, sample_rate, release_s)
    return fade(result, sample_rate, 0.0, 0.3)


def play_hits(
    samples: Sequence[Sequence[Signal]],
    events: Sequence[Event],
    seconds: float,
    sample_rate: int,
    rng: np.random.Generator,
    choke: bool = False,
) -> Signal:
    """Play events whose `sound` is an index into `samples`, each a list of alternatives.

    A sound with no alternatives is skipped. With `choke` a hit is cut when its duration is over
    (the next strum damps the strings), otherwise it rings.
    """
    result = np.zeros(int(seconds * sample_rate))
    for event in events:
        choices = samples[event.sound]
        if choices:
            clip = choices[int(rng.integers(len(choices)))]
            if choke:
                clip = clip[: int((event.duration_s + 0.03) * sample_rate)]
            _add(result, clip, event, sample_rate, 0.03 if choke else 0.005)
    return fade(result, sample_rate, 0.0, 0.3)


def _add(result: Signal, clip: Signal, event: Event, sample_rate: int, release_s: float) -> None:
    start = int(event.start_s * sample_rate)
    clip = fade(clip, sample_rate, 0.002, release_s)[: len(result) - start]
    result[start : start + len(clip)] += event.velocity**1.5 * clip


def midi_file(events: Sequence[Event], program: int, channel: int = 0, bank: int = 0) -> bytes:
    """Return a standard MIDI file (format 0, 1 tick = 1 ms) that plays `events` on one channel."""
    messages: list[tuple[int, int, bytes]] = [
        (0, 0, bytes([0xB0 | channel, 0, bank])),
        (0, 1, bytes([0xC0 | channel, program])),
    ]
    for event in events:
        start = round(event.start_s * 1000) + 50
        end = start + max(30, round(event.duration_s * 1000))
        velocity = max(1, round(127 * event.velocity))
        messages.append((start, 3, bytes([0x90 | channel, event.sound, velocity])))
        messages.append((end, 2, bytes([0x80 | channel, event.sound, 0])))
    track = bytearray(b"\x00\xff\x51\x03" + (500_000).to_bytes(3, "big"))
    now = 0
    for at, _, message in sorted(messages):
        track += _variable_length(at - now) + message
        now = at
    track += _variable_length(1500) + b"\xff\x2f\x00"
    header = b"MThd" + struct.pack(">IHHH", 6, 0, 1, 500)
    return header + b"MTrk" + struct.pack(">I", len(track)) + bytes(track)


def _variable_length(value: int) -> bytes:
    parts = [value & 0x7F]
    while value := value >> 7:
        parts.append(0x80 | (value & 0x7F))
    return bytes(reversed(parts))
