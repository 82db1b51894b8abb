"""Training material: crops of recordings, treated by random chains, as features or as audio.

A *crop* is two neighbouring clips A and B of 131,072 samples at 24 kHz. Each is brought to one
loudness with one second of run-in before it, and treatments are rendered after that cut, so that
the true settings reproduce the truth exactly.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
import torch

from ..audio import info, read_segment, resample
from ..dsp.features import (
    ANALYSIS_LUFS,
    CLIP_SAMPLES,
    DB_PER_STEP,
    FLOOR_DB,
    RUN_IN,
    SAMPLE_RATE,
    extract_features,
)
from ..loudness import normalize_loudness
from ..measure import LINEAR, Measured, peel
from ..types import AudioError
from .treatments import random_treatments

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from ..effects import Chain
    from .corpus import Recording

__all__ = [
    "Pairs",
    "clip_features",
    "draw_crop",
    "group_numbers",
    "make_pairs",
    "peel_known",
    "quantize_log_mel",
    "render_pool",
    "restore_log_mel",
    "treat",
]

_CROP = RUN_IN + 2 * CLIP_SAMPLES
_BATCH = 12
_MOST_MISSES = 50  # draws for each crop or pair that is wanted
_COLOURED = 0.6  # share of crops whose source gets another microphone's colour
_NARROW = 0.3  # share of those whose bandwidth is cut
_FOUND = 0.93  # share of delays and of reverbs that are measured, about
_PEELED = 0.5  # share of treated clips in pools off which these are taken
_SPEEDS = range(16, 26)  # twentieths: other speakers and instruments are taller and smaller
_SPED = 0.7  # share of crops that are played at one of them

Protocol: TypeAlias = Literal["P1", "P2"]


@dataclass(frozen=True)
class Pairs:
    """Items with known truth.

    Attributes:
        audio: ``(batch, 1, run-in + 131072)``, the dry input.
        reference: ``(batch, 1, 131072)``, other material after the treatment.
        truth: ``(batch, 1, 131072)``, the input after the treatment.
        controls: ``(batch, control)``.
        switches: ``(batch, effect)`` boolean.
        kinds: Kind of recording of each item.
        groups: Speakers or instruments of input and reference of each item.
    """

    audio: Tensor
    reference: Tensor
    truth: Tensor
    controls: Tensor
    switches: Tensor
    kinds: tuple[str, ...]
    groups: tuple[tuple[str, str], ...]


def group_numbers(groups: Sequence[tuple[str, str]]) -> Tensor:
    """Groups as numbers ``(item, 2)``, for storage."""
    return torch.tensor([[zlib.crc32(name.encode()) for name in pair] for pair in groups])


def quantize_log_mel(log_mel: Tensor) -> Tensor:
    """DB to 8-bit steps of half a dB, for storage."""
    return ((log_mel - FLOOR_DB) / DB_PER_STEP).round().clamp(0, 255).to(torch.uint8)


def restore_log_mel(steps: Tensor) -> Tensor:
    """Inverse of `quantize_log_mel`."""
    return steps.float() * DB_PER_STEP + FLOOR_DB


def treat(audio: Tensor, chain: Chain, controls: Tensor, switches: Tensor) -> Tensor:
    """Render ``(batch, 1, run-in + time)`` and drop the run-in, in small batches."""
    done = []
    for part in range(0, len(audio), _BATCH):
        rows = slice(part, part + _BATCH)
        settings = chain.to_settings(controls[rows])
        on = dict(zip(chain.names, switches[rows].unbind(1), strict=True))
        done.append(chain.process(audio[rows], settings, on, SAMPLE_RATE)[..., RUN_IN:])
    return torch.cat(done)


def peel_known(
    wet: Tensor,
    chain: Chain,
    controls: Tensor,
    switches: Tensor,
    generator: torch.Generator,
    share: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """Take most delays and reverbs off, as where they were measured.

    Args:
        wet: ``(clip, 1, 131072)``.
        chain: Of the treatments.
        controls: ``(clip, control)``.
        switches: ``(clip, effect)``.
        generator: Draws which are known.
        share: Of the clips off which anything is taken.

    Returns:
        The clips, and switches without what was taken off.
    """
    bare, left = wet.clone(), switches.clone()
    columns = {name: chain.names.index(name) for name in LINEAR if name in chain.names}
    for index in range(len(wet)):
        if float(torch.rand((), generator=generator)) >= share:
            continue
        measured = {}
        for name, column in columns.items():
            found = bool(left[index, column] & (torch.rand((), generator=generator) < _FOUND))
            measured[name] = Measured(controls[index][chain.knobs_of(name)], found)
            if found:
                left[index, column] = False
        bare[index] = peel(chain, wet[index], measured)
    return bare, left


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


def _level(halves: Tensor) -> Tensor | None:
    """Bring the clips, without their run-ins, to the analysis loudness."""
    clips, gain_db = normalize_loudness(halves[..., RUN_IN:], SAMPLE_RATE, ANALYSIS_LUFS)
    if not bool((clips.abs().amax(dim=(1, 2)) > 1e-3).all()) or float(gain_db.max()) > 30.0:
        return None
    return halves * (10.0 ** (gain_db / 20.0)).view(-1, 1, 1)


def _draw_varied(
    recording: Recording, chain: Chain, rng: np.random.Generator, generator: torch.Generator
) -> Tensor | None:
    """`draw_crop` of a recording as if another had spoken, into another microphone."""
    twentieths = int(rng.choice(_SPEEDS)) if rng.random() < _SPED else 20
    halves = draw_crop(recording, rng, twentieths)
    if halves is not None and rng.random() < _COLOURED:
        halves = _colour(halves, chain, generator)
    return halves


def _colour(halves: Tensor, chain: Chain, generator: torch.Generator) -> Tensor | None:
    """Give a source another microphone: a noise floor, a bandwidth and gentle equalisation.

    The halves differ a little, as if the speaker had moved.
    """

    def draw(low: float, high: float, count: int = 1) -> Tensor:
        return low + (high - low) * torch.rand(count, generator=generator)

    noise = torch.randn(halves.shape, generator=generator) * 10.0 ** (draw(-85.0, -55.0) / 20.0)
    moved_db = float(draw(0.0, 2.0))
    settings = {name: value.expand(2) for name, value in chain["eq"].defaults(1).items()}
    for band in ("low_shelf", "peak2", "peak3", "high_shelf"):
        settings[f"{band}_gain_db"] = draw(-5.0, 5.0) + moved_db * draw(-1.0, 1.0, 2)
    coloured = chain["eq"].process(halves + noise, settings, SAMPLE_RATE)
    if float(draw(0.0, 1.0)) < _NARROW:
        coloured = _narrow(coloured, 4000.0 * 3.0 ** float(draw(0.0, 1.0)))
    return _level(coloured)


def _narrow(audio: Tensor, edge_hz: float) -> Tensor:
    """Cut what is above `edge_hz` steeply, as codecs and low sample rates do."""
    spectrum = torch.fft.rfft(audio)
    octaves = torch.linspace(1e-3, SAMPLE_RATE / 2, spectrum.shape[-1]).div(edge_hz).log2()
    kept = torch.sigmoid(-60.0 * octaves)
    narrow: Tensor = torch.fft.irfft(spectrum * kept, audio.shape[-1])
    return narrow


def clip_features(clips: Tensor) -> tuple[Tensor, Tensor]:
    """Log-mels as they are stored, and statistics, of ``(clip, 1, 131072)`` at one loudness."""
    levelled, _ = normalize_loudness(clips, SAMPLE_RATE, ANALYSIS_LUFS)
    features = extract_features(levelled.squeeze(1))
    return quantize_log_mel(features.log_mel), features.statistics.half()


def render_pool(
    recordings: Sequence[Recording], chain: Chain, seed: int, crops: int, treatments: int
) -> dict[str, Tensor]:
    """One shard of features: crops, both halves dry, and `treatments` random ones on each half.

    Any dry clip and any treated clip make a training pair: the other half of the crop gives P1, a
    crop of the same kind P2. Half of the treated clips are peeled, see `peel_known`.

    Returns:
        ``dry_mel (crop, 2, frame, mel)``, ``dry_statistics``, ``wet_mel (crop, 2, treatment, frame,
        mel)``, ``wet_statistics``, ``controls (crop, 2, treatment, control)``, ``switches``, and
        ``kind (crop,)``, an index into the sorted kinds of the recordings.
    """
    rng = np.random.default_rng([seed, 1])
    generator = torch.Generator().manual_seed(seed)
    kinds = sorted({recording.kind for recording in recordings})
    weights = np.array([recording.seconds for recording in recordings])
    rows: dict[str, list[Tensor]] = {}
    for _ in range(_MOST_MISSES * crops):
        if len(rows.get("kind", [])) == crops:
            break
        recording = recordings[int(rng.choice(len(recordings), p=weights / weights.sum()))]
        halves = _draw_varied(recording, chain, rng, generator)
        if halves is None:
            continue
        controls, switches = random_treatments(chain, 2 * treatments, generator)
        wet = treat(halves.repeat_interleave(treatments, dim=0), chain, controls, switches)
        wet, switches = peel_known(wet, chain, controls, switches, generator, _PEELED)
        mel, statistics = clip_features(torch.cat([halves[..., RUN_IN:], wet]))
        shape = (2, treatments)
        row = {
            "dry_mel": mel[:2],
            "dry_statistics": statistics[:2],
            "wet_mel": mel[2:].unflatten(0, shape),
            "wet_statistics": statistics[2:].unflatten(0, shape),
            "controls": controls.unflatten(0, shape),
            "switches": switches.unflatten(0, shape),
            "kind": torch.tensor(kinds.index(recording.kind)),
        }
        for name, value in row.items():
            rows.setdefault(name, []).append(value)
    if len(rows.get("kind", [])) < crops:
        raise AudioError("The recordings are too silent or too short to draw crops from.")
    return {name: torch.stack(values) for name, values in rows.items()}


def make_pairs(
    recordings: Sequence[Recording],
    chain: Chain,
    seed: int,
    count: int,
    protocol: Protocol,
    varied: bool = False,
) -> Pairs:
    """Items of P1 (reference from the same recording) or P2 (from another group of the same kind).

    Deterministic in `seed`. In P2 a kind with a single group gives a reference from another
    recording of that group. `varied` plays sources at other speeds and gives them other
    microphones, as in training pools.
    """
    rng = np.random.default_rng([seed, 2])
    generator = torch.Generator().manual_seed(seed)
    weights = np.array([recording.seconds for recording in recordings])
    inputs: list[Tensor] = []
    sources: list[Tensor] = []
    kinds: list[str] = []
    groups: list[tuple[str, str]] = []
    misses = 0

    def draw(recording: Recording) -> Tensor | None:
        if varied:
            return _draw_varied(recording, chain, rng, generator)
        return draw_crop(recording, rng)

    while len(inputs) < count:
        recording = recordings[int(rng.choice(len(recordings), p=weights / weights.sum()))]
        halves = draw(recording)
        misses += 1
        if misses > _MOST_MISSES * count:
            raise AudioError(
                "The recordings are too silent, too short or too few to draw pairs from."
            )
        if halves is None:
            continue
        source, group = halves[1], recording.group
        if protocol == "P2":
            others = [
                r for r in recordings if r.kind == recording.kind and r.path != recording.path
            ]
            others = [r for r in others if r.group != recording.group] or others
            if not others:
                continue
            other = others[int(rng.integers(len(others)))]
            clips = draw(other)
            if clips is None:
                continue
            source, group = clips[int(rng.integers(2))], other.group
        inputs.append(halves[0])
        sources.append(source)
        kinds.append(recording.kind)
        groups.append((recording.group, group))
    audio = torch.stack(inputs)
    controls, switches = random_treatments(chain, count, generator)
    return Pairs(
        audio=audio,
        reference=treat(torch.stack(sources), chain, controls, switches),
        truth=treat(audio, chain, controls, switches),
        controls=controls,
        switches=switches,
        kinds=tuple(kinds),
        groups=tuple(groups),
    )
