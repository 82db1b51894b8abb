"""Sounds to work on, and models that have learned nothing, for tests of several rooms."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path

import numpy as np
import scipy.signal
import soundfile
import torch

from afxvae.candidates import Candidate, nothing
from afxvae.data.corpus import Recording, Split
from afxvae.dsp.features import CLIP_SAMPLES, RUN_IN, SAMPLE_RATE, extract_features
from afxvae.effects import Chain, default_chain
from afxvae.loudness import levelled, loudness_lufs
from afxvae.measure import MEASURED, Measured
from afxvae.models.estimate import ESTIMATED
from afxvae.models.style_vae import AFXStyleVAE


def phrases(seed: int, seconds: float = 26.0, sample_rate: int = SAMPLE_RATE) -> np.ndarray:
    """Notes of a plucked string with pauses, over a little noise."""
    generator = np.random.default_rng(seed)
    sound = 0.002 * generator.standard_normal(round(seconds * sample_rate))
    time = np.arange(sample_rate // 2) / sample_rate
    for start in range(0, len(sound) - len(time), sample_rate // 3):
        pitch = 110 * 2 ** (generator.integers(24) / 12)
        note = scipy.signal.sawtooth(2 * np.pi * pitch * time) * np.exp(-6 * time)
        sound[start : start + len(time)] += 0.2 * generator.random() * note
    return sound


def sound(seed: int, seconds: float, sample_rate: int = SAMPLE_RATE, channels: int = 1):
    """`phrases` of every channel as a tensor ``(channel, time)``."""
    made = [phrases(10 * seed + channel, seconds, sample_rate) for channel in range(channels)]
    return torch.from_numpy(np.stack(made)).float()


def clips(count: int, seed: int = 0) -> torch.Tensor:
    """`phrases` above a floor as of a recording, ``(clip, 131072)``."""
    made = [sound(seed + index, CLIP_SAMPLES / SAMPLE_RATE + 0.1) for index in range(count)]
    noise = torch.randn(count, CLIP_SAMPLES, generator=torch.Generator().manual_seed(9))
    return torch.cat(made)[:, :CLIP_SAMPLES] + 3e-4 * noise


def analysed_clip(seed: int = 3) -> torch.Tensor:
    """``(1, 1, run-in + 131072)`` at 24 kHz and the analysis loudness."""
    length = RUN_IN + CLIP_SAMPLES
    return levelled(sound(seed, length / SAMPLE_RATE + 0.1)[None, :, :length])


def candidate(chain: Chain, settings: dict[str, dict[str, float]]) -> Candidate:
    """With these effects on; knobs that are not given stand at their defaults."""
    found = nothing(chain)
    controls = found.controls.clone()
    for index, (effect, param) in enumerate(chain.knobs):
        if param.name in settings.get(effect, {}):
            controls[index] = param.to_control(settings[effect][param.name])
    switches = torch.tensor([name in settings for name in chain.names])
    return Candidate("first", controls, switches)


def possible(
    chain: Chain, settings: dict[str, dict[str, float]], probability: float = 0.6
) -> Candidate:
    """The same, where all effects have this probability."""
    found = candidate(chain, settings)
    return replace(found, evidence=torch.full_like(found.evidence, probability))


def lufs(audio: torch.Tensor, sample_rate: int) -> float:
    """Integrated loudness of ``(channel, time)``."""
    return float(loudness_lufs(audio.unsqueeze(0), sample_rate))


def recording(
    folder: Path, seed: int, kind: str = "guitar", group: str | None = None, split: Split = "test"
) -> Recording:
    """A file with 26 s of `phrases`."""
    group = group or f"group{seed}"
    path = folder / f"{kind}-{group}-{seed}.wav"
    soundfile.write(path, phrases(seed), SAMPLE_RATE)
    return Recording(path, split, kind, group, "synthetic", "", 26.0, True)


@functools.cache
def _statistics() -> int:
    return extract_features(torch.zeros(1, CLIP_SAMPLES)).statistics.shape[1]


def untrained(expectation: float | None = None) -> AFXStyleVAE:
    """A model that has learned nothing, and takes all recordings for those of one source.

    With an `expectation`, it is sure of an equaliser and expects every candidate to gain so much.
    """
    torch.manual_seed(0)
    model = AFXStyleVAE(statistics=_statistics()).eval()
    model.aligner.source[-1].bias.data.fill_(5.0)
    if expectation is not None and expectation < 0.0:
        model.aligner.source[-1].bias.data.fill_(-20.0)  # else equalisers are measured
    if expectation is not None:
        last = model.critic.layers[-1]
        torch.nn.init.zeros_(last.weight)
        last.bias.data.copy_(torch.tensor([expectation, 0.0]))
        model.vae.head.last.bias.data[-len(ESTIMATED)] = 5.0
    return model


def extremes() -> dict[str, torch.Tensor]:
    """Clips at the borders of what there is, in which nothing repeats, each ``(131072,)``."""
    noise = torch.randn(CLIP_SAMPLES, generator=torch.Generator().manual_seed(0))
    click = torch.zeros(CLIP_SAMPLES)
    click[CLIP_SAMPLES // 2] = 1.0
    time = torch.arange(CLIP_SAMPLES) / SAMPLE_RATE
    return {
        "silence": torch.zeros(CLIP_SAMPLES),
        "nearly silence": 1e-7 * noise,
        "noise": 0.3 * noise,
        "DC": torch.ones(CLIP_SAMPLES),
        "click": click,
        "click in faint noise": click + 1e-4 * noise,
        "sine": torch.sin(2.0 * torch.pi * 440.0 * time),
        "half silence": torch.where(time < 2.7, noise, 0.0),
    }


def measured(*effects: str) -> dict[str, Measured]:
    """As if these effects had been found, with odd knobs for all that can be measured."""
    chain = default_chain()
    return {
        effect: Measured(torch.full((len(chain[effect].params),), 0.123), effect in effects)
        for effect in MEASURED
    }
