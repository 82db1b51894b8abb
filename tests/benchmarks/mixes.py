"""Which recordings are mixes, by their style embeddings: fit afxvae/mixes.json, and see how well.

python -m tests.benchmarks.mixes CORPUS/manifest.jsonl [--crops 3] [--out afxvae/mixes.json]

Crops of all recordings, each as it is and behind one random treatment; fitted to the training
split, tried on the others. The table has the share of crops taken for a mix, by kind.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from afxvae import AFXStyleVAE
from afxvae.data.corpus import Recording, load_manifest
from afxvae.data.crops import draw_crop
from afxvae.data.pairs import group_numbers, treat
from afxvae.data.treatments import random_treatments
from afxvae.evaluation.linear import LinearProbe
from afxvae.models.mixes import MIXES_FILE, write_mixes

_MIX = "mix"
_SPLITS = ("train", "valid", "test")


@torch.no_grad()
def embed_crops(
    model: AFXStyleVAE, recordings: list[Recording], crops: int, seed: int
) -> tuple[Tensor, list[Recording]]:
    """Style embeddings ``(crop, 2, embedding)``, untreated and treated, and whose they are."""
    rng, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    found, whose = [], []
    for recording in recordings:
        for _ in range(crops):
            halves = draw_crop(recording, rng)
            if halves is None:
                continue
            controls, switches = random_treatments(model.chain, 2, generator)
            switches[0] = False
            both = treat(halves[:1].expand(2, -1, -1), model.chain, controls, switches)
            found.append(model.embed_clips(both[:, 0]))
            whose.append(recording)
    return torch.stack(found), whose


def table(shares: dict[str, tuple[Tensor, list[Recording]]]) -> str:
    """Shares taken for a mix, by split and kind."""
    lines = ["| split | kind | crops | untreated | treated |", "|---|---|---|---|---|"]
    for split, (taken, whose) in shares.items():
        kinds = np.array([one.kind for one in whose])
        for kind in sorted(set(kinds)):
            own = taken[torch.from_numpy(kinds == kind)]
            plain, treated = own.double().mean(0).tolist()
            lines.append(f"| {split} | {kind} | {len(own)} | {plain:.0%} | {treated:.0%} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--crops", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=MIXES_FILE)
    given = parser.parse_args()
    torch.set_num_threads(1)
    model = AFXStyleVAE.from_pretrained()
    recordings = load_manifest(given.manifest)
    drawn = {}
    for number, split in enumerate(_SPLITS):
        own = [one for one in recordings if one.split == split]
        drawn[split] = embed_crops(model, own, given.crops, given.seed + number)
    features, whose = drawn["train"]
    labels = torch.tensor([one.kind == _MIX for one in whose]).long().repeat_interleave(2)
    groups = group_numbers([one.group for one in whose]).repeat_interleave(2)
    probe = LinearProbe(features.flatten(0, 1), labels, groups)
    weight = (probe.weight[:, 1] - probe.weight[:, 0]) / probe.scale
    bias = float(probe.bias[1] - probe.bias[0] - probe.mean @ weight)
    write_mixes(weight, bias, model.checksum, given.out)
    print(table({s: (f.double() @ weight + bias > 0.0, w) for s, (f, w) in drawn.items()}))


if __name__ == "__main__":
    main()
