"""The main job on two bundled recordings, one of which went through a known treatment."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ..files import check_writable, made_folder
from .match import Matched, match_files

if TYPE_CHECKING:
    from ..models.style_vae import AFXStyleVAE
    from .parts import Progress

__all__ = ["DEMO_INPUT", "DEMO_REFERENCE", "DEMO_TREATMENT", "demo"]

DEMO_INPUT = Path(__file__).resolve().parents[1] / "demo" / "guitar.flac"
DEMO_REFERENCE = DEMO_INPUT.with_name("reference.flac")
DEMO_TREATMENT = DEMO_INPUT.with_name("reference.afx.json")
"""Preset of what was done to the reference."""


def demo(
    folder: Path,
    *,
    model: Callable[[], AFXStyleVAE],
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Matched:
    """Match the two bundled clips into `folder`, with copies of them and of what was done to one.

    Raises:
        AfxError: anything that is wrong, in one sentence.
    """
    bundled = DEMO_INPUT, DEMO_REFERENCE, DEMO_TREATMENT
    copies = {file: folder / file.name for file in bundled}
    with made_folder(folder):
        for copy in copies.values():
            check_writable(copy, overwrite)
        output = folder / f"{DEMO_INPUT.stem}.matched{DEMO_INPUT.suffix}"
        result = match_files(
            DEMO_INPUT,
            DEMO_REFERENCE,
            output=output,
            model=model,
            overwrite=overwrite,
            progress=progress,
        )
    for file, copy in copies.items():
        shutil.copyfile(file, copy)
    return result
