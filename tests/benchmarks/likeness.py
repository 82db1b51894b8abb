"""How far off the filter between two dry clips is: by averages, where they sound alike, aligned.

python -m tests.benchmarks.likeness CORPUS/manifest.jsonl [crops]

Nothing was done to either clip, so whatever is found is wrong. Prints the mean and the median over
crops of the mean absolute error over the mel bands, for halves of a crop of the validation split.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch

from afxvae import AFXStyleVAE
from afxvae.data.corpus import load_manifest
from afxvae.data.crops import draw_crop
from afxvae.data.pools import clip_features, restore_log_mel
from afxvae.dsp.features import RUN_IN
from afxvae.dsp.likeness import filters_between


def error_db(curve: torch.Tensor) -> float:
    return float((curve - curve.median()).abs().mean())


@torch.no_grad()
def main() -> None:
    manifest, crops = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 60
    aligner = AFXStyleVAE.from_pretrained().aligner
    print("| kind | crops | averages: mean, median | alike: mean, median | aligned: mean, median |")
    print("|---|---|---|---|---|")
    every = [r for r in load_manifest(manifest) if r.split == "valid"]
    for kind in sorted({recording.kind for recording in every}):
        recordings = [r for r in every if r.kind == kind]
        rng, errors = np.random.default_rng(0), []
        while len(errors) < crops:
            halves = draw_crop(recordings[int(rng.integers(len(recordings)))], rng)
            if halves is None:
                continue
            mine, theirs = restore_log_mel(clip_features(halves[..., RUN_IN:])[0]).split(1)
            start = filters_between(mine, theirs)
            aligned = aligner(mine, theirs, start).curve_db[0]
            curves = (theirs - mine).mean((0, 1)), start[0].mean(0), aligned
            errors.append([error_db(curve) for curve in curves])
        columns = torch.tensor(errors).T
        cells = [f"{float(c.mean()):.1f} dB, {float(c.median()):.1f} dB" for c in columns]
        print(f"| {kind} | {crops} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
