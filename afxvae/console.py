"""What the command line shows of its work: summaries as rich renderables, and JSON documents.

Nothing here prints, and nothing here needs torch.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group, RenderableType
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from .types import AfxError

if TYPE_CHECKING:
    from .fitting import Fit
    from .jobs import Applied, Between, Fitted, Matched, Styled

__all__ = [
    "apply_document",
    "console",
    "explain",
    "fit_document",
    "fit_summary",
    "interpolate_document",
    "interpolate_summary",
    "json_text",
    "match_document",
    "match_summary",
    "progress_bar",
    "settings_table",
    "style_document",
    "style_summary",
]

_WIDTH = 120
_OF_ALTERNATIVES = ("name", "advantage", "doubt", "notes")
_REPORT_NAMES = {
    "mfcc": "timbre (mean cepstra)",
    "centroid_hz": "brightness (centroid, Hz)",
    "crest_db": "punch (crest factor, dB)",
    "loudness_lu": "loudness (LU)",
}


def console(stderr: bool = False) -> Console:
    """A console that takes text as it is, and is wide enough for tables when not a terminal."""
    made = Console(stderr=stderr, highlight=False, markup=False, emoji=False, soft_wrap=True)
    if not made.is_terminal:
        made.width = _WIDTH
    return made


@contextmanager
def progress_bar(doing: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr that is gone in the end: give a function to say how much of how much is done.

    The bar begins anew where less is done than before.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console(True), transient=True) as bars:
        bar, before = bars.add_task(doing, total=None), 0

        def report(done: int, total: int) -> None:
            nonlocal before
            if done < before:
                bars.reset(bar)
            before = done
            bars.update(bar, completed=min(done, total), total=total)

        yield report


def explain(error: Exception) -> tuple[int, str]:
    """Exit code of an error, and its text on one line."""
    code, text = 1, str(error)
    if isinstance(error, AfxError):
        code = error.exit_code
    elif hasattr(error, "format_message"):  # typer's and click's, of one class or another
        code, text = 2, error.format_message().replace("Value error, ", "")
    elif isinstance(error, OSError):
        code = 2
        if error.strerror:
            text = f"{error.filename or 'A file'}: {error.strerror}."
    elif isinstance(error, MemoryError) or "allocate memory" in text or "out of memory" in text:
        text = "There is not enough memory for this."
    else:
        text = f"Unexpected {type(error).__name__}: {text} (AFXVAE_DEBUG=1 shows where)."
    return code, " ".join(text.split())


def json_text(document: Any) -> str:
    """A document as JSON; numbers that are not finite become null."""
    return json.dumps(_plain(document), indent=2)


def match_document(matched: Matched) -> dict[str, Any]:
    """What `match --json` prints."""
    match = matched.match
    return {
        "output": str(matched.output),
        "preset": str(matched.preset),
        "decision": match.decision,
        "report": match.report,
        "seconds": match.seconds,
        "real_time_factor": match.real_time_factor,
        "model": {"name": matched.model, "checksum": matched.model_checksum},
        "notes": matched.notes,
        "ab": [str(path) for path in matched.ab],
        "report_file": None if matched.report is None else str(matched.report),
        "candidates": match.candidates,
        "intervals": match.intervals,
        "refinement": match.refinement,
        "alternatives": [
            {"preset": str(path), **{name: getattr(other, name) for name in _OF_ALTERNATIVES}}
            for path, other in zip(matched.alternatives, match.alternatives, strict=True)
        ],
    }


def apply_document(applied: Applied) -> dict[str, Any]:
    """What `apply --json` prints."""
    return {
        "output": str(applied.output),
        "gain_db": applied.gain_db,
        "notes": applied.notes,
        "model": {"name": applied.preset.model, "checksum": applied.preset.model_checksum},
    }


def match_summary(matched: Matched) -> RenderableType:
    """What `match` decided, the effects that are on, distances before and after, the files."""
    match = matched.match
    left = match.decision == "nothing" and match.preset.is_empty
    decision = "left as it is: nothing was found that helps" if left else match.decision
    parts: list[RenderableType] = [Text(f"Decision: {decision}.")]
    if rows := match.preset.describe():
        parts.append(settings_table(rows))
    parts += [Text(note) for note in matched.notes]
    if match.report:
        parts.append(_report_table(match.report))
    if match.alternatives:
        parts.append(_alternatives_table(matched))
    more = "" if matched.report is None else f" and {matched.report}"
    written = f"Wrote {matched.output} and {matched.preset}{more} in {match.seconds:.1f} s."
    parts.append(Text(written))
    return Group(*parts)


def style_document(styled: Styled) -> dict[str, Any]:
    """What `style --json` prints."""
    style = styled.style
    held = {"clips": len(style.mixed), "bytes": styled.output.stat().st_size}
    return {"output": str(styled.output), **style.facts(), **held}


def style_summary(styled: Styled) -> str:
    """What a style holds, in a sentence."""
    size = styled.output.stat().st_size / 1e6
    style = styled.style
    held = f"{len(style.mixed)} clips at {style.lufs:.1f} LUFS, {size:.1f} MB"
    return f"Wrote {styled.output} of {style.name}: {held}."


def interpolate_document(between: Between) -> dict[str, Any]:
    """What `interpolate --json` prints."""
    rows = zip_longest(between.presets, between.outputs, between.gains_db)
    return {
        "folder": str(between.folder),
        "lufs": between.lufs,
        "steps": [
            {
                "preset": str(preset),
                "output": None if output is None else str(output),
                "gain_db": gain_db,
            }
            for preset, output, gain_db in rows
        ],
        "notes": between.notes,
    }


def interpolate_summary(between: Between) -> str:
    """What was written, in a sentence."""
    rendered = " and the recording through each" if between.outputs else ""
    level = "" if between.lufs is None else f", at {between.lufs:.1f} LUFS"
    count = len(between.presets)
    return f"Wrote {count} presets{rendered}{level} into {between.folder}."


def fit_document(fitted: Fitted) -> dict[str, Any]:
    """What `fit --json` prints."""
    fit = fitted.fit
    return {
        "preset": str(fitted.preset),
        "render": str(fitted.render) if fitted.render else None,
        "plot": str(fitted.plot) if fitted.plot else None,
        "effects": [name for name, on in fit.preset.switches.items() if on],
        "residual_db": fit.report,
        "alignment": _alignment(fit),
        "seconds": fit.seconds,
        "model": {"name": fit.preset.model, "checksum": fit.preset.model_checksum},
        "notes": fitted.notes,
    }


def _alignment(fit: Fit) -> dict[str, float]:
    found = fit.alignment
    return {
        "delay_ms": round(1000.0 * found.delay_s, 4),
        "polarity": found.polarity,
        "gain_db": round(found.gain_db, 2),
    }


def fit_summary(fitted: Fitted) -> RenderableType:
    """How the recordings lie, the effects that are on, what is left, the files."""
    fit, found = fitted.fit, _alignment(fitted.fit)
    turned = "upside down" if found["polarity"] < 0 else "the right way up"
    parts: list[RenderableType] = [
        Text(f"The wet recording is {found['delay_ms']:.3f} ms late and {turned}, "
             f"at {found['gain_db']:+.1f} dB.")
    ]  # fmt: skip
    if rows := fit.preset.describe():
        parts.append(settings_table(rows))
    else:
        parts.append(Text("Nothing was found that brings it nearer: the preset is empty."))
    report = fit.report
    parts.append(
        Text(f"Residual: {report['before']:.1f} dB of the wet sound before, "
             f"{report['gain_only']:.1f} dB with a gain alone, {report['after']:.1f} dB after.")
    )  # fmt: skip
    parts += [Text(note) for note in fitted.notes]
    written = [str(path) for path in (fitted.preset, fitted.render, fitted.plot) if path]
    parts.append(Text(f"Wrote {' and '.join(written)} in {fit.seconds:.1f} s."))
    return Group(*parts)


def settings_table(rows: Iterable[tuple[str, str]]) -> Table:
    """Effects that are on with their settings, as `Preset.describe` gives them."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    last = ""
    for effect, text in rows:
        table.add_row("" if effect == last else effect, text)
        last = effect
    return table


def _report_table(report: Mapping[str, Mapping[str, float]]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("distance to the reference", no_wrap=True, header_style="bold")
    table.add_column("before", justify="right", header_style="bold")
    table.add_column("after", justify="right", header_style="bold")
    for metric, values in report.items():
        name = _REPORT_NAMES.get(metric, metric)
        table.add_row(name, *(f"{values[when]:.4g}" for when in ("before", "after")))
    return table


def _alternatives_table(matched: Matched) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("alternative", "preset"):
        table.add_column(name, header_style="bold", overflow="fold")
    table.add_column("expected advantage", justify="right", header_style="bold")
    for path, other in zip(matched.alternatives, matched.match.alternatives, strict=True):
        table.add_row(other.name, str(path), f"{other.advantage:.3f} +- {other.doubt:.3f}")
    return table


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (str, int, bool)):
        return value
    return str(value)
