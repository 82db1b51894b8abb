"""What the figures of a model show: clips, known treatments, and what the model makes of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from .. import audio
from ..data.changes import AXES, HEARD_SAMPLES
from ..data.corpus import Recording
from ..data.crops import draw_repeated
from ..data.pairs import Pairs, treat
from ..data.treatments import random_treatments
from ..dsp import spectral
from ..dsp.features import RUN_IN, SAMPLE_RATE
from ..evaluation.axes import Responses, latent_responses, steering_responses
from ..figures.arrays import Interpolated, Knob, Moved, Posteriors, Treated
from ..interpolation import interpolate
from ..models.estimate import ESTIMATED, expected_controls
from ..presets import Preset
from ..steering import LEVERS
from ..timbre import attributes
from ..types import AudioError

if TYPE_CHECKING:
    from torch import Tensor

    from ..models.style_vae import AFXStyleVAE
    from .parts import Progress

__all__ = ["KNOBS", "Gathering", "recordings_of_files"]

KNOBS = {
    "eq": "high_shelf_gain_db",
    "compressor": "threshold_db",
    "overdrive": "drive_db",
    "chorus": "mix",
    "delay": "time_ms",
    "reverb": "decay_s",
}
"""The knob of each effect that points are coloured by."""

_SECONDS = {"treated": 5, "posteriors": 3, "levers": 12, "traversals": 4, "interpolated": 4}
_OF_ITEMS = {"levers": 4, "traversals": 2}  # one clip in so many
_RANDOM = 6  # random treatments of each clip
_DIRECTIONS = 4
_DIRECTION_STEPS = (-2.0, -1.0, 0.0, 1.0, 2.0)
_BETWEEN = 5  # pictures of an interpolation
_PICTURE_S, _N_FFT, _HOP, _MELS, _LOWEST_HZ = 4.0, 2048, 960, 64, 30.0
_TOGETHER = 3  # items of which one begins with nothing; none has fewer
_MOST_MISSES = 50

DARK = Preset().changed("eq", {"high_cut_hz": 2500.0}).changed(
    "reverb", {"mix": 0.5, "decay_s": 2.5}
)  # fmt: skip
BRIGHT = Preset().changed("eq", {"high_shelf_gain_db": 9.0, "low_cut_hz": 200.0}).changed(
    "overdrive", {"drive_db": 24.0, "mix": 0.8}
)  # fmt: skip


def recordings_of_files(paths: Sequence[Path]) -> list[Recording]:
    """Files as recordings, each of a kind of its own.

    Raises:
        AudioError: One cannot be read, is silent or shorter than 0.1 s.
    """
    found = []
    for path in paths:
        sound, info = audio.read(path)
        audio.check_usable(sound, info.sample_rate, str(path))
        kind = path.stem
        found.append(Recording(path, "test", kind, kind, "", "", info.duration_s, True))
    return found


class Gathering:
    """Makes the tables of `afxvae.figures`, each once; all of them are of the same clips.

    Args:
        model: On the CPU.
        recordings: Clean ones.
        items: Clips to draw, of kinds of recordings in turn, at least 3.
        seed: Of what is drawn.
        tables: Those that will be asked for, see `Drawing`.
        progress: Told how much is done.
    """

    def __init__(
        self,
        model: AFXStyleVAE,
        recordings: Sequence[Recording],
        items: int,
        seed: int,
        tables: Iterable[str],
        progress: Progress | None = None,
    ) -> None:
        self._model, self._recordings = model, recordings
        self._items, self._seed, self._progress = items, seed, progress
        self._total = sum(_SECONDS[name] * self._count(name) for name in set(tables))
        self._done = 0

    def _count(self, table: str) -> int:
        if table == "interpolated":
            return 1
        return min(self._items, max(_TOGETHER, self._items // _OF_ITEMS.get(table, 1)))

    def _advance(self, table: str, items: int = 1) -> None:
        self._done += _SECONDS[table] * items
        if self._progress is not None:
            self._progress(min(self._done, self._total), self._total)

    def table(self, name: str) -> Any:
        """A table by its name.

        Raises:
            AudioError: The recordings are too silent.
        """
        return getattr(self, name)

    @cached_property
    def _clips(self) -> tuple[Tensor, tuple[str, ...]]:
        """Halves ``(item, 2, 1, run-in + 131072)``, and the kind of each."""
        rng = np.random.default_rng([self._seed, 5])
        by_kind: dict[str, list[Recording]] = {}
        for recording in self._recordings:
            by_kind.setdefault(recording.kind, []).append(recording)
        clips: list[Tensor] = []
        kinds: list[str] = []
        misses = 0
        for kind in itertools.cycle(sorted(by_kind)):
            if len(clips) == self._items:
                return torch.stack(clips), tuple(kinds)
            recording = by_kind[kind][int(rng.integers(len(by_kind[kind])))]
            halves = draw_repeated(recording, rng)
            if halves is not None:
                clips.append(halves)
                kinds.append(kind)
                misses = 0
                continue
            misses += 1
            if misses == _MOST_MISSES:
                raise AudioError(f"{recording.path} is too silent to draw clips from.")
        raise AudioError("There are no recordings to draw clips from.")

    @cached_property
    def _embedded(self) -> Tensor:
        """Of the halves, clean, ``(item, 2, embedding)``."""
        halves = self._clips[0]
        return torch.stack([self._embed(both) for both in halves[:, :, :, RUN_IN:]])

    @torch.no_grad()
    def _embed(self, clips: Tensor) -> Tensor:
        """Of ``(clip, 1, time)``."""
        return self._model.embed_clips(clips.squeeze(1))

    def _compared(self, item: int, wet: Tensor) -> tuple[Tensor, Tensor]:
        """Embedding of an item's other half for each treated clip, and the differences."""
        mine = self._embedded[item, 1].expand(len(wet), -1)
        return mine, self._model.compare(mine, wet)

    @cached_property
    @torch.no_grad()
    def treated(self) -> Treated:
        """Every clip with each effect alone, and with none."""
        model, chain = self._model, self._model.chain
        generator = torch.Generator().manual_seed(self._seed + 11)
        columns = [chain.names.index(name) for name in ESTIMATED]
        switches = torch.eye(len(chain.names), dtype=torch.bool)[columns]
        rows: dict[str, list[Tensor]] = {}
        for item, (half, _) in enumerate(self._clips[0]):
            controls, _ = random_treatments(chain, len(ESTIMATED), generator)
            several = half.expand(len(ESTIMATED), -1, -1)
            wet = torch.cat([half[None, :, RUN_IN:], treat(several, chain, controls, switches)])
            embedded = self._embed(wet)
            mine, difference = self._compared(item, embedded)
            found = attributes(wet[:, 0, :HEARD_SAMPLES], SAMPLE_RATE)
            row = {
                "treated": embedded,
                "difference": difference,
                "latent": model.vae.encode(mine, difference).mean,
                "controls": controls[None],
                **{f"change {name}": value - value[0] for name, value in found.items()},
            }
            for name, value in row.items():
                rows.setdefault(name, []).append(value)
            self._advance("treated")
        parts = {name: torch.cat(values).numpy() for name, values in rows.items()}
        return Treated(
            clean=self._embedded[:, 0].numpy(),
            sources=self._clips[1],
            effects=("nothing", *ESTIMATED) * len(self._clips[0]),
            knobs=self._knobs(torch.cat(rows["controls"])),
            changes={n.split()[1]: part for n, part in parts.items() if n.startswith("change ")},
            **{name: parts[name] for name in ("treated", "difference", "latent")},
        )

    def _knobs(self, controls: Tensor) -> dict[str, Knob]:
        """Of ``(clip, effect, control)``."""
        found = {}
        for row, name in enumerate(ESTIMATED):
            for column, (effect, param) in enumerate(self._model.chain.knobs):
                if effect == name and param.name == KNOBS[name]:
                    settings = param.to_setting(controls[:, row, column]).numpy()
                    label = param.name.removesuffix(f"_{param.unit.lower()}").replace("_", " ")
                    unit = param.unit or f"{param.minimum:g} to {param.maximum:g}"
                    found[name] = Knob(label, unit, param.scale == "log", settings)
        return found

    @cached_property
    @torch.no_grad()
    def posteriors(self) -> Posteriors:
        """Random treatments of every clip, as in training."""
        model = self._model
        generator = torch.Generator().manual_seed(self._seed + 12)
        rows = []
        for item, (half, _) in enumerate(self._clips[0]):
            controls, switches = random_treatments(model.chain, _RANDOM, generator)
            wet = treat(half.expand(_RANDOM, -1, -1), model.chain, controls, switches)
            mine, difference = self._compared(item, self._embed(wet))
            posterior = model.vae.encode(mine, difference)
            decoded = model.decode(posterior.mean, mine).difference
            rows.append((posterior.mean, posterior.log_var, difference, decoded))
            self._advance("posteriors")
        return Posteriors(*(torch.cat(column).numpy() for column in zip(*rows, strict=True)))

    @cached_property
    def _pairs(self) -> Pairs:
        """Some items with random treatments, as the tests of axes take them."""
        count = max(self._count("levers"), self._count("traversals"))
        chain, (clips, kinds) = self._model.chain, self._clips
        generator = torch.Generator().manual_seed(self._seed + 13)
        controls, switches = random_treatments(chain, count, generator)
        reference, truth = (
            treat(clips[:count, side], chain, controls, switches) for side in (0, 1)
        )
        names = kinds[:count]
        pairs = tuple(zip(names, names, strict=True))
        foreign = torch.zeros(count, dtype=torch.bool)
        return Pairs(clips[:count, 1], reference, truth, controls, switches, names, pairs, foreign)

    @cached_property
    def levers(self) -> Moved:
        """Treatments moved as `afxvae match --move` moves them; every third is nothing."""
        found = []
        count = self._count("levers")
        for rows in torch.arange(count).split(_TOGETHER):
            found.append(steering_responses(self._model, _some(self._pairs, rows)))
            self._advance("levers", len(rows))
        return _moved(found, tuple(LEVERS), tuple(LEVERS))

    @cached_property
    def traversals(self) -> Moved:
        """Posterior means moved along the principal directions of all of them."""
        mean = torch.from_numpy(self.posteriors.mean)
        centred = mean - mean.mean(0)
        _, sizes, directions = torch.linalg.svd(centred, full_matrices=False)
        scales = sizes / len(mean) ** 0.5
        axes, measured = {}, AXES[: len(LEVERS)]
        for place, (scale, direction) in enumerate(zip(scales, directions, strict=True)):
            if place < _DIRECTIONS:
                share = 100.0 * float(scale**2 / scales.square().sum())
                sign = float(direction[direction.abs().argmax()].sign())
                axes[f"PC {place + 1} ({share:.0f} % of variance)"] = sign * scale * direction
        steps = {name: step.tolist() for name, step in axes.items()}
        found = []
        for rows in torch.arange(self._count("traversals")).split(1):  # none from the prior's mean
            some = _some(self._pairs, rows)
            found.append(latent_responses(self._model, some, steps, _DIRECTION_STEPS, measured))
            self._advance("traversals")
        return _moved(found, tuple(axes), measured)

    @cached_property
    @torch.no_grad()
    def interpolated(self) -> Interpolated:
        """The first clip from a dark room to bright drive, by presets and through the latent."""
        model, (half, other) = self._model, self._clips[0][0]
        by_knobs = [
            preset.apply(half, SAMPLE_RATE) for preset in interpolate(DARK, BRIGHT, _BETWEEN)
        ]
        ends = torch.stack([preset.apply(other, SAMPLE_RATE) for preset in (DARK, BRIGHT)])
        mine = self._embedded[0, :1].expand(2, -1)
        first, last = model.encode(mine, self._embed(ends[..., RUN_IN:])).mean
        latent = torch.stack([first.lerp(last, w) for w in torch.linspace(0.0, 1.0, _BETWEEN)])
        estimate = model.decode(latent, mine[:1].expand(_BETWEEN, -1)).estimate
        controls = expected_controls(estimate, model.chain)
        on = torch.ones(_BETWEEN, len(model.chain.names), dtype=torch.bool)
        through = treat(half.expand(_BETWEEN, -1, -1), model.chain, controls, on)
        sounds = torch.cat([torch.stack(by_knobs)[..., RUN_IN:], through])[:, 0]
        sounds = sounds[:, : round(_PICTURE_S * SAMPLE_RATE)]
        filters = spectral.mel_filterbank(_N_FFT, _MELS, SAMPLE_RATE, _LOWEST_HZ)
        power = spectral.power_spectrogram(sounds, _N_FFT, _HOP)
        pictures = spectral.log_mel(power, filters, -120.0).transpose(1, 2)
        pictures = pictures - pictures.amax((1, 2), keepdim=True)
        self._advance("interpolated")
        hz = torch.linspace(0.0, SAMPLE_RATE / 2, _N_FFT // 2 + 1)
        centres = (filters * hz[:, None]).sum(0) / filters.sum(0).clamp_min(1e-9)
        shares = [f"{100 * step // (_BETWEEN - 1)} %" for step in range(1, _BETWEEN - 1)]
        return Interpolated(
            rows=("knobs moved", "latent moved"),
            columns=("dark room", *shares, "bright drive"),
            pictures_db=pictures.unflatten(0, (2, _BETWEEN)).numpy(),
            mel_hz=centres.numpy(),
            seconds=_PICTURE_S,
            source=self._clips[1][0],
        )


def _some(pairs: Pairs, rows: Tensor) -> Pairs:
    """Some of the items."""
    places = rows.tolist()
    return Pairs(
        audio=pairs.audio[rows],
        reference=pairs.reference[rows],
        truth=pairs.truth[rows],
        controls=pairs.controls[rows],
        switches=pairs.switches[rows],
        kinds=tuple(pairs.kinds[place] for place in places),
        groups=tuple(pairs.groups[place] for place in places),
        foreign=pairs.foreign[rows],
    )


def _moved(found: list[Responses], names: tuple[str, ...], measured: tuple[str, ...]) -> Moved:
    changes = torch.cat([responses.changes for responses in found]).numpy()
    return Moved(names, measured, np.array(found[0].steps), changes)
