"""A peer on the same items: matchering, where it is installed.

Matchering (https://github.com/sergree/matchering) filters a recording to the average spectrum of
another and sets its level. Its licence is the GPL, so it runs in a process of its own and nothing
of it is imported here.
"""

from __future__ import annotations

import atexit
import functools
import importlib.util
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from torch import Tensor

from ..audio import read, resample, write
from ..types import check_shape

__all__ = ["matchering", "matchering_installed"]

_RATE = 44100
"""The only rate that matchering is tested at, Hz."""
_FULL_SCALE = (2**15 - 61) / 2**15  # to which it brings peaks
_SCRIPT = """
import sys
import matchering
for line in sys.stdin:
    target, reference, out = line.rstrip("\\n").split("\\t")
    try:
        result = matchering.Result(out, "FLOAT", use_limiter=False, normalize=False)
        matchering.process(target, reference, [result])
        print("done", flush=True)
    except Exception:
        print("failed", flush=True)
"""


def matchering_installed() -> bool:
    """Whether there is a matchering to run."""
    return importlib.util.find_spec("matchering") is not None


def matchering(x: Tensor, reference: Tensor, sample_rate: int) -> Tensor:
    """`x` as matchering matches it to `reference`, shape as given.

    Without its limiter, as the truth has none; inside, references are at full scale, which is taken
    back here, as it does behind its limiter. It works at 44.1 kHz, so what goes through it is
    resampled there and back. Where it gives up (on silence, say) `x` comes back as it was.

    Args:
        x: ``(batch, channel, time)``, one or two channels.
        reference: ``(batch, channel, time)``.
        sample_rate: Of both, in Hz.
    """
    check_shape("x", x, "batch channel time")
    check_shape("reference", reference, "batch channel time")
    done = [_one(*pair, sample_rate) for pair in zip(x, reference, strict=True)]
    return torch.stack(done)


def _one(x: Tensor, reference: Tensor, sample_rate: int) -> Tensor:
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{name}.wav" for name in ("target", "reference", "out")]
        target, wanted = (resample(sound, sample_rate, _RATE) for sound in (x, reference))
        for path, sound in zip(paths, (target, wanted), strict=False):
            write(path, sound, _RATE, subtype="FLOAT")
        if not _ask(_process(), paths):
            return x
        sound, _ = read(paths[-1])
    gain = min(1.0, float(wanted.abs().max()) / _FULL_SCALE)
    back = gain * resample(sound, _RATE, sample_rate)[:, : x.shape[1]]
    back = back if len(x) > 1 else back.mean(0, keepdim=True)
    return torch.nn.functional.pad(back, (0, x.shape[1] - back.shape[1]))


def _ask(process: subprocess.Popen[str], paths: list[Path]) -> bool:
    """Whether it is done; a process that has died is forgotten, and the next is a new one."""
    if process.stdin is None or process.stdout is None:
        return False
    try:
        process.stdin.write("\t".join(str(path) for path in paths) + "\n")
        process.stdin.flush()
        answer = process.stdout.readline()
    except OSError:
        answer = ""
    if not answer:
        _forget(process)
    return answer.strip() == "done"


def _forget(process: subprocess.Popen[str]) -> None:
    _process.cache_clear()
    atexit.unregister(_end)
    _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


@functools.lru_cache(maxsize=1)
def _process() -> subprocess.Popen[str]:
    """One that stays, since its imports take seconds."""
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", _SCRIPT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    atexit.register(_end, process)
    return process
