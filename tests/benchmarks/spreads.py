"""How sure the knobs are: fit afxvae/spreads.json to items of held-out recordings.

afxvae evaluate --data CORPUS --split valid --items 500 --row "ours (normal)" --out VALID
python -m tests.benchmarks.spreads VALID [--out afxvae/spreads.json]

Never fit to the test split: it is there to show whether the distributions hold. Cross-validated:
half of the items say whether a fit to the other half is calibrated, which is printed beside the
same for the latent's samples and for the spreads that are in use.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from afxvae.effects import default_chain
from afxvae.evaluation.proofs import knobs_of, prove, read_items
from afxvae.posterior import SPREADS_FILE, write_spreads


def summary(proofs: dict[str, Any], part: str) -> str:
    """Mean over knobs of how often the truth was within the central 80 %, and of the deviation."""
    found = [knob[part] for proof in proofs.values() for knob in proof["knobs"].values()
             if knob[part]]  # fmt: skip
    if not found:
        return "nothing"
    within = sum(f["within"]["0.8"] for f in found) / len(found)
    largest = sum(f["largest"] for f in found) / len(found)
    off = sum(f["p"] < 0.05 / len(found) for f in found)
    return f"{within:.0%} within 80 %, largest deviation {largest:.2f}, {off} of {len(found)} off"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("results", type=Path)
    parser.add_argument("--out", type=Path, default=SPREADS_FILE)
    given = parser.parse_args()
    lines = read_items(given.results)
    described = json.loads((given.results / "evaluation.json").read_text(encoding="utf-8"))
    if described["data"]["split"] == "test":
        parser.error("these are results of the test split, which is not to be fitted to")
    checksum = described["model"]["checksum"]
    chain = default_chain()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "half.json"
        half = write_spreads(knobs_of(lines[::2]), chain, checksum, path)
    unseen = lines[1::2]
    print(f"latent's samples: {summary(prove(unseen), 'latent')}")
    print(f"spreads in use: {summary(prove(unseen), 'calibrated')}")
    print(f"fitted to the other half: {summary(prove(unseen, half), 'calibrated')}")
    table = write_spreads(knobs_of(lines), chain, checksum, given.out)
    fitted = {how: len(table[how]) for how in ("estimated", "measured")}
    print(f"{given.out}: {table['knobs']} truths, fitted knobs {fitted}")


if __name__ == "__main__":
    main()
