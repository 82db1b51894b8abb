"""Our effects and those of ffmpeg, SoX and pedalboard, from array to array.

Needs the commands `ffmpeg` and `sox`, and pedalboard (``pip install -e .[bench]``). A null is the
power of the difference relative to the peer's output.
"""

from __future__ import annotations

import math
import subprocess

import numpy as np
import pedalboard
import torch

from afxvae.effects import EFFECTS

RATE = 44100
SECONDS = 4


def noise(highest_hz: float) -> np.ndarray:
    """The same noise each time, without what lies above `highest_hz`."""
    white = 0.1 * np.random.default_rng(0).standard_normal(SECONDS * RATE)
    spectrum = np.fft.rfft(white) * (np.fft.rfftfreq(len(white), 1.0 / RATE) < highest_hz)
    return np.fft.irfft(spectrum, len(white)).astype(np.float32).astype(float)


def piped(command: list[str], audio: np.ndarray) -> np.ndarray:
    """Through a command and back; `audio` is ``(time,)`` or ``(channel, time)``."""
    given = audio.T.astype(np.float32).tobytes()
    done = subprocess.run(command, input=given, stdout=subprocess.PIPE, check=True)
    samples = np.frombuffer(done.stdout, np.float32).astype(float)
    return samples if audio.ndim == 1 else samples.reshape(-1, len(audio)).T


def ffmpeg(audio: np.ndarray, effect: str) -> np.ndarray:
    form = ["-f", "f32le", "-ar", str(RATE), "-ac", str(1 if audio.ndim == 1 else len(audio))]
    return piped(["ffmpeg", "-v", "error", *form, "-i", "-", "-af", effect, *form, "-"], audio)


def sox(audio: np.ndarray, effect: str) -> np.ndarray:
    form = ["-t", "f32", "-r", str(RATE), "-c", "1", "-"]
    return piped(["sox", "-V1", "-D", *form, *form, *effect.split()], audio)


def plugged(effect: pedalboard.Plugin, audio: np.ndarray) -> np.ndarray:
    done: np.ndarray = effect(audio.astype(np.float32)[None], RATE)
    return done[0].astype(float)


def ours(name: str, audio: np.ndarray, lead: int = 0, **knobs: float) -> np.ndarray:
    """Our effect; its oscillator has turned for `lead` samples when the sound begins."""
    (effect,) = (effect for effect in EFFECTS if effect.name == name)
    settings = {key: torch.tensor([value], dtype=torch.float64) for key, value in knobs.items()}
    padded = torch.from_numpy(np.concatenate([np.zeros(lead), audio]))[None, None]
    return effect.process(padded, effect.defaults() | settings, RATE)[0, 0, lead:].numpy()


def row(what: str, found: np.ndarray, peer: np.ndarray) -> None:
    difference = np.mean((found - peer) ** 2) / np.mean(peer**2)
    print(f"| {what} | {10.0 * math.log10(difference + 1e-30):.0f} dB |")
