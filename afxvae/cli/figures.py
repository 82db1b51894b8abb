"""The command that draws what a model makes of recordings and known treatments."""

from __future__ import annotations

import sys

from .. import options as opt
from .app import app
from .output import bar, load_model, print_json

__all__ = ["figures"]


@app.command()
def figures(
    out: opt.OutFolder,
    files: opt.ShownFiles = None,
    manifest: opt.Manifest = None,
    split: opt.WhichSplit = opt.Split.test,
    only: opt.OnlyFigures = None,
    items: opt.Clips = 16,
    seed: opt.Seed = 0,
    form: opt.PictureFormat = opt.Picture.png,
    projection: opt.Projection = opt.Plane.pca,
    model: opt.Model = None,
    revision: opt.Revision = None,
    overwrite: opt.Overwrite = False,
    as_json: opt.AsJson = False,
    quiet: opt.Quiet = False,
) -> None:
    """Draw embeddings, latent, posterior, attributes and moves of clips with known treatments."""
    with bar("Drawing", quiet) as progress:
        from .. import jobs

        drawn = jobs.draw_figures(
            out,
            model=load_model(model, revision, opt.Device.cpu),
            files=files or (),
            manifest=manifest,
            split=split.value,
            only=only,
            items=items,
            seed=seed,
            form=form.value,
            projection=projection.value,
            overwrite=overwrite,
            progress=progress,
        )
    written = {name: str(path) for name, path in drawn.figures.items()}
    if as_json:
        print_json({"figures": written, "items": drawn.items, "recordings": drawn.recordings})
    elif not quiet:
        print(f"Wrote {', '.join(written.values())}.", file=sys.stderr)
