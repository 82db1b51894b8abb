"""The style of a recording, kept in a file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from .. import audio
from ..recordings import Recording
from ..styles import SUFFIX, Style, check_style_name
from .parts import Counter, Progress, check_outputs

__all__ = ["Styled", "style_file"]


@dataclass(frozen=True)
class Styled:
    """A style that was written: what it holds, and where it is."""

    style: Style
    output: Path


def style_file(
    reference_path: Path,
    *,
    output: Path | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Styled:
    """Keep the style of a recording, of which only the name of its file is told.

    Args:
        reference_path: The recording, of any length.
        output: Where the style goes, `<stem>.style` beside the recording if not given.
        overwrite: Replace an output that exists.
        progress: Called with the frames done and how many there are.

    Raises:
        AfxError: anything that is wrong, in one sentence.
    """
    info = audio.info(reference_path)
    output = output or reference_path.with_suffix(SUFFIX)
    check_style_name(output)
    check_outputs({"style": output}, {"reference": reference_path}, overwrite)
    counter = Counter(2 * info.frames, progress)
    style = Style.of(Recording.of_file(reference_path, counter.watch))
    style = replace(style, name=reference_path.name)
    style.save(output, overwrite)
    return Styled(style, output)
