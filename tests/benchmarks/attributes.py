"""`afxvae.timbre` beside the models it re-implements: agreement and speed.

python -m tests.benchmarks.attributes MANIFEST [--original PYTHON] [--clips 348] [--values FILE]

Clips of 5 s come from recordings that trained nothing (valid and test), every other one treated
with random effects. The original, timbral_models 0.4, is run once by the interpreter PYTHON, which
takes about half an hour; its values stay in FILE, and later runs need only that. To install it:

    python -m venv original
    original/bin/pip install --no-deps timbral_models==0.4
    original/bin/pip install numpy scipy librosa pyloudnorm six soundfile scikit-learn
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import torch

from afxvae import audio
from afxvae.data.corpus import load_manifest
from afxvae.data.pairs import treat
from afxvae.data.treatments import random_treatments
from afxvae.dsp.features import RUN_IN, SAMPLE_RATE
from afxvae.effects import default_chain

_SECONDS = 5
_BATCH = 16


def clips(manifest: Path, count: int, splits: tuple[str, ...]) -> dict[str, torch.Tensor]:
    """Clips ``(time,)`` at 24 kHz by name; those with odd numbers are treated."""
    recordings = [
        r for r in load_manifest(manifest) if r.split in splits and r.seconds > 2 * _SECONDS
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


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.attributes")
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--original", metavar="PYTHON")
    parser.add_argument("--clips", type=int, default=348)
    parser.add_argument("--splits", default="valid,test")
    parser.add_argument("--values", type=Path, default=Path("attributes.original.json"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    made = clips(given.manifest, given.clips, tuple(given.splits.split(",")))
    if given.original:
        run_original(given.original, made, given.values)


if __name__ == "__main__":
    main()
