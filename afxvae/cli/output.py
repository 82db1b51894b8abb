"""What commands share: a model when it is wanted, progress, and what is printed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from .. import options as opt

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ..jobs import Matched
    from ..models.style_vae import AFXStyleVAE

__all__ = ["bar", "load_model", "log", "print_json", "say_error", "show", "show_match"]


def say_error(error: Exception) -> int:
    """Print one sentence on stderr; return the exit code that belongs to it."""
    from .. import console

    code, text = console.explain(error)
    print(f"afxvae: {text}", file=sys.stderr)
    return code


def load_model(
    name: str | None, revision: str | None, device: opt.Device
) -> Callable[[], AFXStyleVAE]:
    """What loads the model, called once files and outputs are known to be usable."""
    from .. import jobs

    return lambda: jobs.load_model(name, revision, device.value)


def bar(doing: str, quiet: bool) -> AbstractContextManager[Callable[[int, int], None] | None]:
    """A bar on stderr, if that is a terminal; give a function to say how much is done."""
    if quiet or not sys.stderr.isatty():
        return nullcontext()
    from .. import console

    return console.progress_bar(doing)


def log(quiet: bool) -> Callable[[str], None]:
    """Where lines about the progress of long work go."""
    return (lambda line: None) if quiet else (lambda line: print(line, file=sys.stderr, flush=True))


def print_json(document: Any) -> None:
    """One document on stdout."""
    from .. import console

    print(console.json_text(document))


def show(renderable: RenderableType, stderr: bool = False) -> None:
    """A table or a page on the terminal."""
    from .. import console

    console.console(stderr).print(renderable)


def show_match(matched: Matched, as_json: bool, quiet: bool) -> None:
    """What was found, as JSON or for people."""
    from .. import console

    if as_json:
        print_json(console.match_document(matched))
    elif not quiet:
        show(console.match_summary(matched), stderr=True)
