"""The program: its options, its errors and its exit code."""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated

import typer

from .. import __version__
from .output import say_error

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


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line, `sys.argv` if none is given, and return its exit code."""
    debug = bool(os.environ.get("AFXVAE_DEBUG"))
    command = typer.main.get_command(app)
    try:
        with warnings.catch_warnings(), _terminable():
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
        return say_error(error)


@contextmanager
def _terminable() -> Iterator[None]:
    """A request to end is an exit like others: what is unfinished is cleared away."""

    def end(number: int, frame: object) -> None:
        sys.exit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
