"""Write the card of a trained model: python make_card.py MODEL_FOLDER [evaluation.md]."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

from afxvae import AFXStyleVAE, __version__
from afxvae.hub import CARD_FILE, model_card

TRAINING = """Recordings from ordinary package registries, treated by random chains
(`examples/train_base_model/` has the recipe): 103,680 treated clips as features, seen as pairs
with input from the same recording (P1) and from another one of the same kind (P2); the encoder
in three legs, then the conditional VAE on frozen embeddings, then the critic on the candidates
of 2,816 pairs. Refiner and judge came after that and are not known to the critic: the refiner
learned from 20,192 pairs of the training recordings, two references to an input, 7 % of their
delays and reverbs left in; the judge from 1,792 pairs of the validation recordings. While the
encoder trained, its pools grew from 135 to 270 shards, and the first 135 were rendered before
the two halves of a crop were coloured differently. Stage 3 of the recipe, the audio loss, was
left out. None of the recordings is part of the weights or of the package."""


def main() -> None:
    folder = Path(sys.argv[1])
    model = AFXStyleVAE.from_folder(folder)
    lines = (Path(__file__).parent / "SOURCES.md").read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line[1:-1].split("|")] for line in lines if line[:1] == "|"]
    for before, row in itertools.pairwise(rows):
        row[0] = row[0] or before[0]
    card = model_card(
        identifier=model.identifier,
        version=__version__,
        checksum=model.checksum,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        sources=[(name, licence, used) for name, used, licence in rows[2:]],
        training=TRAINING,
        results=Path(sys.argv[2]).read_text(encoding="utf-8") if len(sys.argv) > 2 else "",
    )
    (folder / CARD_FILE).write_text(card, encoding="utf-8")


if __name__ == "__main__":
    main()
