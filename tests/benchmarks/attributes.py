"""`afxvae.timbre` beside the models it re-implements: agreement and speed.

python -m tests.benchmarks.attributes MANIFEST [--original PYTHON] [--clips 320] [--values FILE]

Clips of 5 s come from recordings that trained nothing (valid and test), every other one treated
with random effects. The original, timbral_models 0.4, is run once by the interpreter PYTHON, which
takes about twenty minutes; its values stay in FILE, and later runs need only that. To install it:

    python -m venv original
    original/bin/pip install --no-deps timbral_models==0.4
    original/bin/pip install numpy scipy librosa pyloudnorm six soundfile scikit-learn
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from afxvae import audio
from afxvae.data.corpus import load_manifest
from afxvae.data.pairs import treat
from afxvae.data.treatments import random_treatments
from afxvae.dsp.features import RUN_IN, SAMPLE_RATE
from afxvae.effects import default_chain
from afxvae.timbre import ATTRIBUTES, attributes

_SECONDS = 5
_BATCH = 8
NAMES = list(ATTRIBUTES)[:8]


def clips(manifest: Path, count: int) -> dict[str, torch.Tensor]:
    """Clips ``(time,)`` at 24 kHz by name; those with odd numbers are treated."""
    recordings = [
        r for r in load_manifest(manifest) if r.split != "train" and r.seconds > 2 * _SECONDS
    ]
    rng, generator = np.random.default_rng(0), torch.Generator().manual_seed(0)
    chain = default_chain()
    controls, switches = random_treatments(chain, count, generator)
    order = [recordings[i] for i in rng.permutation(len(recordings))]
    made: dict[str, torch.Tensor] = {}
    for number in range(count):
        recording = order[(number // 2) % len(order)]
        length = _SECONDS * SAMPLE_RATE
        start = int(rng.integers(round(recording.seconds * SAMPLE_RATE) - length - RUN_IN))
        clip = audio.read_segment(recording.path, start, RUN_IN + length)[:1]
        if number % 2:
            rows = slice(number, number + 1)
            clip = treat(clip[None], chain, controls[rows], switches[rows])[0]
        else:
            clip = clip[:, RUN_IN:]
        if clip.shape[1] == length and float(clip.abs().max()) > 1e-3:
            made[f"{number:04d}-{recording.kind}-{Path(recording.path).stem}"] = clip[0]
    return made


def run_original(python: str, made: dict[str, torch.Tensor], values: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{name}.wav" for name in made]
        for path, clip in zip(paths, made.values(), strict=True):
            audio.write(path, clip[None], SAMPLE_RATE, subtype="FLOAT")
        script = str(Path(__file__).with_name("original_attributes.py"))
        one_core = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        subprocess.run([python, script, values, *paths], check=True, env=one_core)


def measure(made: dict[str, torch.Tensor]) -> tuple[dict[str, np.ndarray], float]:
    """Ours for each clip, and the seconds a second of audio takes: the eight, in batches."""
    rows: list[dict[str, torch.Tensor]] = []
    batches = [torch.stack(batch) for batch in batched(list(made.values()))]
    with torch.inference_mode():
        attributes(batches[0], SAMPLE_RATE, NAMES)  # caches and plans
        start = time.process_time()
        rows = [attributes(batch, SAMPLE_RATE, NAMES) for batch in batches]
        seconds = time.process_time() - start
    values = {name: torch.cat([row[name] for row in rows]).numpy() for name in NAMES}
    return values, seconds / (len(made) * _SECONDS)


def batched(items: list[torch.Tensor]) -> list[list[torch.Tensor]]:
    return [items[start : start + _BATCH] for start in range(0, len(items), _BATCH)]


def compare(made: dict[str, torch.Tensor], original: dict[str, dict[str, dict[str, float]]]) -> str:
    """Table of agreement, and a line about time."""
    made = {name: clip for name, clip in made.items() if name in original}
    ours, spent = measure(made)
    lines = ["| attribute | clips | r | mean error | largest | sd |", "|---|---|---|---|---|---|"]
    total = 0.0
    for name in NAMES:
        theirs = np.array([original[clip]["values"].get(name, np.nan) for clip in made])
        there = np.isfinite(theirs)
        mine, theirs = ours[name][there], theirs[there]
        error, r = np.abs(mine - theirs), np.corrcoef(mine, theirs)[0, 1]
        cells = f"{error.mean():.3f} | {error.max():.2f} | {theirs.std():.2f}"
        lines.append(f"| {name} | {len(mine)} | {r:.5f} | {cells} |")
        took = [original[clip]["seconds"].get(name) for clip in made]
        total += float(np.mean([value for value in took if value is not None])) / _SECONDS
    took = f"{1e3 * total:.0f} ms of processor time, ours {1e3 * spent:.1f} ms in batches"
    lines.append(f"\nThe original takes {took} of {_BATCH}, for a second of audio on one core:")
    return "\n".join([*lines, f"ours is {total / spent:.1f} times as fast."])


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.attributes",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--original", metavar="PYTHON", help="the interpreter that has it")
    parser.add_argument("--clips", type=int, default=320)
    parser.add_argument("--values", type=Path, default=Path("attributes.original.json"))
    given = parser.parse_args()
    if not given.original and not given.values.exists():
        parser.error(f"there is no {given.values}: --original PYTHON makes it.\n{__doc__}")
    torch.set_num_threads(1)
    made = clips(given.manifest, given.clips)
    if given.original:
        run_original(given.original, made, given.values)
    print(compare(made, json.loads(given.values.read_text())))


if __name__ == "__main__":
    main()
