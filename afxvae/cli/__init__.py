"""The command line. The only room that prints; importing it loads no torch.

Results go to stdout or into files; everything said about them, progress and errors go to stderr.
An error is one sentence. Exit codes are those of `afxvae.types`; 1 is for some of several files
failed, or something unexpected; 130 for interrupted.
"""

from __future__ import annotations

from . import attributes, figures, matching, showing, training  # noqa: F401 - the commands
from .app import app, main

__all__ = ["app", "main"]
