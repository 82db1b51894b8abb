"""Name the axes of a model's latent, and test whether moving them does what their names say.

python -m tests.benchmarks.axes CORPUS/manifest.jsonl --model FOLDER [--items 40] [--write]

The first dimensions of the latent, or what they are calibrated to on training recordings, are moved
on pairs of held-out ones; what is decoded is rendered and measured with `afxvae.timbre`, whose
brightness, boominess and roughness agree with the original models to r > .99. With --tested, the
axes that the model offers are tested as they are. ``--write`` puts those that pass into the model's
config.json. With --levers, true treatments are moved as `afxvae match --move` moves what it has
chosen, and nothing else is tested.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch

from afxvae import AFXStyleVAE
from afxvae.data.pairs import make_pairs
from afxvae.evaluation.axes import (
    judge_axes,
    latent_responses,
    name_axes,
    steering_responses,
)
from afxvae.evaluation.report import find_recordings
from afxvae.steering import LEVERS
from afxvae.training.axes import NAMED


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument(
        "--model", type=Path, default=None, help="folder; the bundled one if not given"
    )
    parser.add_argument("--split", default="valid", choices=("valid", "test"))
    parser.add_argument("--items", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--levers", action="store_true", help="test what match --move does")
    parser.add_argument("--tested", action="store_true", help="test the axes the model has")
    parser.add_argument(
        "--write", action="store_true", help="keep the axes that pass in config.json"
    )
    arguments = parser.parse_args()
    if arguments.write and arguments.model is None:
        parser.error("--write needs --model: the bundled config.json is left as it is")
    torch.set_num_threads(1)
    model = AFXStyleVAE.from_pretrained(arguments.model)
    if arguments.tested and not model.axes:
        parser.error("--tested needs a model that offers axes, and this one offers none")
    held_out = find_recordings(arguments.data, arguments.split)
    if arguments.levers:
        pairs = make_pairs(held_out, model.chain, arguments.seed + 2, arguments.items, "P1")
        moved = judge_axes(steering_responses(model, pairs))
        print(table("Moving a treatment", moved, list(LEVERS)))
        return
    if arguments.tested:
        pairs = make_pairs(held_out, model.chain, arguments.seed + 1, arguments.items, "P1")
        rows = judge_axes(latent_responses(model, pairs, model.axes))
    else:
        known = find_recordings(arguments.data, "train")
        items, seed = arguments.items, arguments.seed
        rows = name_axes(model, NAMED, known, held_out, items=items, seed=seed)
    print(table("Moving the latent", rows, list(model.axes)))
    if arguments.write:
        path = arguments.model / "config.json"
        config = json.loads(path.read_text(encoding="utf-8"))
        config["axes"] = model.axes
        path.write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")


def table(title: str, rows: dict[str, dict[str, float]], offered: list[str]) -> str:
    """Figures of axes as a table in Markdown."""
    columns = list(next(iter(rows.values())))
    lines = [f"| {title} | {' | '.join(columns)} | offered |", "|---" * (len(columns) + 2) + "|"]
    for name, row in rows.items():
        figures = " | ".join(f"{row[column]:.3f}" for column in columns)
        lines.append(f"| {name} | {figures} | {'yes' if name in offered else 'no'} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
