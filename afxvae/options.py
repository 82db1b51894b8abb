"""Arguments and options that commands share, and the words that some of them take.

Whether a file can be read is left to the room that reads it, which knows the exit code.
"""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from .ranges import FEWEST_STEPS, MOST, MOST_ALTERNATIVES, MOST_STEPS


class Effort(str, Enum):
    """How much work a match may be."""

    fast = "fast"
    normal = "normal"
    high = "high"


class Device(str, Enum):
    """Where to compute."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"
    mps = "mps"


class Protocol(str, Enum):
    """How the pairs of an evaluation are made."""

    P1 = "P1"
    P2 = "P2"
    P5 = "P5"


class Split(str, Enum):
    """Recordings of a corpus that are measured."""

    valid = "valid"
    test = "test"


class Picture(str, Enum):
    """Formats of figures."""

    png = "png"
    svg = "svg"
    pdf = "pdf"


class Plane(str, Enum):
    """Ways from many dimensions to two."""

    pca = "pca"
    mds = "mds"
    umap = "umap"


InputFile = Annotated[
    Path, typer.Argument(metavar="INPUT", help="The recording to change.", readable=False)
]
ReferenceFile = Annotated[
    Path,
    typer.Argument(
        metavar="REFERENCE",
        help="The recording whose style is wanted, or its .style file.",
        readable=False,
    ),
]
DryFile = Annotated[
    Path, typer.Argument(metavar="DRY", help="The recording as it was.", readable=False)
]
WetFile = Annotated[
    Path, typer.Argument(metavar="WET", help="The same recording, processed.", readable=False)
]
StyledFile = Annotated[
    Path,
    typer.Argument(metavar="REFERENCE", help="The recording whose style to keep.", readable=False),
]
PresetFile = Annotated[
    Path, typer.Argument(metavar="PRESET", help="A preset, as match writes it.", readable=False)
]
FirstPreset = Annotated[
    Path, typer.Argument(metavar="A", help="The preset to begin with.", readable=False)
]
LastPreset = Annotated[
    Path, typer.Argument(metavar="B", help="The preset to end with.", readable=False)
]
AudioFiles = Annotated[
    list[Path], typer.Argument(metavar="FILE...", help="Recordings.", readable=False)
]
ShownFiles = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="FILE",
        help="Clean recordings; the guitar of the demo, if none are given.",
        readable=False,
    ),
]
CorpusConfig = Annotated[
    Path, typer.Argument(metavar="CONFIG", help="TOML that names packages and splits.")
]
Names = Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="All, if not given.")]
ModelNames = Annotated[
    list[str] | None,
    typer.Argument(metavar="[MODEL]...", help="Folders, or owner/name in the cache of the Hub."),
]

Output = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="The result.",
        readable=False,
        show_default="INPUT-stem.matched.wav",
    ),
]
PresetOutput = Annotated[
    Path | None,
    typer.Option(
        "--preset",
        metavar="FILE",
        help="The preset.",
        readable=False,
        show_default=".afx.json beside the result",
    ),
]
StyleOutput = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="The style.",
        readable=False,
        show_default="REFERENCE-stem.style beside REFERENCE",
    ),
]
FittedPreset = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="The preset.",
        readable=False,
        show_default="DRY-stem.afx.json beside DRY",
    ),
]
Rendered = Annotated[
    Path | None,
    typer.Option("--render", metavar="FILE", help="For DRY through the preset.", readable=False),
]
Plot = Annotated[
    Path | None,
    typer.Option(
        "--plot", metavar="FILE", help="For the spectra of the null test.", readable=False
    ),
]
FitSeconds = Annotated[
    float, typer.Option("--seconds", min=1.0, help="Processor time that the search may take.")
]
EmbeddingOutput = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help="A .csv, .json or .npz.",
                 show_default="CSV on stdout"),
]  # fmt: skip
Against = Annotated[
    Path | None,
    typer.Option("--against", metavar="INPUT", show_default="nothing", readable=False,
                 help="Embed what was done to each FILE and not to INPUT."),
]  # fmt: skip
OutFolder = Annotated[Path, typer.Option("--out", metavar="DIR", help="Where results go.")]
StepsFolder = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FOLDER",
        help="Where results go.",
        show_default="INPUT-stem.steps beside INPUT",
    ),
]
Steps = Annotated[
    int,
    typer.Option(
        "--steps", metavar="K", help=f"Presets with A and B, {FEWEST_STEPS} to {MOST_STEPS}."
    ),
]
Render = Annotated[
    bool, typer.Option("--render/--no-render", help="Write INPUT through every preset too.")
]
SameLoudness = Annotated[
    bool, typer.Option("--same-loudness", help="Bring what is rendered to one loudness.")
]
ReportFolder = Annotated[
    Path | None, typer.Option("--out", metavar="DIR", help="For results as JSON and Markdown.")
]
Downloads = Annotated[
    Path | None,
    typer.Option("--downloads", metavar="DIR", help="For archives.", show_default="OUT/downloads"),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")]

OneEffort = Annotated[
    Effort,
    typer.Option("--effort", help="One pass, several candidates, or the best of these refined."),
]
Loudness = Annotated[
    str,
    typer.Option("--loudness", metavar="keep|reference|LUFS", help="Loudness of the result."),
]
Also = Annotated[
    list[str] | None,
    typer.Option(
        "--also",
        metavar="FILE[:WEIGHT]",
        help="Another reference or .style, and its weight beside REFERENCE; may be repeated.",
        show_default="none",
    ),
]
Only = Annotated[
    list[str] | None,
    typer.Option(
        "--only",
        metavar="EFFECT,...",
        help="Effects that may be used; the loudness is a matter of --loudness.",
        show_default="all",
    ),
]
Without = Annotated[
    list[str] | None,
    typer.Option(
        "--without",
        metavar="EFFECT,...",
        help="Effects that may not be used.",
        show_default="none",
    ),
]
Amount = Annotated[
    float,
    typer.Option(
        "--amount",
        metavar="PERCENT",
        help=f"How much of what is found to do, 0 to {100.0 * MOST:g}.",
    ),
]
SameSource = Annotated[
    bool | None,
    typer.Option(
        "--same-source/--other-source",
        help="Whether both are of one voice or instrument.",
        show_default="judged by their sound",
    ),
]
Move = Annotated[
    list[str] | None,
    typer.Option(
        "--move",
        metavar="NAME=NUMBER",
        help="Go on from what is found, e.g. brightness=+0.5 standard deviations; repeatable.",
    ),
]
Alternatives = Annotated[
    int,
    typer.Option(
        "--alternatives",
        metavar="K",
        help=f"Presets of the next best candidates to write, 0 to {MOST_ALTERNATIVES}.",
    ),
]
Report = Annotated[
    Path | None,
    typer.Option("--report", metavar="FILE", help="What was done, as .html, .png, .svg or .pdf."),
]
Comparison = Annotated[
    bool, typer.Option("--ab", help="Write before and after at one loudness: .a.wav and .b.wav.")
]
Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="MODEL",
        help="A folder, or owner/name on the Hugging Face Hub.",
        show_default="the bundled model",
    ),
]
Revision = Annotated[
    str | None, typer.Option("--revision", help="Branch, tag or commit of a model on the Hub.")
]
OnDevice = Annotated[Device, typer.Option("--device", help="Where to compute.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Of whatever is drawn at random.")]
Workers = Annotated[int, typer.Option("--workers", min=1, help="Processes to use.")]

Data = Annotated[
    Path,
    typer.Option("--data", metavar="PATH", help="A folder of dry audio, or what corpus wrote."),
]
PoolFolder = Annotated[
    Path | None,
    typer.Option("--pool", metavar="DIR", help="Shards of a training, to judge the latent by."),
]
TrainConfig = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="TOML that changes defaults.")
]
Items = Annotated[int, typer.Option("--items", min=1, help="Pairs for each protocol.")]
Protocols = Annotated[
    list[Protocol] | None,
    typer.Option("--protocol", help="May be repeated.", show_default="P1 and P2"),
]
Rows = Annotated[
    list[str] | None,
    typer.Option(
        "--row", metavar="NAME", help="As the tables call it; may be repeated.", show_default="all"
    ),
]
Manifest = Annotated[
    Path | None,
    typer.Option(
        "--manifest",
        metavar="PATH",
        help="In place of files: a folder of dry audio, or what corpus wrote.",
    ),
]
OnlyFigures = Annotated[
    list[str] | None,
    typer.Option(
        "--only", metavar="NAME", help="A figure; may be repeated.", show_default="all of them"
    ),
]
Clips = Annotated[int, typer.Option("--items", min=3, help="Clips to draw of the recordings.")]
PictureFormat = Annotated[Picture, typer.Option("--format", help="Of the figures.")]
Projection = Annotated[
    Plane, typer.Option("--projection", help="Of embeddings; umap needs umap-learn.")
]
WhichSplit = Annotated[Split, typer.Option("--split", help="Of the corpus.")]
WhichKind = Annotated[
    str | None,
    typer.Option("--kind", help="Of the corpus, mix for songs.", show_default="all but mixes"),
]
