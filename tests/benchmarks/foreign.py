"""P1 with treatments by effects we did not write: SoX, pedalboard and the mda plug-ins.

python -m tests.benchmarks.foreign CORPUS/manifest.jsonl [--items 100] [--split test] [--cell SoX]
    [--out ITEMS.jsonl] [--also EARLIER.jsonl]

Each cell is one effect with random settings, or chains of two to four of one maker's. As in P1, the
reference is treatment(B) and the truth treatment(A) of two halves of a crop, rendered with a second
of run-in. There are no true settings in our terms, so no oracle; all else is as in the evaluation.
A second table takes the effects of a maker together, their distances averaged and then compared.

Needs the command `sox`, pedalboard (``pip install -e .[bench]``) and Debian's mda-lv2; matchering,
which the same extra brings, gets a row where it is installed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from afxvae import AFXStyleVAE
from afxvae.data.corpus import Recording, load_manifest
from afxvae.data.crops import draw_crop
from afxvae.dsp.features import ANALYSIS_LUFS, RUN_IN, SAMPLE_RATE
from afxvae.evaluation.metrics import bootstrap_interval, closure, share_worse
from afxvae.evaluation.peers import matchering_installed
from afxvae.evaluation.rows import MATCHERING, Item, measure, render_rows
from afxvae.evaluation.summary import TOLERANCE, paired_p_value
from afxvae.loudness import normalize_loudness
from afxvae.processes import spread

from . import plugins

Draw = Callable[[np.random.Generator], "Treatment"]
Treatment = Callable[[np.ndarray], np.ndarray]
"""From ``(time,)`` to the same at 24 kHz; called with the halves of a crop in turn."""

PEERS = (MATCHERING,) if matchering_installed() else ()
BASELINES = ("input", "loudness only", "spectrum only", "rule-based", *PEERS)
ROWS = (*BASELINES, "ours (fast)", "ours (normal)")
_HEADROOM = 0.25  # SoX clips at full scale
_CHUNK = 5
_LEFT = ("output", "gain", "listen", "stereo", "process")  # ports of mda that stay


# SoX


def _sox(effect: str) -> Treatment:
    from .peers import piped

    form = ["-t", "f32", "-r", str(SAMPLE_RATE), "-c", "1", "-"]

    def treat(audio: np.ndarray) -> np.ndarray:
        command = ["sox", "-V1", "-D", *form, *form, *effect.split()]
        done = piped(command, _HEADROOM * audio) / _HEADROOM
        return np.pad(done, (0, max(0, len(audio) - len(done))))[: len(audio)]

    return treat


def _log(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _sox_eq(rng: np.random.Generator) -> str:
    parts = [f"bass {rng.uniform(-12, 12):.1f} {_log(rng, 80, 300):.0f}",
             f"treble {rng.uniform(-12, 12):.1f} {_log(rng, 2000, 8000):.0f}"]  # fmt: skip
    for _ in range(2):
        parts.append(f"equalizer {_log(rng, 200, 6000):.0f} {rng.uniform(0.5, 2):.2f}q "
                     f"{rng.uniform(-12, 12):.1f}")  # fmt: skip
    if rng.random() < 0.3:
        parts.append(f"highpass {_log(rng, 60, 400):.0f}")
    if rng.random() < 0.3:
        parts.append(f"lowpass {_log(rng, 2500, 10000):.0f}")
    return " ".join(parts)


def _sox_compand(rng: np.random.Generator) -> str:
    threshold, ratio = rng.uniform(-50, -25), _log(rng, 2, 10)
    attack, decay = _log(rng, 0.002, 0.1), _log(rng, 0.05, 0.6)
    top = threshold - threshold / ratio
    return (f"compand {attack:.4f},{decay:.3f} {rng.uniform(1, 9):.1f}:-100,-100,"
            f"{threshold:.1f},{threshold:.1f},0,{top:.1f} 0 -90")  # fmt: skip


SOX: dict[str, Callable[[np.random.Generator], str]] = {
    "eq": _sox_eq,
    "compressor": _sox_compand,
    "overdrive": lambda rng: f"overdrive {rng.uniform(10, 40):.0f} {rng.uniform(0, 50):.0f}",
    "chorus": lambda rng: (
        f"chorus 0.7 {rng.uniform(0.6, 0.9):.2f} {rng.uniform(20, 60):.0f} "
        f"{rng.uniform(0.2, 0.6):.2f} {_log(rng, 0.1, 3):.2f} {rng.uniform(0.5, 4):.1f} -s"
    ),
    "delay": lambda rng: f"echo 0.8 0.9 {rng.uniform(60, 600):.0f} {rng.uniform(0.2, 0.8):.2f}",
    "reverb": lambda rng: (
        f"reverb {rng.uniform(20, 90):.0f} {rng.uniform(0, 100):.0f} {rng.uniform(10, 100):.0f} "
        f"100 {rng.uniform(0, 60):.0f} {rng.uniform(-6, 4):.1f}"
    ),
}


# pedalboard


def _board(*names: str) -> Draw:
    def draw(rng: np.random.Generator) -> Treatment:
        import pedalboard as pb

        def eq() -> list[Any]:
            parts = [
                pb.LowShelfFilter(_log(rng, 80, 300), rng.uniform(-12, 12)),
                pb.HighShelfFilter(_log(rng, 2000, 8000), rng.uniform(-12, 12)),
            ]
            for _ in range(2):
                parts.append(pb.PeakFilter(_log(rng, 200, 6000), rng.uniform(-12, 12),
                                           rng.uniform(0.5, 2)))  # fmt: skip
            return parts

        makers: dict[str, Callable[[], list[Any]]] = {
            "eq": eq,
            "compressor": lambda: [pb.Compressor(rng.uniform(-45, -20), _log(rng, 2, 10),
                                                 _log(rng, 0.5, 50), _log(rng, 30, 500))],
            "distortion": lambda: [pb.Distortion(rng.uniform(6, 36))],
            "chorus": lambda: [pb.Chorus(_log(rng, 0.1, 4), rng.uniform(0.1, 0.6),
                                         rng.uniform(5, 25), 0.0, rng.uniform(0.2, 0.6))],
            "delay": lambda: [pb.Delay(rng.uniform(0.06, 0.6), rng.uniform(0, 0.6),
                                       rng.uniform(0.1, 0.5))],
            "reverb": lambda: [pb.Reverb(rng.uniform(0.1, 0.9), rng.uniform(0, 1),
                                         rng.uniform(0.1, 0.5), 0.8)],
        }  # fmt: skip
        parts = [part for name in names or _some(rng, BOARD) for part in makers[name]()]

        def treat(audio: np.ndarray) -> np.ndarray:
            done = pb.Pedalboard(parts)(audio.astype(np.float32)[None], SAMPLE_RATE)
            return np.asarray(done[0], float)

        return treat

    return draw


BOARD = ("eq", "compressor", "distortion", "chorus", "delay", "reverb")


def _some(rng: np.random.Generator, names: Any) -> list[str]:
    """Two to four of the names, in their order."""
    names = list(names)
    chosen = rng.choice(len(names), int(rng.integers(2, 5)), replace=False)
    return [names[index] for index in sorted(chosen)]


# mda

MDA = {
    "overdrive": "Overdrive", "delay": "Delay", "ambience": "Ambience", "ringmod": "RingMod",
    "combo": "Combo", "dynamics": "Dynamics", "multiband": "MultiBand", "flanger": "ThruZero",
    "leslie": "Leslie",
}  # fmt: skip


def _mda(plugin: str) -> Draw:
    def draw(rng: np.random.Generator) -> Treatment:
        controls = {
            port.symbol: rng.uniform(port.minimum, port.maximum)
            for port in plugins.ports("mda", plugin)
            if not port.audio and port.symbol not in _LEFT
        }
        return lambda audio: plugins.run("mda", plugin, audio, SAMPLE_RATE, controls).astype(float)

    return draw


def _sox_draw(*names: str) -> Draw:
    return lambda rng: _sox(" ".join(SOX[name](rng) for name in names or _some(rng, SOX)))


CELLS: dict[str, Draw] = {
    **{f"SoX {name}": _sox_draw(name) for name in SOX},
    "SoX chains": _sox_draw(),
    **{f"pedalboard {name}": _board(name) for name in BOARD},
    "pedalboard chains": _board(),
    **{f"mda {name}": _mda(plugin) for name, plugin in MDA.items()},
}


# P1-corrupt, as DeepAFx-ST makes its items (Steinmetz et al. 2022): the input is treated too

CORRUPT = "P1-corrupt (SoX)"


def _flip(rng: np.random.Generator, probability: float, effect: str) -> str:
    return effect if rng.random() < probability else ""


def _sox_expand(rng: np.random.Generator) -> str:
    threshold, ratio = rng.uniform(-45, -30), rng.uniform(1.5, 3)
    low = threshold + ratio * (-100 - threshold)
    return (f"compand {_log(rng, 0.002, 0.05):.4f},{_log(rng, 0.05, 0.3):.3f} 6:-100,{low:.1f},"
            f"{threshold:.1f},{threshold:.1f},0,0 0 -90")  # fmt: skip


def _sox_corrupt(rng: np.random.Generator) -> Treatment:
    return _sox(f"{_flip(rng, 0.75, _sox_eq(rng))} {_flip(rng, 0.1, _sox_expand(rng))}")


def _sox_production(rng: np.random.Generator) -> Treatment:
    return _sox(f"{_flip(rng, 0.75, _sox_eq(rng))} {_flip(rng, 0.75, _sox_compand(rng))}")


CELLS[CORRUPT] = _sox_production


# items


@dataclass(frozen=True)
class Job:
    cell: str
    first: int
    count: int
    seed: int
    recordings: tuple[Recording, ...]


_model: AFXStyleVAE | None = None


@torch.no_grad()
def work(job: Job) -> list[dict[str, Any]]:
    """Distances to the truth by row, and what was chosen, of some items of a cell."""
    global _model
    torch.set_num_threads(1)
    _model = _model or AFXStyleVAE.from_pretrained()
    weights = np.array([recording.seconds for recording in job.recordings])
    found = []
    for index in range(job.first, job.first + job.count):
        rng = np.random.default_rng([job.seed, list(CELLS).index(job.cell), index])
        while True:
            place = int(rng.choice(len(weights), p=weights / weights.sum()))
            halves = draw_crop(job.recordings[place], rng)
            if halves is None:
                continue
            treatment = CELLS[job.cell](rng)
            given = halves[:1]
            if job.cell == CORRUPT:
                given = _levelled(_sox_corrupt(rng)(given[0, 0].numpy().astype(float)))
            wet = np.stack([treatment(half.numpy().astype(float)) for half in halves[:, 0]])
            wet = wet[:, RUN_IN:]
            if np.isfinite(wet).all() and (np.abs(wet).max(1) > 1e-3).all():
                break
        truth, reference = torch.from_numpy(wet).float().split(1)
        none = _model.chain.default_controls(), torch.zeros(len(_model.chain.names)).bool()
        item = Item(given, reference, truth, *none)
        renderings, decisions = render_rows(_model, item, ROWS)
        best = decisions["ours (normal)"].best
        on = [n for n, s in zip(_model.chain.names, best.switches.tolist(), strict=True) if s]
        rows = {row: measure(rendering, truth)["mr_stft"] for row, rendering in renderings.items()}
        kind, group = job.recordings[place].kind, job.recordings[place].group
        found.append({"cell": job.cell, "item": index, "kind": kind, "group": group,
                      "choice": best.name, "on": on, **rows})  # fmt: skip
    return found


def _levelled(audio: np.ndarray) -> torch.Tensor:
    """``(1, 1, time)`` at the loudness of all items: what a level is worth is seen beside it."""
    whole = torch.from_numpy(audio).float()[None, None]
    _, gain_db = normalize_loudness(whole[..., RUN_IN:], SAMPLE_RATE, ANALYSIS_LUFS)
    return whole * 10.0 ** (gain_db.view(1, 1, 1) / 20.0)


GROUPS: dict[str, list[str]] = {
    **{f"{maker}, single effects": [c for c in CELLS if c.startswith(maker) and "chains" not in c]
       for maker in ("SoX", "pedalboard", "mda")},
    "SoX and pedalboard, single effects": [
        c for c in CELLS if c.startswith(("SoX", "pedalboard")) and "chains" not in c
    ],
    "SoX and pedalboard, chains": [c for c in CELLS if "chains" in c],
}  # fmt: skip


def table(items: list[dict[str, Any]], groups: dict[str, list[str]]) -> str:
    """Closure at matched loudness, and share worse than the input, by group of cells and row."""
    lines = ["| treatment | items | input | " + " | ".join(ROWS[1:]) + " | largest p |",
             "|---" * (len(ROWS) + 3) + "|"]  # fmt: skip
    for name, cells_of_it in groups.items():
        own = [item for item in items if item["cell"] in cells_of_it]
        if not own:
            continue
        column = {row: np.array([item[row] for item in own]) for row in ROWS}
        before = column["input"]
        cells, final = [], column[ROWS[-1]]
        for row in ROWS[1:]:
            worse = share_worse(column[row], before + TOLERANCE)
            text = f"{closure(column[row], before):.2f}, {worse:.0%}"
            if row == ROWS[-1]:
                low, high = bootstrap_interval(final, before)
                text = f"**{text}** ({low:.2f} to {high:.2f})"
            cells.append(text)
        p = max(paired_p_value(column[row], final) for row in BASELINES)
        lines.append(f"| {name} | {len(own)} | {before.mean():.2f} | {' | '.join(cells)} | "
                     f"{p:.3f} |")  # fmt: skip
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--items", type=int, default=100)
    parser.add_argument("--split", default="test")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cell", action="append", help="start of a cell's name; all if omitted")
    parser.add_argument("--out", type=Path, help="gets a line of JSON for every item")
    parser.add_argument("--also", type=Path, action="append", default=[],
                        help="items that an earlier run wrote, for the tables")  # fmt: skip
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    given = parser.parse_args()
    if not PEERS:
        print("without matchering, which needs pip install -e .[bench]", file=sys.stderr)
    recordings = tuple(r for r in load_manifest(given.manifest) if r.split == given.split and r.dry)
    cells = [name for name in CELLS if name.startswith(tuple(given.cell or [""]))]
    jobs = [Job(cell, first, min(_CHUNK, given.items - first), given.seed, recordings)
            for cell in cells for first in range(0, given.items, _CHUNK)]  # fmt: skip
    items: list[dict[str, Any]] = []
    for chunk in spread(work, jobs, given.workers):
        items += chunk
        if given.out:
            text = "".join(json.dumps(item) + "\n" for item in items)
            given.out.write_text(text, encoding="utf-8")
    for path in given.also:
        items += [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    print(table(items, {cell: [cell] for cell in CELLS}))
    print()
    print(table(items, GROUPS))


if __name__ == "__main__":
    main()
