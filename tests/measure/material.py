"""Material to measure, dry and treated, for the tests of this folder."""

from __future__ import annotations

import numpy as np
import scipy.signal
import torch

from afxvae import audio
from afxvae.dsp.features import CLIP_SAMPLES, RUN_IN, SAMPLE_RATE
from afxvae.effects import default_chain
from afxvae.jobs import DEMO_INPUT
from tests.sounds import sound

CHAIN = default_chain()
NOISES = ("noise", "swelling noise")
MATERIALS = (*NOISES, "phrases")


def material(name: str, seed: int) -> torch.Tensor:
    """A dry sound with its run-in, ``(24000 + 131072,)``.

    Nothing repeats exactly in the noises. Phrases repeat their notes, on a grid of a third of a
    second, so that they have faint echoes of their own.
    """
    length = RUN_IN + CLIP_SAMPLES
    if name == "phrases":
        return sound(seed, length / SAMPLE_RATE + 0.1)[0, :length]
    noise = 0.1 * torch.randn(length, generator=torch.Generator().manual_seed(seed))
    if name == "noise":
        return noise
    return (torch.sin(torch.linspace(0.0, 46.0, length)).square() + 1e-3) * noise


def guitar() -> torch.Tensor:
    """The bundled recording, whose notes are held, dry and with a run-in ``(24000 + 131072,)``."""
    notes, about = audio.read(DEMO_INPUT)
    return audio.resample(notes.mean(0), about.sample_rate, SAMPLE_RATE)[: RUN_IN + CLIP_SAMPLES]


def begun(dry: torch.Tensor) -> torch.Tensor:
    """A dry sound with a silent run-in: its clip is the start of a recording."""
    return torch.nn.functional.pad(dry[RUN_IN:], (RUN_IN, 0))


def treated(dry: torch.Tensor, **effects: dict[str, float]) -> torch.Tensor:
    """The clip ``(131072,)`` of a dry sound after effects of the chain, without its run-in."""
    settings = {
        effect: {knob: torch.tensor([value]) for knob, value in knobs.items()}
        for effect, knobs in effects.items()
    }
    on = {effect: torch.tensor([True]) for effect in effects}
    return CHAIN.process(dry.view(1, 1, -1), settings, on, SAMPLE_RATE)[0, 0, RUN_IN:]


def in_another_room(dry: torch.Tensor, seed: int, decay_s: float, mix: float) -> torch.Tensor:
    """The clip of a dry sound in a room of Gaussian noise that decays exponentially after 10 ms."""
    time = np.arange(round(1.2 * decay_s * SAMPLE_RATE)) / SAMPLE_RATE
    response = np.random.default_rng(seed).standard_normal(len(time)) * 10 ** (-3 * time / decay_s)
    response = np.pad(response / np.linalg.norm(response), (SAMPLE_RATE // 100, 0))
    sound = dry.double().numpy()
    wet = scipy.signal.fftconvolve(sound, response)[: len(sound)]
    return torch.from_numpy((1 - mix) * sound + mix * wet).float()[RUN_IN:]


def settings(effect: str, controls: torch.Tensor) -> dict[str, float]:
    """Knobs of an effect in units, by the chain's own order."""
    params = CHAIN[effect].params
    return {
        param.name: float(param.to_setting(control))
        for param, control in zip(params, controls, strict=True)
    }
