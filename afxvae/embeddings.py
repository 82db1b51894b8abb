"""Embeddings of audio files, and files of embeddings."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from . import audio
from .files import check_writable, replacing
from .models.treatment import embed_treatment, hear_recording
from .types import AfxError, AudioError, UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from .models.style_vae import AFXStyleVAE
    from .models.treatment import Heard

__all__ = ["check_output", "embed_files", "embeddings_csv", "write_embeddings"]

_SUFFIXES = (".csv", ".json", ".npz")


def embed_files(
    paths: Sequence[Path], model: Callable[[], AFXStyleVAE], against: Path | None = None
) -> tuple[dict[str, list[float]], dict[str, AfxError]]:
    """Embeddings of files by their path, and what was wrong with the others.

    Args:
        paths: Of recordings.
        model: Loads the model, once one can be read.
        against: A recording without what was done to the others: what is embedded is that, see
            `embed_treatment`, instead of their styles.

    Raises:
        AudioError: `against` cannot be read, or is silent or too short.
    """
    embeddings: dict[str, list[float]] = {}
    failures: dict[str, AfxError] = {}
    loaded: AFXStyleVAE | None = None
    plain = None if against is None else _sound(against)
    heard: Heard | None = None
    for path in paths:
        try:
            sound, rate = _sound(path)
        except AudioError as error:
            failures[str(path)] = error
            continue
        loaded = loaded or model()
        device = next(loaded.parameters()).device
        sound = sound.to(device)
        if plain is None:
            embedding = loaded.embed(sound, rate)
        else:
            heard = heard or hear_recording(loaded, plain[0].to(device), plain[1])
            embedding = embed_treatment(loaded, heard, hear_recording(loaded, sound, rate))
        embeddings[str(path)] = [round(float(value), 6) for value in embedding.flatten()]
    return embeddings, failures


def _sound(path: Path) -> tuple[Tensor, int]:
    """A recording and its sample rate."""
    sound, info = audio.read(path)
    audio.check_usable(sound, info.sample_rate, str(path))
    return sound, info.sample_rate


def check_output(path: Path, overwrite: bool) -> None:
    """Raise `UsageError` unless embeddings can be written to `path`."""
    if path.suffix.lower() not in _SUFFIXES:
        raise UsageError(f"{path} must end with one of {', '.join(_SUFFIXES)}.")
    check_writable(path, overwrite)


def write_embeddings(path: Path, embeddings: Mapping[str, Sequence[float]]) -> None:
    """Write embeddings as CSV, as a JSON object, or as NumPy arrays `path` and `embedding`."""
    buffer = io.BytesIO()
    if path.suffix.lower() == ".npz":
        values = np.array(list(embeddings.values()), np.float32)
        np.savez(buffer, allow_pickle=False, path=np.array(list(embeddings)), embedding=values)
    elif path.suffix.lower() == ".json":
        buffer.write(json.dumps(embeddings, indent=1).encode() + b"\n")
    else:
        buffer.write(embeddings_csv(embeddings).encode())
    with replacing(path) as unfinished:
        unfinished.write_bytes(buffer.getvalue())


def embeddings_csv(embeddings: Mapping[str, Sequence[float]]) -> str:
    """One row a file: its path, then the numbers."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    width = max((len(row) for row in embeddings.values()), default=0)
    writer.writerow(["file", *(f"e{index}" for index in range(width))])
    writer.writerows([name, *row] for name, row in embeddings.items())
    return text.getvalue()
