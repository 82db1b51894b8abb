"""Folders of weights: where a model's folder is, and whether its weights fit.

A folder holds `config.json`, `model.safetensors` and `README.md`, the card. Checking is strict:
weights that are missing, left over, misshaped, or trained with other knobs are an error.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from ..types import WeightsError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "BUNDLED_FOLDER",
    "CARD_FILE",
    "CONFIG_FILE",
    "WEIGHTS_FILE",
    "check_chain",
    "check_state",
    "check_sum",
    "pack",
    "read_config",
    "read_state",
    "resolve_folder",
    "unpack",
    "weights_checksum",
]

BUNDLED_FOLDER = Path(__file__).resolve().parent.parent / "weights"
"""The default model, inside the package."""
CONFIG_FILE, WEIGHTS_FILE, CARD_FILE = "config.json", "model.safetensors", "README.md"

_SHOWN = 6
_STEPS, _STEP = 127, "_step"
_LEAST_PACKED = 20_000  # numbers, from which on a weight is stored in 8 bits
_CHAIN_FIELDS = ("unit", "minimum", "maximum", "default", "scale", "amount")


def pack(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights as they are stored: large ones in 8 bits, with a step by row, others in 16.

    The step of ``name`` is called ``name_step``. What was unpacked is packed to the same again.
    """
    packed = {}
    for name, value in state.items():
        value = value.detach().cpu().float()
        if value.dim() < 2 or value.numel() < _LEAST_PACKED:
            packed[name] = value.half().contiguous()
            continue
        rows = value.flatten(1)
        step = (rows.abs().amax(1, keepdim=True) / _STEPS).half()
        levels = (rows / step.float().clamp_min(1e-12)).round().clamp(-_STEPS, _STEPS)
        packed[name] = levels.to(torch.int8).view_as(value).contiguous()
        packed[name + _STEP] = step.squeeze(1)
    return packed


def unpack(stored: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Inverse of `pack`, in single precision.

    Raises:
        WeightsError: Tensors in 8 bits have no steps that fit.
    """
    state = {}
    for name, value in stored.items():
        if value.dtype == torch.int8:
            step = stored.get(name + _STEP)
            if step is None or step.shape != value.shape[:1]:
                raise WeightsError(f"The weights do not fit the model: {name} has no steps.")
            state[name] = value.float() * step.float().view(-1, *[1] * (value.dim() - 1))
        elif stored.get(name.removesuffix(_STEP), value).dtype != torch.int8:
            state[name] = value.float()
    return state


def weights_checksum(state: Mapping[str, Any]) -> str:
    """SHA-256 over names, shapes, types and values of tensors (or arrays), sorted by name.

    It depends on neither the order of the tensors nor the file they are stored in.
    """
    digest = hashlib.sha256()
    for name in sorted(state):
        value = state[name]
        if hasattr(value, "detach"):
            value = value.detach().cpu().contiguous().numpy()
        shape = "x".join(str(size) for size in value.shape)
        digest.update(f"{name} {value.dtype} {shape}\n".encode())
        digest.update(value.tobytes())
    return digest.hexdigest()


def check_state(expected: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """Raise unless the weights found are exactly those expected.

    Args:
        expected: Tensors, or their shapes, by name, as the model has them.
        found: The same as the file has them.

    Raises:
        WeightsError: tensors that are missing, left over or of another shape, by name.
    """
    wanted = {name: tuple(getattr(value, "shape", value)) for name, value in expected.items()}
    shapes = {name: tuple(getattr(value, "shape", value)) for name, value in found.items()}
    misshaped = [
        f"{name} has the shape {shapes[name]} instead of {shape}"
        for name, shape in wanted.items()
        if name in shapes and shapes[name] != shape
    ]
    faults = []
    if missing := [name for name in wanted if name not in shapes]:
        faults.append(f"missing {_some(missing)}")
    if left_over := [name for name in shapes if name not in wanted]:
        faults.append(f"left over {_some(left_over)}")
    if misshaped:
        faults.append(_some(misshaped))
    if faults:
        raise WeightsError(f"The weights do not fit the model: {'; '.join(faults)}.")


def check_chain(stored: Sequence[Mapping[str, Any]], current: Sequence[Mapping[str, Any]]) -> None:
    """Raise unless a model was trained with the knobs that the chain has now.

    Args:
        stored: `Chain.to_dict()` from the model's configuration.
        current: `Chain.to_dict()` of the chain the model is to run.

    Raises:
        WeightsError: the rows that differ, with both values. Help texts may differ.
    """
    try:
        before, now = _chain_rows(stored), _chain_rows(current)
    except (AttributeError, KeyError, TypeError) as error:
        raise WeightsError("The configuration of the weights has no valid chain.") from error
    rows = [f"{name} is not known here" for name in before if name not in now]
    rows += [f"{name} is not known to them" for name in now if name not in before]
    for name in before:
        for key in _CHAIN_FIELDS if name in now else ():
            old, new = before[name].get(key), now[name].get(key)
            if old != new:
                rows.append(f"{name} {key} {old!r} (here {new!r})")
    if not rows and list(before) != list(now):
        rows = [f"their order is {', '.join(before)} (here {', '.join(now)})"]
    if rows:
        raise WeightsError(f"The weights were trained with other knobs: {_some(rows, '; ', 12)}.")


def resolve_folder(
    name_or_folder: str | Path | None = None,
    revision: str | None = None,
    local_files_only: bool = False,
) -> Path:
    """Find the folder of a model: the bundled one, one on disk, or one of the Hugging Face Hub.

    Args:
        name_or_folder: Nothing for the bundled weights, a folder, or `owner/name` on the Hub. A
            folder that exists wins over a name on the Hub.
        revision: Branch, tag or commit on the Hub.
        local_files_only: Look only for what is cached already.

    Returns:
        A folder in which configuration and weights exist.

    Raises:
        WeightsError: there is no such folder or model, a file of it is missing, or the Hub cannot
            be reached.
    """
    if name_or_folder is None:
        folder, what = BUNDLED_FOLDER, "The bundled model"
    elif Path(name_or_folder).expanduser().is_dir():
        folder = Path(name_or_folder).expanduser()
        what = f"The model folder {folder}"
    else:
        folder = _download(str(name_or_folder), revision, local_files_only)
        what = f"The model {name_or_folder}"
    missing = [name for name in (CONFIG_FILE, WEIGHTS_FILE) if not (folder / name).is_file()]
    if missing:
        raise WeightsError(f"{what} has no {' and no '.join(missing)}.")
    return folder


def read_config(folder: Path) -> dict[str, Any]:
    """The configuration in a folder of weights.

    Raises:
        WeightsError: it cannot be read or is not a JSON object.
    """
    path = folder / CONFIG_FILE
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise WeightsError(f"{path} is damaged: it is not JSON.") from error
    if not isinstance(config, dict):
        raise WeightsError(f"{path} is damaged: it is not a JSON object.")
    return config


def read_state(folder: Path) -> dict[str, Any]:
    """The tensors in a folder of weights, by name.

    Raises:
        WeightsError: They cannot be read.
    """
    try:
        return dict(load_file(folder / WEIGHTS_FILE))
    except (OSError, ValueError, SafetensorError) as error:
        raise WeightsError(f"The weights in {folder} cannot be read: {error}.") from error


def check_sum(folder: Path, state: Mapping[str, Any], stored: str) -> None:
    """Raise `WeightsError` unless tensors of a folder have the checksum that its config says."""
    found = weights_checksum(state)
    if found != stored:
        raise WeightsError(
            f"The weights in {folder} have been altered: their checksum is {found[:12]}..., "
            f"{CONFIG_FILE} says {stored[:12]}...."
        )


def _download(name: str, revision: str | None, local_files_only: bool) -> Path:
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", name) or name.startswith("."):
        raise WeightsError(
            f"There is no model folder {name}, and it is no owner/name on the Hugging Face Hub."
        )
    import huggingface_hub
    from huggingface_hub import errors

    wanted = f"{name} at {revision}" if revision else name
    try:
        folder = huggingface_hub.snapshot_download(
            name,
            revision=revision,
            local_files_only=local_files_only,
            allow_patterns=[CONFIG_FILE, WEIGHTS_FILE, CARD_FILE],
        )
    except errors.LocalEntryNotFoundError as error:
        reason = "it is not in the cache" if local_files_only else "no network, and not cached"
        raise WeightsError(
            f"The model {wanted} is not a folder and cannot be fetched from the Hugging Face Hub: "
            f"{reason}."
        ) from error
    except errors.RevisionNotFoundError as error:
        raise WeightsError(f"The Hugging Face Hub has {name}, but not at {revision}.") from error
    except errors.RepositoryNotFoundError as error:
        raise WeightsError(
            f"There is no model folder {name} and no model {name} on the Hugging Face Hub, or it "
            "is private."
        ) from error
    except Exception as error:  # connections fail in many ways, some of other libraries
        line = next(iter(str(error).strip().splitlines()), type(error).__name__).rstrip(".")
        raise WeightsError(f"The model {wanted} cannot be fetched: {line}.") from error
    return Path(folder)


def _chain_rows(chain: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    return {
        f"{effect['name']}.{param['name']}": param for effect in chain for param in effect["params"]
    }


def _some(items: Sequence[str], separator: str = ", ", shown: int = _SHOWN) -> str:
    rest = len(items) - shown
    return separator.join(items[:shown]) + (f"{separator}and {rest} more" if rest > 0 else "")
