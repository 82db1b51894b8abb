"""`afxvae evaluate`: run the protocols, summarise them, write JSON, Markdown and the items."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from .. import __version__
from ..data.corpus import Recording, Split, folder_corpus, load_manifest, manifest_in
from ..files import replacing
from ..models.estimate import unlike_default
from ..models.style_vae import AFXStyleVAE
from ..types import UsageError
from .items import PROTOCOLS, ItemResults, Protocol
from .probes import PROBES, probe_recordings, run_probes
from .proofs import EVALUATION_FILE, ITEMS_FILE, item_lines, write_proofs
from .protocols import evaluate_items, usable_recordings
from .rows import COLUMNS, MATCHERING, PresetTable, chosen_rows
from .summary import rounded, summarize
from .tables import to_markdown

if TYPE_CHECKING:
    from ..training.latent import EmbeddedPool

__all__ = ["find_recordings", "run", "to_markdown"]

_DIGITS = 6
_TABLE_SHARDS = 8
_LATENT_SHARDS = 16


def run(
    model: AFXStyleVAE | str | Path | None,
    data: Path,
    out: Path | None = None,
    items: int = 300,
    protocols: Sequence[str] = PROTOCOLS,
    seed: int = 0,
    workers: int = 2,
    untouched: int = 100,
    rows: Sequence[str] | None = None,
    log: Callable[[str], None] | None = None,
    *,
    pool: Path | None = None,
    split: Split | None = "test",
    kind: str | None = None,
) -> dict[str, Any]:
    """Evaluate a model; the same weights, data and arguments give the same result.

    Args:
        model: A model, its folder or its name on the Hub; None for the bundled one.
        data: A manifest, the folder of one, or any folder of audio.
        out: Folder for `evaluation.json`, `evaluation.md`, `items.csv`, and `items.jsonl` with
            `proofs.json`, see `afxvae.evaluation.proofs`; made if need be.
        items: Number of items of each protocol.
        protocols: Some of `P1`, `P2` and `P5`, see `afxvae.evaluation.probes`.
        seed: Of the items.
        workers: Processes.
        untouched: Number of additional items to which nothing was done, over all protocols.
        rows: Some of `afxvae.evaluation.rows.ROWS`, all if not given.
        log: Called with a line for each step.
        pool: Folder of pool shards: held-out ones for the figures of the latent, and training ones
            for the row `nearest preset`.
        split: Of the recordings; None for all.
        kind: Of the recordings, finished mixes among them; None for all that are dry.

    Returns:
        What `evaluation.json` holds, and under `markdown` what `evaluation.md` does.

    Raises:
        UsageError: there are no recordings, rows, protocols or shards of these names, or `out`
            cannot be written.
        WeightsError: the model cannot be loaded.
    """
    say = log or (lambda line: None)
    paired = _paired(protocols)
    known = _known_recordings(data)
    recordings = _chosen(data, known, split, kind)
    for protocol in paired:
        usable_recordings(recordings, protocol)
    every = _chosen(data, known, None, kind)
    if PROBES in protocols:
        probe_recordings(every, split or "test")
    if MATCHERING not in chosen_rows(rows, pool is not None) and rows is None:
        say(f"without the row {MATCHERING!r}, which needs pip install 'afxvae[bench]'")
    _make_folder(out)
    if not isinstance(model, AFXStyleVAE):
        model = AFXStyleVAE.from_pretrained(model)
    latent, presets = None, None
    if pool is not None:
        say(f"embedding the shards in {pool}")
        latent, presets = _latent(model, pool, seed), _presets(model, pool, seed)
    measured = [
        evaluate_items(
            model,
            recordings,
            protocol,
            items,
            seed,
            rows=rows,
            presets=presets,
            untouched=-(-untouched // len(paired)),
            workers=workers,
            log=log,
        )
        for protocol in paired
    ]
    probes = None
    if PROBES in protocols:
        probes = run_probes(model, every, split or "test", items, seed, log, workers)
    result: dict[str, Any] = {
        "model": {"name": model.identifier, "checksum": model.checksum},
        "version": __version__,
        "seed": seed,
        "data": {"split": split or "all", **_described(recordings)},
        "protocols": {results.protocol: summarize(results) for results in measured},
        "latent": latent,
        "probes": probes,
    }
    result = rounded(result, _DIGITS)
    markdown = to_markdown(result)
    if out is not None:
        _write(out / EVALUATION_FILE, json.dumps(result, indent=1) + "\n")
        _write(out / "evaluation.md", markdown)
        _write(out / "items.csv", _items_csv(measured))
        lines = [line for results in measured for line in item_lines(results)]
        if lines:
            lines = rounded(lines, _DIGITS)
            _write(out / ITEMS_FILE, "".join(json.dumps(line) + "\n" for line in lines))
            write_proofs(out)
    return {**result, "markdown": markdown}


def find_recordings(
    data: Path, split: Split | None = "test", kind: str | None = None
) -> list[Recording]:
    """Recordings of a manifest, of the folder of one, or of any folder of audio.

    Args:
        data: The file or folder.
        split: Which split, None for all.
        kind: Which kind, dry or not; None for all that are dry.

    Raises:
        UsageError: there is no such file or folder, or it has no such recordings.
    """
    return _chosen(data, _known_recordings(data), split, kind)


def _known_recordings(data: Path) -> list[Recording]:
    manifest = manifest_in(data)
    try:
        return folder_corpus(data) if manifest.is_dir() else load_manifest(manifest)
    except FileNotFoundError as error:
        raise UsageError(f"There is no manifest and no folder {data}.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{manifest} cannot be read as a manifest of recordings.") from error
    except ValueError as error:
        raise UsageError(str(error)) from error


def _chosen(
    data: Path, known: Sequence[Recording], split: Split | None, kind: str | None
) -> list[Recording]:
    found = [r for r in known if (r.dry if kind is None else r.kind == kind)]
    found = [r for r in found if split is None or r.split == split]
    if not found:
        which = "dry recording" if kind is None else f"recording of the kind {kind!r}"
        which += "" if split is None else f" in its {split} split"
        raise UsageError(f"{data} has no {which} among {len(known)} recordings.")
    return found


def _paired(protocols: Sequence[str]) -> list[Protocol]:
    """Those protocols that compare outputs with the truth."""
    known = (*PROTOCOLS, PROBES)
    if not protocols:
        raise UsageError(f"Give at least one protocol of {', '.join(known)}.")
    if unknown := [name for name in protocols if name not in known]:
        raise UsageError(f"protocol is {unknown[0]!r}, but it must be one of {', '.join(known)}.")
    return [protocol for protocol in PROTOCOLS if protocol in protocols]


def _described(recordings: Sequence[Recording]) -> dict[str, Any]:
    kinds = sorted({recording.kind for recording in recordings})
    return {
        "recordings": len(recordings),
        "groups": len({(recording.kind, recording.group) for recording in recordings}),
        "minutes": sum(recording.seconds for recording in recordings) / 60,
        "kinds": {kind: sum(r.kind == kind for r in recordings) for kind in kinds},
        "sources": sorted({recording.source for recording in recordings}),
    }


def _embedded(model: AFXStyleVAE, folder: Path, split: str, most: int) -> EmbeddedPool | None:
    from ..training.latent import embed_pool
    from ..training.pool import Pool

    pool = Pool(folder, split, most)
    return embed_pool(model, pool) if len(pool) else None


def _latent(model: AFXStyleVAE, folder: Path, seed: int) -> dict[str, Any]:
    """`latent_figures` of the held-out shards."""
    from ..training.latent import latent_figures

    held_out = _embedded(model, folder, "valid", _LATENT_SHARDS)
    if held_out is None:
        raise UsageError(f"{folder} has no shards pool-valid-*.safetensors.")
    return {
        **latent_figures(model, held_out, seed),
        "latent_dim": model.config["latent_dim"],
        "crops": len(held_out.kind),
    }


@torch.no_grad()
def _presets(model: AFXStyleVAE, folder: Path, seed: int) -> PresetTable | None:
    """Treatments of training shards with the differences that they made; None without shards."""
    known = _embedded(model, folder, "train", _TABLE_SHARDS)
    if known is None:
        return None
    rows = torch.arange(len(known.kind))
    generator = torch.Generator().manual_seed(seed)
    audio, reference, controls, switches, before = known.draw(rows, model.chain, generator)
    dry = ~unlike_default(before, model.chain)
    return PresetTable(model.compare(audio, reference)[dry], controls[dry], switches[dry])


def _items_csv(measured: Sequence[ItemResults]) -> str:
    """Distances of every item and row."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["protocol", "item", "kind", "effects_on", "row", "choice", *COLUMNS])
    for results in measured:
        for index, item in enumerate(results.items):
            for row in results.rows:
                choice = item.verdicts[row].choice if row in item.verdicts else ""
                values = [f"{item.distances[row][name]:.6f}" for name in COLUMNS]
                start = [results.protocol, index, item.kind, item.effects_on, row, choice]
                writer.writerow([*start, *values])
    return text.getvalue()


def _make_folder(out: Path | None) -> None:
    if out is None:
        return
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{out} cannot be made a folder: {error.strerror}.") from error


def _write(path: Path, text: str) -> None:
    with replacing(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")
