"""A model's public face: its card, and what can be told about weights without loading the model.

`AFXStyleVAE` loads and saves itself, by way of `huggingface_hub`; see `afxvae.models.storage`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from . import __version__
from .models.storage import (
    BUNDLED_FOLDER,
    CARD_FILE,
    CONFIG_FILE,
    WEIGHTS_FILE,
    read_config,
    resolve_folder,
)
from .types import WeightsError

__all__ = [
    "BUNDLED_FOLDER",
    "CARD_FILE",
    "CONFIG_FILE",
    "WEIGHTS_FILE",
    "ModelInfo",
    "model_card",
    "model_info",
]

LICENCE = "Apache-2.0"


@dataclass(frozen=True)
class ModelInfo:
    """What a folder of weights says about itself.

    Attributes:
        name: Identifier, as presets carry it.
        version: Of the package that saved it or bundles it, empty if unknown.
        checksum: SHA-256 that the weights must have.
        bytes: Size of the weights.
        licence: Of the weights.
        folder: Where they are.
    """

    name: str
    version: str
    checksum: str
    bytes: int
    licence: str
    folder: Path


def model_info(name_or_folder: str | Path | None = None) -> ModelInfo:
    """Read what there is to know about weights at hand without loading them.

    Raises:
        WeightsError: there are none, or their configuration is damaged.
    """
    folder = resolve_folder(name_or_folder, local_files_only=True)
    config = read_config(folder)
    if not all(isinstance(config.get(key), str) for key in ("name", "sha256")):
        raise WeightsError(f"{folder / CONFIG_FILE} is damaged: it has no name or no sha256.")
    return ModelInfo(
        name=config["name"],
        version=str(config.get("version", __version__ if folder == BUNDLED_FOLDER else "")),
        checksum=config["sha256"],
        bytes=(folder / WEIGHTS_FILE).stat().st_size,
        licence=str(config.get("licence", LICENCE)),
        folder=folder,
    )


def model_card(
    *,
    identifier: str,
    version: str,
    checksum: str,
    parameters: int,
    sources: Iterable[tuple[str, str, str]] = (),
    results: str = "",
    training: str = "",
) -> str:
    """The card of a model as Markdown, with the front matter that the Hugging Face Hub reads.

    Args:
        identifier: Name of the model.
        version: Of the package it was trained with.
        checksum: See `weights_checksum`.
        parameters: How many it has.
        sources: Training sources, each `(name, licence, what was used of it)`.
        results: Markdown of the evaluation.
        training: One paragraph on how it was trained.
    """
    rows = "\n".join(f"| {name} | {licence} | {what} |" for name, licence, what in sources)
    parts = [
        _FRONT_MATTER,
        f"# {identifier}",
        _ABOUT,
        f"Version {version}, {parameters:,} parameters, checksum `{checksum}`.",
        "## Use",
        _USE,
        "## Training",
        training,
        rows and f"| source | licence | used |\n|---|---|---|\n{rows}",
        results and f"## Evaluation\n\n{results.strip()}",
        "## Limits",
        _LIMITS,
    ]
    return "\n\n".join(part.strip() for part in parts if part.strip()) + "\n"


_FRONT_MATTER = """---
license: apache-2.0
library_name: afxvae
pipeline_tag: audio-to-audio
tags: [audio, audio-effects, differentiable-dsp, production-style-transfer, vae]
---"""

_ABOUT = """Makes one recording sound as if it had gone through the production of another, and
gives the settings: a chain of EQ, compressor, overdrive, chorus, delay, reverb, stereo width and
gain, with knobs in dB, Hz and ms."""

_USE = """```python
from afxvae import AFXStyleVAE

model = AFXStyleVAE.from_pretrained(FOLDER_OR_NAME)
match = model.match(audio, reference, sample_rate=44100)  # (channel, time)
```

Weights are safetensors. Loading refuses weights that are missing, left over or altered, and a chain
whose knobs are not those of the training."""

_LIMITS = """It knows the effects of its chain and nothing else: it removes neither room nor
distortion. How loud a recording was before its production cannot be heard from the result. It was
trained on the sources above; on other material, look at the report of a match before trusting
it."""
