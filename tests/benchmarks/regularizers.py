"""Compare what regularisers make of a latent, on effects and on instruments, as Esling did.

python -m tests.benchmarks.regularizers --manifest CORPUS/manifest.jsonl --out FOLDER
    [--set effects|instruments|both] [--seeds 3] [--docs docs/explanation/timbre-space]

Renders sounds once into FOLDER, trains a small VAE for each row and seed, and writes results.json
and table.md. Pictures go to ``--docs``, FOLDER if not given, and the page beside that folder, if
there is one, gets the tables between its markers. What is in FOLDER already is not done again.

``--dissimilarities`` takes the target distances of instruments from a file (see
`afxvae.timbre.load_dissimilarities`), whose names are looked for among the kinds and groups of the
corpus. Such files are made of listeners' ratings, and none comes with afxvae.
"""

from __future__ import annotations

import argparse
import functools
import json
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from afxvae.data.corpus import load_manifest
from afxvae.data.pairs import group_numbers
from afxvae.evaluation.agreement import class_means
from afxvae.timbre import load_dissimilarities

from .regularizer_measuring import Decoder, Latent, chances, line, measure, of_pca, of_vae
from .regularizer_plots import draw
from .regularizer_sets import Table, effects_table, instruments_table
from .regularizer_sounds import NAMES, sounds
from .regularizer_tables import BASELINE, summarize, table_markdown
from .regularizer_training import ROWS, STEPS, WEIGHTS, Term, Trainer, first_half

ENDS = {"effects": ("tilt", "reverb"), "instruments": ("bass", "winds")}
"""Classes between which the drawn line runs, where they are seen."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--set", choices=("effects", "instruments", "both"), default="both")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--crops", type=int, default=900)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--dissimilarities", type=Path, help="between instruments, as text")
    parser.add_argument("--docs", type=Path, help="folder for the table and pictures")
    arguments = parser.parse_args()
    if arguments.seeds < 1:
        parser.error("--seeds must be at least 1")
    ratings = None
    if arguments.dissimilarities is not None:
        ratings = load_dissimilarities(arguments.dissimilarities)
    torch.set_num_threads(1)
    rendered = sounds(arguments.manifest, arguments.out, arguments.crops, 0, print)
    groups = sorted({recording.group for recording in load_manifest(arguments.manifest)})
    names = dict(zip(group_numbers(groups).tolist(), groups, strict=True))
    tables: dict[str, Table] = {}
    if arguments.set != "instruments":
        tables["effects"] = effects_table(rendered)
    if arguments.set != "effects":
        tables["instruments"] = instruments_table(rendered, names, ratings)
    docs = arguments.docs or arguments.out
    seeds = range(arguments.seeds)
    results = {
        name: compare(name, table, arguments.out, seeds, arguments.steps, print)
        for name, table in tables.items()
    }
    write(results, arguments.out, docs)
    for name, table in tables.items():
        for path in draw(name, table, views(name, arguments.out), ends(name, table), docs):
            print(path)


def compare(
    name: str,
    table: Table,
    folder: Path,
    seeds: Sequence[int],
    steps: int,
    log: Callable[[str], None],
    rows: Sequence[str] = ROWS,
) -> dict[str, Any]:
    """All runs of a set, and their figures with intervals over seeds."""
    found: dict[str, list[dict[str, Any]]] = {
        BASELINE: [_run(name, table, BASELINE, (0, steps), folder, lambda: of_pca(table))]
    }
    found |= {row: [] for row in rows}
    for seed in seeds:
        half = functools.cache(functools.partial(first_half, table, seed, steps))
        for row in rows:
            made = functools.partial(_finished, table, row, half)
            found[row].append(_run(name, table, row, (seed, steps), folder, made))
            log(f"{name}: {row}, seed {seed}, R2 {found[row][-1]['r2']:.3f}")
    return {
        "names": table.names,
        "family": table.family,
        "seen": table.seen,
        "items": {
            "learned": int(table.learn.sum()),
            "held_out": int(table.test.sum()),
            "unseen": int(table.unseen.sum()),
        },
        "said": table.said,
        "steps": steps,
        "weights": WEIGHTS,
        "target": [[round(v, 3) for v in row] for row in table.mean.tolist()],
        "chance": chances(table),
        "rows": {row: {"summary": summarize(runs), "runs": runs} for row, runs in found.items()},
    }


def ends(name: str, table: Table) -> tuple[str, str]:
    """Two seen classes to draw a line between."""
    wanted = [end for end in ENDS[name] if end in table.names[: table.seen]]
    first, second = wanted if len(wanted) == 2 else table.names[:2]
    return first, second


def write(results: dict[str, Any], folder: Path, docs: Path) -> None:
    """Write results.json and table.md, and the tables between the markers of the page of `docs`."""
    (folder / "results.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    tables = {name: table_markdown(result) + "\n" for name, result in results.items()}
    (folder / "table.md").write_text("\n".join(tables.values()), encoding="utf-8")
    page = docs.with_suffix(".md")
    if page.is_file():
        text = page.read_text(encoding="utf-8")
        for name, table in tables.items():
            text = between(text, name, table)
        page.write_text(text, encoding="utf-8")


def between(page: str, name: str, text: str) -> str:
    """The page with `text` between the markers of a set, if it has them."""
    start, end = f"<!-- {name}: table -->\n", f"<!-- {name}: end -->\n"
    if start not in page or end not in page:
        return page
    head, rest = page.split(start, 1)
    return head + start + "\n" + text + "\n" + end + rest.split(end, 1)[1]


def views(name: str, folder: Path) -> dict[str, dict[str, Tensor]]:
    """Latents and lines of the first seed, by row."""
    found = {}
    for row in (BASELINE, *ROWS):
        path = folder / "runs" / f"{_slug(name, row, 0)}.safetensors"
        if path.exists():
            found[row] = load_file(path)
    return found


def _slug(name: str, row: str, seed: int) -> str:
    return f"{name}-{row.replace(', ', '-').replace(' ', '-')}-{seed}"


def _finished(table: Table, row: str, half: Callable[[], Trainer]) -> Latent:
    return of_vae(table, half().copy().finish(Term(row, table)))


def _run(
    name: str,
    table: Table,
    row: str,
    run: tuple[int, int],
    folder: Path,
    made: Callable[[], Latent],
) -> dict[str, Any]:
    """Figures of one model, from its file if it has been trained on this table before.

    Args:
        name: Of the set.
        table: Of the set.
        row: What is compared.
        run: Seed, and steps of the training.
        folder: For the figures.
        made: Gives latent, decoder and figures of the model.
    """
    seed, steps = run
    path = folder / "runs" / f"{_slug(name, row, seed)}.json"
    parts = (table.x, table.learn, table.mean)
    mark = [
        steps,
        WEIGHTS.get(row.split(",")[0]),
        *(zlib.crc32(t.numpy().tobytes()) for t in parts),
    ]
    if path.exists():
        known: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if known.pop("made_of") == mark:
            return known
    latent, decode, own = made()
    figures = own | measure(table, latent, decode)
    path.parent.mkdir(parents=True, exist_ok=True)
    if seed == 0:
        view = {"latent": latent, "line": _drawn_line(name, table, latent, decode)}
        save_file({k: v.contiguous() for k, v in view.items()}, path.with_suffix(".safetensors"))
    path.write_text(json.dumps({**figures, "made_of": mark}) + "\n", encoding="utf-8")
    return figures


@torch.no_grad()
def _drawn_line(name: str, table: Table, latent: Tensor, decode: Decoder) -> Tensor:
    """Decoded attributes between the means of two classes ``(step, attribute)``."""
    means = class_means(latent[table.learn], table.label[table.learn], table.seen)
    start, end = (means[[table.names.index(which)]] for which in ends(name, table))
    return decode(line(start, end)[0])[:, -len(NAMES) :]


if __name__ == "__main__":
    main()
