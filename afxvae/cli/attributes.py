"""The command that measures what recordings sound like."""

from __future__ import annotations

import typer

from .. import options as opt
from .app import app
from .output import bar, print_json, say_error, show

__all__ = ["attributes"]


@app.command()
def attributes(
    files: opt.AudioFiles,
    device: opt.OnDevice = opt.Device.auto,
    as_json: opt.AsJson = False,
    quiet: opt.Quiet = False,
) -> None:
    """Measure brightness, warmth, roughness and other attributes of recordings."""
    from .. import tables

    with bar("Measuring", quiet) as progress:
        from .. import jobs

        found, failures = jobs.measure_files(files, device.value, progress)
    for error in failures.values():
        say_error(error)
    if not found:
        raise typer.Exit(next(iter(failures.values())).exit_code)
    if as_json:
        failed = {name: str(error) for name, error in failures.items()}
        print_json({"attributes": found, "failed": failed})
    else:
        show(tables.attributes_tables(found))
    raise typer.Exit(1 if failures else 0)
