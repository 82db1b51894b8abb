"""Files of any kind: whether they can be written, and writing them whole or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from .types import UsageError

__all__ = ["check_writable", "kept_unless_done", "made_folder", "replacing"]


def check_writable(path: Path, overwrite: bool) -> None:
    """Raise unless a file can be written: for asking before the work is done.

    Raises:
        UsageError: `path` is a folder, or exists and `overwrite` is not set, or its folder is
            missing or not writable.
    """
    if path.is_dir():
        raise UsageError(f"{path} is a folder: the output must be a file.")
    if not path.parent.is_dir():
        raise UsageError(f"{path} cannot be written: there is no folder {path.parent}.")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise UsageError(f"{path} cannot be written: no permission to write in {path.parent}.")
    if path.exists() and not overwrite:
        raise UsageError(f"{path} already exists; use --overwrite to replace it.")


@contextmanager
def made_folder(path: Path) -> Iterator[None]:
    """Make a folder; what was made of it is gone if the context is left by an error.

    Raises:
        UsageError: It cannot be made.
    """
    made = [folder for folder in (path, *path.parents) if not folder.exists()]
    try:
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"{path} cannot be made a folder: {error.strerror}.") from error
        yield
    except BaseException:
        with suppress(OSError):
            for folder in made:
                folder.rmdir()
        raise


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary name beside `path`; what was written there becomes `path` at the end.

    `path` is either complete or untouched, and nothing is left behind. A link is followed.

    Raises:
        UsageError: the file cannot be written.
    """
    target = path.resolve()
    temporary = target.with_name(f".{secrets.token_hex(8)}{target.suffix}")
    try:
        yield temporary
        os.replace(temporary, target)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}.") from error
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def kept_unless_done(path: Path) -> Iterator[None]:
    """Leave a file as it was, or missing, if the context is left by an error."""
    with ExitStack() as opened:
        before = None
        if path.exists():
            before = opened.enter_context(tempfile.TemporaryFile(dir=path.resolve().parent))
            with path.open("rb") as file:
                shutil.copyfileobj(file, before)
        try:
            yield
        except BaseException:
            if before is None:
                path.unlink(missing_ok=True)
            else:
                before.seek(0)
                with path.open("wb") as file:
                    shutil.copyfileobj(before, file)
            raise
