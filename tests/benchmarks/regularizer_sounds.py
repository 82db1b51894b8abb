"""Sounds for the comparison of regularisers: clips, treated by one effect each, embedded, measured.

`sounds` renders once and keeps the result in a folder; the same seed gives the same sounds. The
corpus has neither notes nor dynamics written down, so both are estimated, see `fundamental_hz` and
`level_spread_db`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from afxvae.data.corpus import Recording, load_manifest
from afxvae.data.crops import draw_crop
from afxvae.data.pairs import group_numbers
from afxvae.data.treatments import knob_range
from afxvae.dsp.features import CLIP_SAMPLES, RUN_IN, SAMPLE_RATE
from afxvae.effects import EFFECTS, Chain
from afxvae.models.style_vae import AFXStyleVAE
from afxvae.timbre import ATTRIBUTES, attributes

FAMILIES = {
    "eq": "tone",
    "tilt": "tone",
    "compressor": "dynamics",
    "gate": "dynamics",
    "overdrive": "drive",
    "bit_crusher": "drive",
    "chorus": "modulation",
    "phaser": "modulation",
    "tremolo": "modulation",
    "delay": "time",
    "reverb": "time",
}
KINDS = {
    "speech": "voice",
    "guitar": "plucked",
    "bass": "plucked",
    "piano": "keys",
    "keys": "keys",
    "strings": "sustained",
    "winds": "sustained",
    "drums": "struck",
    "percussion": "struck",
}
SETTINGS = {
    "eq": "high_shelf_gain_db",
    "tilt": "tilt_db",
    "compressor": "threshold_db",
    "gate": "threshold_db",
    "overdrive": "drive_db",
    "bit_crusher": "bits",
    "chorus": "mix",
    "phaser": "mix",
    "tremolo": "depth",
    "delay": "mix",
    "reverb": "mix",
}
"""The knob of each effect that says most of how much it does."""
NAMES = tuple(ATTRIBUTES)
TREATMENTS = 3  # of each crop
MEASURED = 2 * SAMPLE_RATE  # samples of a clip whose attributes are measured


def sounds(
    manifest: Path, folder: Path, crops: int, seed: int, log: Callable[[str], None]
) -> dict[str, Tensor]:
    """Dry and treated clips, as tables with a row for each.

    Returns:
        ``dry`` ``(crop, embedding)``, ``dry_attributes`` ``(crop, attribute)``, ``kind``,
        ``group``, ``held_out``, ``pitch_hz`` and ``spread_db`` ``(crop,)``; ``difference``
        ``(crop, treatment, difference)``, ``change`` ``(crop, treatment, attribute)``, ``effect``
        and ``setting`` ``(crop, treatment)``, where a setting is the position of the effect's knob
        in `SETTINGS`, in [0, 1].
    """
    path = folder / f"sounds-{crops}-{seed}.safetensors"
    if path.exists():
        return load_file(path)
    model = AFXStyleVAE.from_pretrained()
    rng, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    rows: list[dict[str, Tensor]] = []
    chosen = recordings_of(load_manifest(manifest), rng)
    while len(rows) < crops:
        kind, recording = next(chosen)
        halves = draw_crop(recording, rng)
        if halves is None:
            continue
        row = _row(model, halves[0], len(rows), generator)
        if not all(bool(part.isfinite().all()) for part in row.values()):
            continue
        row["group"] = group_numbers([recording.group])[0]
        row["kind"] = torch.tensor(kind)
        row["held_out"] = torch.tensor(recording.split != "train")
        rows.append(row)
        if len(rows) % 20 == 0:
            log(f"{len(rows)} of {crops} crops")
    table = {name: torch.stack([row[name] for row in rows]) for name in rows[0]}
    folder.mkdir(parents=True, exist_ok=True)
    save_file(table, path)
    return table


def recordings_of(recordings: list[Recording], rng: np.random.Generator):
    """Kinds in turn, and of each a random group's recording; every third time one held out."""
    kinds = list(KINDS)
    turn = 0
    while True:
        for number, kind in enumerate(kinds):
            of_kind = [r for r in recordings if r.kind == kind]
            wanted = [r for r in of_kind if (r.split != "train") == (turn % 3 == 2)] or of_kind
            groups = sorted({recording.group for recording in wanted})
            group = groups[int(rng.integers(len(groups)))]
            wanted = [recording for recording in wanted if recording.group == group]
            yield number, wanted[int(rng.integers(len(wanted)))]
        turn += 1


def draw_controls(chain: Chain, generator: torch.Generator) -> Tensor:
    """Random positions ``(1, control)`` in the usual ranges."""
    ends = torch.tensor([knob_range(effect, param) for effect, param in chain.knobs])
    return (ends[:, 0] + ends.diff(dim=1)[:, 0] * torch.rand(len(ends), generator=generator))[None]


def fundamental_hz(clip: Tensor) -> Tensor:
    """Median fundamental of a clip ``(time,)``, or 0 if fewer than half its loud frames have one.

    The first dip of YIN's cumulative mean normalised difference below .15 (de Cheveigne and
    Kawahara 2002, steps 2 to 4), from 50 to 1200 Hz. Of a chord it is some common period.
    """
    longest, shortest = SAMPLE_RATE // 50, SAMPLE_RATE // 1200
    frames = clip.unfold(0, 2 * longest, longest)
    power = frames.square().mean(1)
    frames = frames[power > 1e-2 * power.max()]
    spectrum = torch.fft.rfft(frames[:, :longest], 4 * longest).conj()
    product = torch.fft.irfft(spectrum * torch.fft.rfft(frames, 4 * longest))[:, :longest]
    energy = frames.square().cumsum(1)
    energy = torch.cat([torch.zeros(len(frames), 1), energy], 1)
    moved = energy[:, longest : 2 * longest] - energy[:, :longest]
    difference = energy[:, longest : longest + 1] + moved - 2.0 * product
    lag = torch.arange(longest)
    normed = difference * lag / difference.cumsum(1).clamp_min(1e-9)
    inside = lag[1:-1]
    dip = (normed[:, 1:-1] < 0.15) & (normed[:, 1:-1] <= normed[:, 2:]) & (inside >= shortest)
    found = dip.any(1)
    if float(found.float().mean()) < 0.5:
        return torch.tensor(0.0)
    first = inside[dip[found].int().argmax(1)]
    return (SAMPLE_RATE / first.float()).median()


def level_spread_db(clip: Tensor) -> Tensor:
    """Range of the levels of 100 ms frames of a clip ``(time,)``, 10 % to 95 %, in dB."""
    power = clip.unfold(0, SAMPLE_RATE // 10, SAMPLE_RATE // 10).square().mean(1)
    level = 10.0 * (power + 1e-6 * power.max()).log10()
    return level.quantile(0.95) - level.quantile(0.10)


def _knob(chain: Chain) -> int:
    (effect,) = chain.effects
    return [param.name for param in effect.params].index(SETTINGS[effect.name])


@torch.no_grad()
def _row(
    model: AFXStyleVAE, half: Tensor, number: int, generator: torch.Generator
) -> dict[str, Tensor]:
    by_name = {effect.name: effect for effect in EFFECTS}
    clips, effects, settings = [half[0, -CLIP_SAMPLES:]], [], []
    for turn in range(TREATMENTS):
        effect = (TREATMENTS * number + turn) % len(FAMILIES)
        chain = Chain([by_name[list(FAMILIES)[effect]]])
        controls = draw_controls(chain, generator)
        on = {name: torch.ones(1, dtype=torch.bool) for name in chain.names}
        wet = chain.process(half[None], chain.to_settings(controls), on, SAMPLE_RATE)
        clips.append(wet[0].mean(0)[RUN_IN : RUN_IN + CLIP_SAMPLES])
        effects.append(effect)
        settings.append(controls[0, _knob(chain)])
    batch = torch.stack(clips)
    embedded = model.embed_clips(batch)
    found = attributes(batch[:, :MEASURED], SAMPLE_RATE)
    measured = torch.stack([found[name].float() for name in NAMES], 1)
    dry = embedded[:1].expand(TREATMENTS, -1)
    return {
        "dry": embedded[0],
        "dry_attributes": measured[0],
        "pitch_hz": fundamental_hz(batch[0]),
        "spread_db": level_spread_db(batch[0]),
        "difference": model.compare(dry, embedded[1:]),
        "change": measured[1:] - measured[0],
        "effect": torch.tensor(effects),
        "setting": torch.stack(settings),
    }
