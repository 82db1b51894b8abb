"""Run every check of the project, each with a heading and its time: ``python -m tests``.

All checks run, even after one has failed; the exit code is 0 only if none did. Select with
``--only``, which may be repeated: ``python -m tests --only pytest --only types``.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# The theme advertises another program at every build unless told not to.
ENVIRONMENT = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}


@dataclass(frozen=True)
class Check:
    """A command to run with this Python, and the modules without which it can not."""

    name: str
    command: tuple[str, ...]
    needs: tuple[str, ...]
    extra: str
    environment: Mapping[str, str] = field(default_factory=dict)

    def run(self) -> bool:
        """Run the command from the root of the repository; False if it fails or lacks a tool."""
        missing = [module for module in self.needs if importlib.util.find_spec(module) is None]
        if missing:
            print(
                f"{' and '.join(missing)} can not be imported: "
                f"pip install -e '.[{self.extra}]' installs what this check needs."
            )
            return False
        with tempfile.TemporaryDirectory(prefix="afxvae-tests-") as scratch:
            command = [part.format(scratch=scratch) for part in self.command]
            environment = {**ENVIRONMENT, **self.environment}
            process = subprocess.run(
                [sys.executable, *command], cwd=ROOT, env=environment, check=False
            )
        return process.returncode == 0


LINT_IMPORTS = "from importlinter.cli import lint_imports_command as lint; lint(['--no-cache'])"

CHECKS = (
    Check("format", ("-m", "ruff", "format", "--check", "."), ("ruff",), "dev"),
    Check("lint", ("-m", "ruff", "check", "."), ("ruff",), "dev"),
    Check("types", ("-m", "mypy", "--strict", "afxvae"), ("mypy",), "dev"),
    Check("imports", ("-c", LINT_IMPORTS), ("importlinter",), "dev"),
    Check(
        "pytest",
        ("-m", "pytest", "-n", "auto", "--dist", "loadfile"),
        ("pytest", "xdist", "hypothesis", "scipy", "pyloudnorm"),
        "dev",
        {"OMP_NUM_THREADS": "1"},  # each process has a core
    ),
    Check(
        "docs",
        ("-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", "{scratch}/site"),
        ("mkdocs", "material", "mkdocstrings", "mkdocstrings_handlers"),
        "docs",
    ),
)


def run_checks(checks: Sequence[Check]) -> int:
    """Run the checks in order, print a summary, and return the exit code."""
    lines: list[str] = []
    failed = 0
    for check in checks:
        print(f"\n=== {check.name}: {' '.join(check.command)}", flush=True)
        start = time.perf_counter()
        passed = check.run()
        failed += not passed
        seconds = time.perf_counter() - start
        lines.append(f"{'passed' if passed else 'FAILED'}  {check.name:<8} {seconds:7.1f} s")
        print(f"--- {lines[-1]}", flush=True)
    print("\n=== summary", *lines, sep="\n")
    print(f"checks: {len(checks) - failed} passed, {failed} failed", flush=True)
    return 1 if failed else 0


def main() -> int:
    """Parse the command line and run the selected checks."""
    parser = argparse.ArgumentParser(prog="python -m tests", description="Run the checks.")
    parser.add_argument(
        "--only",
        action="append",
        choices=[check.name for check in CHECKS],
        help="run this check only (may be repeated)",
    )
    only = parser.parse_args().only
    return run_checks([check for check in CHECKS if only is None or check.name in only])


if __name__ == "__main__":
    sys.exit(main())
