"""Tables of what there is: effects, models, and what recordings sound like.

Nothing here prints, and nothing here needs torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Group, RenderableType
from rich.markdown import Markdown
from rich.table import Table
from rich.text import Text

from . import manual

if TYPE_CHECKING:
    from .effects import Effect
    from .hub import ModelInfo
    from .params import Param

__all__ = [
    "attributes_tables",
    "effect_pages",
    "effects_table",
    "model_document",
    "models_table",
]

_ATTRIBUTE_UNITS = {"reverberation": "probability", "decay": "s", "modulation": "dB"}


def effects_table(effects: Iterable[Effect]) -> Table:
    """Every effect in a sentence, and the names of its knobs."""
    table = Table(box=box.SIMPLE, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("effect", no_wrap=True)
    table.add_column("does", ratio=2)
    table.add_column("knobs", ratio=3)
    for effect in effects:
        knobs = ", ".join(param.name for param in effect.params)
        table.add_row(effect.name, effect.help, knobs, end_section=True)
    return table


def effect_pages(effects: Iterable[Effect]) -> RenderableType:
    """What there is to know about effects: knobs, latency, how they are computed."""
    page = Table.grid()
    for effect in effects:
        page.add_row(Text(f"{effect.name}: {effect.help}", style="bold"))
        page.add_row(_knobs_table(effect.params))
        page.add_row("* With these at their defaults it does nothing, wherever the others stand.")
        page.add_row(manual.latency(effect))
        for passage in manual.computation(effect):
            text = "\n\n".join((f"**{passage.subject}**", *passage.paragraphs))
            page.add_row(Text())
            page.add_row(Markdown(text))
        page.add_row(Text())
    return page


def _knobs_table(params: Iterable[Param]) -> Table:
    table = Table(box=box.SIMPLE, pad_edge=False, padding=(0, 1, 0, 0))
    for name in ("knob", "unit"):
        table.add_column(name, no_wrap=True)
    for name in ("minimum", "maximum", "default"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("scale", no_wrap=True)
    table.add_column("does", overflow="fold")
    for param in params:
        table.add_row(
            param.name + (" *" if param.amount else ""),
            param.unit,
            *(f"{value:g}" for value in (param.minimum, param.maximum, param.default)),
            param.scale,
            param.help,
        )
    return table


def attributes_tables(found: Mapping[str, Mapping[str, float]]) -> RenderableType:
    """Attributes of recordings, a column each; a table for every four of them."""
    rows = list(found.items())
    return Group(*(_attributes_table(dict(rows[i : i + 4])) for i in range(0, len(rows), 4)))


def _attributes_table(found: Mapping[str, Mapping[str, float]]) -> Table:
    table = Table(box=box.SIMPLE, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("attribute", no_wrap=True)
    table.add_column("unit", no_wrap=True)
    for name in found:
        table.add_column(name, justify="right", overflow="fold")
    for attribute in next(iter(found.values()), {}):
        unit = _ATTRIBUTE_UNITS.get(attribute, "points")
        digits = 1 if unit == "points" else 2
        cells = (f"{values[attribute]:.{digits}f}" for values in found.values())
        table.add_row(attribute, unit, *cells)
    return table


def model_document(model: ModelInfo) -> dict[str, Any]:
    """A model as `models --json` prints it."""
    return {**asdict(model), "folder": str(model.folder)}


def models_table(models: Sequence[ModelInfo], bundled: Path) -> Table:
    """Models at hand, one row each."""
    table = Table(box=box.SIMPLE, pad_edge=False, padding=(0, 1, 0, 0))
    for name in ("model", "version", "size", "licence", "checksum", "where"):
        table.add_column(name, no_wrap=name != "where", overflow="fold")
    for model in models:
        where = "bundled with afxvae" if model.folder == bundled else str(model.folder)
        size = f"{model.bytes / 1e6:.1f} MB"
        table.add_row(model.name, model.version, size, model.licence, model.checksum[:16], where)
    return table
