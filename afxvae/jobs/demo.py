"""The main job on two bundled recordings."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ..files import check_writable
from ..types import UsageError
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
    new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder} cannot be made a folder: {error.strerror}.") from error
    try:
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
    except BaseException:
        if new:
            with suppress(OSError):
                folder.rmdir()
        raise
    for clip, copy in copies.items():
        shutil.copyfile(clip, copy)
    return result
