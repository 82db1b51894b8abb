"""Draw docs/explanation/latent/*.png: what the bundled model makes of clips with known treatments.

python docs/make_latent_plots.py CORPUS/manifest.jsonl [--items 48] [--only NAME]... [--out FOLDER]

The clips are those of the test split, on which the model was not trained. The figures are those of
`afxvae figures --manifest CORPUS --items 48`, in fewer colours, and a UMAP beside the PCA.
"""

from __future__ import annotations

import argparse
from io import BytesIO
from pathlib import Path

import torch
from PIL import Image

from afxvae import AFXStyleVAE
from afxvae.evaluation.report import find_recordings
from afxvae.figures import DRAWINGS, as_bytes, draw
from afxvae.jobs.gathering import Gathering

FOLDER = Path(__file__).resolve().parent / "explanation" / "latent"
COLOURS = 128  # of a figure, to keep the files small
MOST_BYTES = 150_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--items", type=int, default=48)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", action="append", choices=tuple(DRAWINGS))
    parser.add_argument("--out", type=Path, default=FOLDER)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    names = arguments.only or list(DRAWINGS)
    tables = {name: DRAWINGS[name].table for name in names}
    gathering = Gathering(
        AFXStyleVAE.from_pretrained(),
        find_recordings(arguments.data, "test"),
        arguments.items,
        arguments.seed,
        tables.values(),
    )
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        write(arguments.out / f"{name}.png", as_bytes(draw(name, gathering.table(table)), "png"))
        if name == "embeddings":
            figure = draw(name, gathering.table(table), "umap", arguments.seed)
            write(arguments.out / f"{name}-umap.png", as_bytes(figure, "png"))


def write(path: Path, drawn: bytes) -> None:
    small = BytesIO()
    Image.open(BytesIO(drawn)).convert("RGB").quantize(COLOURS).save(small, "PNG", optimize=True)
    data = min(drawn, small.getvalue(), key=len)
    path.write_bytes(data)
    much = "  too large" if len(data) > MOST_BYTES else ""
    print(f"{path.name}  {len(data) / 1000:.0f} kB{much}", flush=True)


if __name__ == "__main__":
    main()
