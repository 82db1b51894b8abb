"""Commands that do something to recordings, or listen to them."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from .. import options as opt
from ..ranges import FIT_SECONDS, STEPS
from .app import app
from .output import bar, load_model, print_json, say_error, show, show_match

__all__ = ["apply", "demo", "embed", "fit", "interpolate", "match", "style"]


@app.command()
def match(
    input_path: opt.InputFile,
    reference_path: opt.ReferenceFile,
    also: opt.Also = None,
    output: opt.Output = None,
    preset: opt.PresetOutput = None,
    effort: opt.OneEffort = opt.Effort.normal,
    loudness: opt.Loudness = "reference",
    only: opt.Only = None,
    without: opt.Without = None,
    amount: opt.Amount = 100.0,
    move: opt.Move = None,
    same_source: opt.SameSource = None,
    alternatives: opt.Alternatives = 0,
    ab: opt.Comparison = False,
    report: opt.Report = None,
    model: opt.Model = None,
    revision: opt.Revision = None,
    seed: opt.Seed = 0,
    device: opt.OnDevice = opt.Device.auto,
    overwrite: opt.Overwrite = False,
    as_json: opt.AsJson = False,
    quiet: opt.Quiet = False,
) -> None:
    """Give INPUT the production of REFERENCE; write the result and the preset that did it."""
    with bar("Matching", quiet) as progress:
        from .. import jobs
        from ..wishes import Wishes

        wishes = Wishes(
            effort=effort.value,
            loudness=jobs.parse_loudness(loudness),
            seed=seed,
            only=",".join(only) if only else None,
            without=",".join(without) if without else None,
            amount=amount / 100.0,
            alternatives=alternatives,
            move=jobs.parse_moves(move or ()),
            same_source=same_source,
        )
        matched = jobs.match_files(
            input_path,
            reference_path,
            also=[jobs.parse_also(text) for text in also or ()],
            output=output,
            preset=preset,
            model=load_model(model, revision, device),
            wishes=wishes,
            ab=ab,
            report=report,
            overwrite=overwrite,
            progress=progress,
        )
    show_match(matched, as_json, quiet)


@app.command()
def style(
    reference_path: opt.StyledFile,
    output: opt.StyleOutput = None,
    overwrite: opt.Overwrite = False,
    as_json: opt.AsJson = False,
    quiet: opt.Quiet = False,
) -> None:
    """Keep what a match needs of REFERENCE in a file, to be used in its place."""
    with bar("Listening", quiet) as progress:
        from .. import console, jobs

        styled = jobs.style_file(
            reference_path, output=output, overwrite=overwrite, progress=progress
        )
    if as_json:
        print_json(console.style_document(styled))
    elif not quiet:
        print(console.style_summary(styled), file=sys.stderr)


@app.command()
def fit(
    dry_path: opt.DryFile,
    wet_path: opt.WetFile,
    output: opt.FittedPreset = None,
    render: opt.Rendered = None,
    plot: opt.Plot = None,
    seconds: opt.FitSeconds = FIT_SECONDS,
    model: opt.Model = None,
    revision: opt.Revision = None,
    seed: opt.Seed = 0,
    device: opt.OnDevice = opt.Device.auto,
    overwrite: opt.Overwrite = False,
    as_json: opt.AsJson = False,
    quiet: opt.Quiet = False,
) -> None:
    """Find the preset that made WET of DRY: the same recording, before and after processing."""
    with bar("Fitting", quiet) as progress:
        from .. import console, jobs

        fitted = jobs.fit_files(
            dry_path,
            wet_path,
            preset=output,
            render=render,
            plot=plot,
            model=load_model(model, revision, device),
            seconds=seconds,
            seed=seed,
            device=device.value,
            overwrite=overwrite,
            progress=progress,
        )
    if as_json:
        print_json(console.fit_document(fitted))
    elif not quiet:
        show(console.fit_summary(fitted), stderr=True)


@app.command()
def apply(
    preset_path: opt.PresetFile,
    input_path: opt.InputFile,
    output: opt.Output = None,
    device: opt.OnDevice = opt.Device.auto,
    overwrite: opt.Overwrite = False,
    as_json: opt.AsJson = False,
    quiet: opt.Quiet = False,
) -> None:
    """Run a preset on a recording, the one it was made for or any other."""
    with bar("Applying", quiet) as progress:
        from .. import console, jobs

        applied = jobs.apply_file(
            preset_path,
            input_path,
            output=output,
            device=device.value,
            overwrite=overwrite,
            progress=progress,
        )
    if as_json:
        print_json(console.apply_document(applied))
    elif not quiet:
        print(*applied.notes, f"Wrote {applied.output}.", sep="\n", file=sys.stderr)


@app.command()
def interpolate(
    input_path: opt.InputFile,
    a_path: opt.FirstPreset,
    b_path: opt.LastPreset,
    steps: opt.Steps = STEPS,
    output: opt.StepsFolder = None,
    render: opt.Render = True,
    same_loudness: opt.SameLoudness = False,
    device: opt.OnDevice = opt.Device.auto,
    overwrite: opt.Overwrite = False,
    as_json: opt.AsJson = False,
    quiet: opt.Quiet = False,
) -> None:
    """Write presets between the presets A and B, and INPUT through each of them."""
    with bar("Interpolating", quiet) as progress:
        from .. import console, jobs

        between = jobs.interpolate_files(
            input_path,
            a_path,
            b_path,
            steps=steps,
            folder=output,
            render=render,
            same_loudness=same_loudness,
            device=device.value,
            overwrite=overwrite,
            progress=progress,
        )
    if as_json:
        print_json(console.interpolate_document(between))
    elif not quiet:
        print(*between.notes, console.interpolate_summary(between), sep="\n", file=sys.stderr)


@app.command()
def embed(
    files: opt.AudioFiles,
    against: opt.Against = None,
    output: opt.EmbeddingOutput = None,
    model: opt.Model = None,
    revision: opt.Revision = None,
    device: opt.OnDevice = opt.Device.auto,
    overwrite: opt.Overwrite = False,
    as_json: opt.AsJson = False,
    quiet: opt.Quiet = False,
) -> None:
    """Print embeddings of recordings, or of treatments, as CSV, or write them to a file."""
    with bar("Embedding", quiet):
        from .. import embeddings

        if output is not None:
            embeddings.check_output(output, overwrite)
        loaded = load_model(model, revision, device)
        found, failures = embeddings.embed_files(files, loaded, against)
    for error in failures.values():
        say_error(error)
    if not found:
        raise typer.Exit(next(iter(failures.values())).exit_code)
    if output is not None:
        embeddings.write_embeddings(output, found)
    if as_json:
        failed = {name: str(error) for name, error in failures.items()}
        print_json({"embeddings": found, "failed": failed})
    elif output is None:
        print(embeddings.embeddings_csv(found), end="")
    raise typer.Exit(1 if failures else 0)


@app.command()
def demo(
    out: opt.OutFolder = Path("afxvae-demo"),
    device: opt.OnDevice = opt.Device.auto,
    overwrite: opt.Overwrite = False,
    as_json: opt.AsJson = False,
    quiet: opt.Quiet = False,
) -> None:
    """Do the main job on two bundled recordings; the results are in afxvae-demo/."""
    with bar("Matching", quiet) as progress:
        from .. import jobs

        model = load_model(None, None, device)
        matched = jobs.demo(out, model=model, overwrite=overwrite, progress=progress)
    show_match(matched, as_json, quiet)
    if not (as_json or quiet):
        from ..console import settings_table
        from ..presets import Preset

        print("\nThe reference had:", file=sys.stderr)
        show(settings_table(Preset.load(jobs.DEMO_TREATMENT).describe()), stderr=True)
