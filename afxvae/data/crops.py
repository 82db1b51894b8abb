"""Crops of recordings, and what varies them for training: speed, microphone, delivery.

A *crop* is two neighbouring clips A and B of 131,072 samples at 24 kHz. Each is brought to one
loudness with one second of run-in before it, and treatments are rendered after that cut, so that
the true settings reproduce the truth exactly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ..audio import info, read, read_segment, resample, through_codec
from ..dsp.features import ANALYSIS_LUFS, CLIP_SAMPLES, RUN_IN, SAMPLE_RATE
from ..loudness import normalize_loudness
from .treatments import random_treatments

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from ..effects import Chain
    from .corpus import Recording

__all__ = ["deliver", "draw_crop", "draw_repeated", "draw_varied", "random_bends"]

_CROP = RUN_IN + 2 * CLIP_SAMPLES
_COLOURED = 0.9  # share of crops whose source gets another microphone's colour
_COLOUR_DB = (0.5, 5.0)  # standard deviation of its curve
_MOVED_DB = 0.6  # standard deviation of half of what the halves differ by, at most
_DETAIL_OCTAVES = (0.6, 3.0)  # over which its curve changes
_WAVES = 8  # that make up its curve
_NARROW = 0.3  # share of those whose bandwidth is cut
_WORN = 0.2  # share of crops whose source was driven, compressed or in a room before
_WEAR = ("compressor", "overdrive", "reverb")
_WORN_AMOUNT = (0.1, 0.6)  # of what treatments do
_SPEEDS = range(16, 26)  # twentieths: other speakers and instruments are taller and smaller
_SPED = 0.7  # share of crops that are played at one of them
_NOISY, _CUT, _CODED = 0.1, 0.1, 0.1  # shares of deliveries
_LOSSES = (0.2, 0.7)  # of the codec, from 0 to 1


def draw_crop(
    recording: Recording, rng: np.random.Generator, twentieths: int = 20
) -> Tensor | None:
    """Halves A and B with their run-ins, ``(2, 1, run-in + 131072)``, or None if one is silent.

    `twentieths` is the speed at which the recording is played, 20 as it was recorded.
    """
    source = info(recording.path)
    rate = source.sample_rate * twentieths // 20
    needed = -(-_CROP * rate // SAMPLE_RATE) + 1
    if source.frames < needed:
        return None
    start = int(rng.integers(0, source.frames - needed + 1))
    samples = read_segment(recording.path, start, needed).mean(0)
    samples = resample(samples, rate, SAMPLE_RATE)[:_CROP]
    halves = samples.unfold(0, RUN_IN + CLIP_SAMPLES, CLIP_SAMPLES).unsqueeze(1)
    return _level(halves)


def draw_repeated(recording: Recording, rng: np.random.Generator) -> Tensor | None:
    """`draw_crop` of a recording of any length: one that is too short is repeated."""
    source = info(recording.path)
    if source.frames > -(-_CROP * source.sample_rate // SAMPLE_RATE):
        return draw_crop(recording, rng)
    samples = resample(read(recording.path)[0].mean(0), source.sample_rate, SAMPLE_RATE)
    samples = samples.roll(int(rng.integers(len(samples))))
    samples = samples.repeat(-(-_CROP // len(samples)))[:_CROP]
    return _level(samples.unfold(0, RUN_IN + CLIP_SAMPLES, CLIP_SAMPLES).unsqueeze(1))


def draw_varied(
    recording: Recording, chain: Chain, rng: np.random.Generator, generator: torch.Generator
) -> Tensor | None:
    """`draw_crop` of a recording as if another had spoken, elsewhere, into another microphone.

    What a source was before is the same in both halves, and nothing of it is a treatment.
    """
    twentieths = int(rng.choice(_SPEEDS)) if rng.random() < _SPED else 20
    halves = draw_crop(recording, rng, twentieths)
    if halves is not None and rng.random() < _WORN:
        halves = _worn(halves, chain, generator)
    if halves is not None and rng.random() < _COLOURED:
        halves = _colour(halves, generator)
    return halves


def deliver(wet: Tensor, generator: torch.Generator) -> Tensor:
    """Treated clips ``(clip, 1, 131072)`` as they may arrive: noisy, cut, or through a codec.

    Most arrive as they are. Nothing of it is a treatment to be found.
    """
    arrived = wet.clone()
    for clip in arrived:
        chance = torch.rand(3, generator=generator)
        if chance[0] < _NOISY:
            level = clip.square().mean().sqrt() * 10.0 ** (_draw(generator, -60.0, -30.0) / 20.0)
            clip += level * torch.randn(clip.shape, generator=generator)
        if chance[1] < _CUT:
            clip.copy_(_narrow(clip, 5000.0 * 2.2 ** float(_draw(generator, 0.0, 1.0))))
        if chance[2] < _CODED:
            peak = clip.abs().max().clamp_min(1.0)  # a codec clips
            clip.copy_(through_codec(clip / peak, SAMPLE_RATE, float(_draw(generator, *_LOSSES))))
            clip *= peak
    return arrived


def _draw(generator: torch.Generator, low: float, high: float, count: int = 1) -> Tensor:
    return low + (high - low) * torch.rand(count, generator=generator)


def _level(halves: Tensor) -> Tensor | None:
    """Bring the clips, without their run-ins, to the analysis loudness."""
    clips, gain_db = normalize_loudness(halves[..., RUN_IN:], SAMPLE_RATE, ANALYSIS_LUFS)
    if not bool((clips.abs().amax(dim=(1, 2)) > 1e-3).all()) or float(gain_db.max()) > 30.0:
        return None
    return halves * (10.0 ** (gain_db / 20.0)).view(-1, 1, 1)


def _worn(halves: Tensor, chain: Chain, generator: torch.Generator) -> Tensor | None:
    """Send a source through one effect, less of it than treatments have."""
    controls, _ = random_treatments(chain, 1, generator)
    controls = chain.scaled(controls, float(_draw(generator, *_WORN_AMOUNT)))
    name = _WEAR[int(torch.randint(len(_WEAR), (), generator=generator))]
    settings = {k: v.expand(len(halves)) for k, v in chain.to_settings(controls)[name].items()}
    return _level(chain[name].process(halves, settings, SAMPLE_RATE))


def _colour(halves: Tensor, generator: torch.Generator) -> Tensor | None:
    """Give a source another microphone: a noise floor, a bandwidth and a smooth random curve.

    Its bends are at any frequency, as those of treatments are. The halves differ a little, as if
    the speaker had moved.
    """
    level_db = _draw(generator, -85.0, -55.0)
    noise = torch.randn(halves.shape, generator=generator) * 10.0 ** (level_db / 20.0)
    octaves = torch.linspace(20.0 / SAMPLE_RATE, 0.5, halves.shape[-1] // 2 + 1).log2()
    curve = float(_draw(generator, *_COLOUR_DB)) * random_bends(octaves, 1, generator)[0]
    moved = float(_draw(generator, 0.0, _MOVED_DB)) * random_bends(octaves, 1, generator)[0]
    gain = 10.0 ** (torch.stack([curve + moved, curve - moved]) / 20.0).unsqueeze(1)
    coloured = torch.fft.irfft(torch.fft.rfft(halves + noise) * gain, halves.shape[-1])
    if float(_draw(generator, 0.0, 1.0)) < _NARROW:
        coloured = _narrow(coloured, 4000.0 * 3.0 ** float(_draw(generator, 0.0, 1.0)))
    return _level(coloured)


def random_bends(octaves: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Smooth random curves over the logarithm of frequency, of standard deviation 1.

    Args:
        octaves: Logarithms of frequencies to the base 2 ``(bin,)``.
        count: How many curves.
        generator: Draws them.

    Returns:
        ``(count, bin)``.
    """
    turn = 2.0 * torch.pi * torch.rand(count, _WAVES, 1, generator=generator)
    detail = _draw(generator, *_DETAIL_OCTAVES, count).view(-1, 1, 1)
    pace = torch.randn(count, _WAVES, 1, generator=generator) / detail
    curves = torch.cos(turn + pace * octaves).sum(1)
    return (curves - curves.mean(1, keepdim=True)) / curves.std(1, keepdim=True)


def _narrow(audio: Tensor, edge_hz: float) -> Tensor:
    """Cut what is above `edge_hz` steeply, as codecs and low sample rates do."""
    spectrum = torch.fft.rfft(audio)
    octaves = torch.linspace(1e-3, SAMPLE_RATE / 2, spectrum.shape[-1]).div(edge_hz).log2()
    kept = torch.sigmoid(-60.0 * octaves)
    narrow: Tensor = torch.fft.irfft(spectrum * kept, audio.shape[-1])
    return narrow
