"""Trials on disk: candidates of pairs, rendered and measured by worker processes."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_file, save_file

from ..candidates import Candidate
from ..models.style_vae import AFXStyleVAE
from ..processes import spread
from .critic import Trial, run_trials

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["load_trials", "render_trials"]

_SHARDS_PER_WORKER = 10


def _trial_file(model: Path, folder: Path, most: int | None, path: Path) -> Path:
    torch.set_num_threads(1)
    target = folder / path.name.replace("pairs-", "trials-")
    if not target.exists():
        trials = run_trials(AFXStyleVAE.from_folder(model), path, most, int(path.stem[-5:]))
        tensors = {
            "count": torch.tensor([len(trial.candidates) for trial in trials]),
            "before": torch.tensor([trial.before for trial in trials]),
            "embedded": torch.cat([trial.embedded for trial in trials]),
            "reference": torch.cat([trial.reference for trial in trials]),
            "found": torch.cat([trial.found for trial in trials]),
            "distances": torch.cat([trial.distances for trial in trials]),
            "controls": torch.stack([c.controls for trial in trials for c in trial.candidates]),
            "switches": torch.stack([c.switches for trial in trials for c in trial.candidates]),
            "evidence": torch.stack([c.evidence for trial in trials for c in trial.candidates]),
            "sure": torch.tensor([c.sure for trial in trials for c in trial.candidates]),
            "likely": torch.tensor([c.likely for trial in trials for c in trial.candidates]),
        }
        unfinished = target.with_suffix(".part")
        save_file(tensors, unfinished)
        unfinished.replace(target)
    return target


def render_trials(
    model: Path,
    pairs: Sequence[Path],
    folder: Path,
    most: int | None,
    workers: int,
    log: Callable[[str], None],
) -> list[Path]:
    """Run the trials of shards of pairs in processes; files that exist are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    run = functools.partial(_trial_file, model, folder, most)
    for path in spread(run, pairs, workers, tasks=_SHARDS_PER_WORKER):
        made.append(path)
        log(f"tried {path.name}")
    return made


def load_trials(paths: Sequence[Path]) -> list[Trial]:
    """Read what `render_trials` wrote; candidates have lost their names."""
    trials = []
    for path in paths:
        tensors = load_file(path)
        start = 0
        for index, count in enumerate(tensors["count"].tolist()):
            rows = slice(start, start + count)
            start += count
            names = ("controls", "switches", "evidence")
            knobs = zip(*(tensors[name][rows] for name in names), strict=True)
            flags = [tensors[name][rows].tolist() for name in ("sure", "likely")]
            trials.append(
                Trial(
                    tensors["embedded"][index : index + 1],
                    tensors["reference"][index : index + 1],
                    tensors["found"][rows],
                    [
                        Candidate("", controls, switches, evidence, sure=sure, likely=likely)
                        for (controls, switches, evidence), sure, likely in zip(
                            knobs, *flags, strict=True
                        )
                    ],
                    tensors["distances"][rows],
                    float(tensors["before"][index]),
                )
            )
    return trials
