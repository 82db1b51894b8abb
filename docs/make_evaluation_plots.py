"""Make proofs.json of a results folder again, and draw docs/reference/evaluation/*.png from it.

python docs/make_evaluation_plots.py RESULTS [docs/reference/evaluation]

RESULTS is a folder that ``afxvae evaluate --out RESULTS`` filled.
"""

from __future__ import annotations

import sys
from pathlib import Path

from afxvae.evaluation.proofs import write_proofs
from afxvae.figures.proofs import draw_proofs

FOLDER = Path(__file__).resolve().parent / "reference" / "evaluation"

if __name__ == "__main__":
    results, *where = sys.argv[1:]
    for path in draw_proofs(write_proofs(Path(results)), Path(*where) if where else FOLDER):
        print(path)
