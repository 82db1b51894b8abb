"""The job of `afxvae figures`: what a model makes of known treatments, in pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..files import kept_unless_done, made_folder, replacing
from ..types import UsageError
from .demo import DEMO_INPUT
from .parts import Progress, check_outputs

if TYPE_CHECKING:
    from ..data.corpus import Recording, Split
    from ..models.style_vae import AFXStyleVAE

__all__ = ["FEWEST_ITEMS", "Drawn", "draw_figures"]

FEWEST_ITEMS = 3
"""Clips of which anything can be shown."""


@dataclass(frozen=True)
class Drawn:
    """Figures that were written, by name, and of how many clips of how many recordings."""

    figures: dict[str, Path]
    items: int
    recordings: int


def draw_figures(
    folder: Path,
    *,
    model: Callable[[], AFXStyleVAE],
    files: Sequence[Path] = (),
    manifest: Path | None = None,
    split: Split = "test",
    only: Sequence[str] | None = None,
    items: int = 16,
    seed: int = 0,
    form: str = "png",
    projection: str = "pca",
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Drawn:
    """Treat clips of recordings, embed them, and draw; all figures are written or none.

    Args:
        folder: Where they go, made if need be; each has the name of its figure.
        model: Loads it, once all else is known to be usable.
        files: Clean recordings of any length; the guitar of the demo if there are none.
        manifest: A corpus, or a folder of recordings, in their place.
        split: Which recordings of the corpus.
        only: Names of figures, see `afxvae.figures.DRAWINGS`; all by default.
        items: Clips to draw, at least 3.
        seed: Of what is drawn at random.
        form: ``png``, ``svg`` or ``pdf``.
        projection: ``pca``, ``mds`` or ``umap``, for figures of embeddings.
        overwrite: Replace outputs that exist.
        progress: Told how much is done, and of how much.

    Raises:
        AfxError: anything that is wrong, in one sentence.
    """
    from .. import figures

    names = figures.figure_names(only)
    figures.check_matplotlib()
    figures.check_projection(projection)
    if items < FEWEST_ITEMS:
        raise UsageError(f"items is {items}, but at least {FEWEST_ITEMS} are needed.")
    recordings = _recordings(files, manifest, split)
    paths = {name: folder / f"{name}.{form}" for name in names}
    sources = {f"recording {place}": path for place, path in enumerate(files, 1)}
    with made_folder(folder), ExitStack() as kept:
        check_outputs({f"figure {name}": p for name, p in paths.items()}, sources, overwrite)
        from .gathering import Gathering

        tables = {name: figures.DRAWINGS[name].table for name in names}
        gathering = Gathering(model(), recordings, items, seed, tables.values(), progress)
        drawn = {
            name: figures.as_bytes(
                figures.draw(name, gathering.table(table), projection, seed), form
            )
            for name, table in tables.items()
        }
        for name, path in paths.items():
            kept.enter_context(kept_unless_done(path))
            with replacing(path) as unfinished:
                unfinished.write_bytes(drawn[name])
    return Drawn(paths, items, len(recordings))


def _recordings(files: Sequence[Path], manifest: Path | None, split: Split) -> list[Recording]:
    from ..evaluation.report import find_recordings
    from .gathering import recordings_of_files

    if manifest is None:
        return recordings_of_files(files or [DEMO_INPUT])
    if files:
        raise UsageError("Either recordings or --manifest can be given, not both.")
    return find_recordings(manifest, split)
