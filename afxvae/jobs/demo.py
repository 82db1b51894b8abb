"""The main job on two bundled recordings."""

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

__all__ = ["DEMO_INPUT", "DEMO_REFERENCE", "demo"]

DEMO_INPUT = Path(__file__).resolve().parents[1] / "demo" / "guitar.flac"
DEMO_REFERENCE = DEMO_INPUT.with_name("reference.flac")


def demo(
    folder: Path,
    *,
    model: Callable[[], AFXStyleVAE],
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Matched:
    """Match the two bundled clips into `folder`, and put copies of them beside the result.

    Raises:
        AfxError: anything that is wrong, in one sentence.
    """
    copies = {clip: folder / clip.name for clip in (DEMO_INPUT, DEMO_REFERENCE)}
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
    for clip, copy in copies.items():
        shutil.copyfile(clip, copy)
    return result
