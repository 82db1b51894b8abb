"""Match one file to another."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from .. import audio
from ..files import kept_unless_done
from ..ranges import LOUDEST_LUFS, QUIETEST_LUFS
from ..recordings import Recording, Spool
from ..styles import Style, is_style
from ..types import UsageError
from ..wishes import Wishes, check_weight
from .ab import Comparison, ab_paths
from .parts import Counter, Progress, check_outputs, output_of, same_file
from .report import write_report

if TYPE_CHECKING:
    from ..matching import Finding
    from ..models.style_vae import AFXStyleVAE

__all__ = ["Matched", "match_files", "parse_also", "parse_loudness", "parse_moves"]


@dataclass(frozen=True)
class Matched:
    """A match that was written: what was found, where it is, and by which model.

    `alternatives` are the presets of those of `match`, in the same order; `ab` are the two files
    to compare and `report` the picture or page, if they were asked for.
    """

    match: Finding
    output: Path
    preset: Path
    model: str
    model_checksum: str
    notes: list[str] = field(default_factory=list)
    alternatives: list[Path] = field(default_factory=list)
    ab: tuple[Path, ...] = ()
    report: Path | None = None


def parse_loudness(text: str) -> str | float:
    """`keep`, `reference`, or a number of LUFS from -60 to 0.

    Raises:
        UsageError: it is none of them.
    """
    if text in ("keep", "reference"):
        return text
    with suppress(ValueError):
        if QUIETEST_LUFS <= (lufs := float(text)) <= LOUDEST_LUFS:
            return lufs
    raise UsageError(
        f"--loudness is {text!r}, but it must be keep, reference, or a number from "
        f"{QUIETEST_LUFS:g} to {LOUDEST_LUFS:g} LUFS."
    )


def parse_moves(texts: Sequence[str]) -> dict[str, float]:
    """Moves by name of the attribute out of `NAME=NUMBER`, several also with commas between.

    Raises:
        UsageError: one of them is no such thing, or an attribute is named twice.
    """
    moves: dict[str, float] = {}
    for text in ",".join(texts).split(",") if texts else ():
        name, equals, number = (part.strip() for part in text.partition("="))
        try:
            distance = float(number)
        except ValueError:
            distance = math.nan
        if not name or not equals or math.isnan(distance):
            raise UsageError(f"--move is {text!r}, but it must be like brightness=+0.5.")
        if name in moves:
            raise UsageError(f"--move names {name} twice.")
        moves[name] = distance
    return moves


def parse_also(text: str) -> tuple[Path, float]:
    """A reference and its weight out of `FILE` or `FILE:WEIGHT`; without one it is 1.

    Raises:
        UsageError: the weight is not above 0.
    """
    path, _, end = text.rpartition(":")
    weight = None
    if path and not Path(text).exists():
        with suppress(ValueError):
            weight = float(end)
    return (Path(text), 1.0) if weight is None else (Path(path), check_weight(weight, path))


def match_files(
    input_path: Path,
    reference_path: Path,
    *,
    also: Sequence[tuple[Path, float]] = (),
    output: Path | None = None,
    preset: Path | None = None,
    model: Callable[[], AFXStyleVAE],
    wishes: Wishes | None = None,
    ab: bool = False,
    report: Path | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Matched:
    """Match one file to another, block by block; write the result and its preset.

    What is rendered is kept beside the output, in a file without a name, until its gain is known.

    Args:
        input_path: The recording to change.
        reference_path: The recording whose style is wanted, or a file that holds its style.
        also: Other references with their weights, see `match_recordings`.
        output: Where the result goes, `<stem>.matched` beside the input if not given.
        preset: Where the preset goes, beside the output if not given.
        model: Called for the model once files and outputs are known to be usable.
        wishes: How it is made; the defaults if not given.
        ab: Write input and result at one loudness too, `<stem>.a.wav` and `<stem>.b.wav` beside the
            result; see `Comparison`.
        report: A picture or a page of what was done, if wanted; see `figures.FORMATS`.
        overwrite: Replace outputs that exist.
        progress: Called with the work done and all there may be, in frames.

    Raises:
        AfxError: anything that is wrong, in one sentence.
    """
    since = time.perf_counter()
    wishes = wishes or Wishes()
    info = audio.info(input_path)
    references = (reference_path, *(path for path, _ in also))
    frames = _frames(input_path, references)
    output, notes = output_of(info, output)
    if preset is None:
        stem = output.stem.removesuffix(".matched")
        preset = output.with_name(f"{stem}.afx.json")
    others = _alternatives_of(preset, wishes.alternatives)
    pair = ab_paths(output) if ab else ()
    outputs = {"output": output, "preset": preset, **_more_outputs(others, pair, report)}
    sources = {"input": input_path, "reference": reference_path}
    sources |= {f"reference {place}": path for place, path in enumerate(references[1:], 2)}
    check_outputs(outputs, sources, overwrite)
    # both are listened to and then cut; the input is also rendered and written, rendered again for
    # every alternative, and measured and written with the result for a comparison
    passes = 4 + len(others) + 3 * ab
    counter = Counter(passes * info.frames + 2 * frames, progress)
    source = Recording.of_file(input_path, counter.watch)
    heard = _listen(references, source, counter)
    loaded = model()
    from ..matching import match_recordings

    form = (info.sample_rate, info.channels, info)
    with ExitStack() as kept:
        for path in outputs.values():
            kept.enter_context(kept_unless_done(path))
        with (
            audio.writing(output, *form, overwrite=overwrite) as put,
            Spool(output.resolve().parent) as spool,
            Spool(output.resolve().parent) as aside,
        ):
            comparison = Comparison(source, info, aside)

            def write(block: Tensor) -> None:
                put(block)
                counter.add(block)
                if ab:
                    comparison.add(block)

            match = match_recordings(
                loaded,
                source,
                heard[0],
                also=[(one, weight) for one, (_, weight) in zip(heard[1:], also, strict=True)],
                spool=spool,
                put=write,
                wishes=wishes,
                since=since,
            )
            match.preset.save(preset, overwrite)
            for path, other in zip(others, match.alternatives, strict=False):
                other.preset.save(path, overwrite)
            notes += match.notes
            if ab:
                notes.append(comparison.write(pair, counter, overwrite))
        if report is not None:  # looks at the output, which is there by now
            write_report(report, input_path, reference_path, heard[0], output, match)
    return Matched(
        match,
        output,
        preset,
        loaded.identifier,
        loaded.checksum,
        notes,
        others[: len(match.alternatives)],
        pair,
        report,
    )


def _frames(input_path: Path, references: Sequence[Path]) -> int:
    """Of all references that are recordings; `UsageError` if one of them is the input."""
    frames = sum(audio.info(path).frames for path in references if not is_style(path))
    for path in references:
        if same_file(input_path, path):
            raise UsageError(f"The reference {path} is the input: it has no style to lend.")
    return frames


def _listen(references: Sequence[Path], source: Recording, counter: Counter) -> list[Style]:
    """Styles of the references; `UsageError` if one has the samples of the input."""
    heard = []
    for path in references:
        if is_style(path):
            style = Style.load(path)
            same = style.is_of(source)
        else:
            recording = Recording.of_file(path, counter.watch)
            style, same = Style.of(recording), source.same_samples(recording)
        if same:
            raise UsageError(f"{path} has the samples of the input: it has no style to lend.")
        heard.append(style)
    return heard


def _more_outputs(
    others: Sequence[Path], pair: Sequence[Path], report: Path | None
) -> dict[str, Path]:
    """What may be asked for beside output and preset, by what messages call it."""
    if report is not None:
        from ..figures import FORMATS, check_picture

        check_picture(report, FORMATS)
    return {
        **{f"alternative {place}": path for place, path in enumerate(others, 1)},
        **dict(zip(("file a", "file b"), pair, strict=False)),
        **({} if report is None else {"report": report}),
    }


def _alternatives_of(preset: Path, count: int) -> list[Path]:
    """Where alternatives to a preset go: `NAME.alt1.afx.json` beside `NAME.afx.json`."""
    name = preset.name.removesuffix(preset.suffix).removesuffix(".afx")
    return [preset.with_name(f"{name}.alt{place}.afx.json") for place in range(1, count + 1)]
