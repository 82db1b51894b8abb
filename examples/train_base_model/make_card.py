"""Write the card of a trained model: python make_card.py MODEL_FOLDER [evaluation.md]."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

from afxvae import AFXStyleVAE, __version__
from afxvae.hub import CARD_FILE, model_card

TRAINING = """Recordings from ordinary package registries, treated by random chains
(`examples/train_base_model/` has the recipe): 156,672 treated clips as features, seen as
pairs with input from the same recording (P1) and from another one of the same kind (P2). The
encoder was trained in four legs: three on 103,680 clips at the recordings' own speed (135 and
then 270 pools; in the first 135 the two halves of a crop had one colour), the fourth, 2,868
steps from those weights with a new head, on 29,184 clips at speeds from .8 to 1.25, off half
of which delay and reverb had been taken. The conditional VAE learned from those 29,184 clips,
and 900 steps more from 23,808 others (62 pools), a third of them by effects of another make,
noisy, narrow or coded one in ten each; the refiner from 21,920 pairs of the training
recordings, and 400 steps more from 11,600 pairs of those pools; then 1,000 and 500 steps from
103 pools, in 37 of which a quarter of all inputs had gone through an equaliser of their own,
and 900 and 450 steps from 121 pools (20,249 pairs), in 55 of which half of the inputs of P1
had; all with the encoder's dropout on. The verifier learned from the halves of 6,076 crops at
such speeds, 576 of them treated. The judge learned from 3,072 pairs of the validation
recordings and from 294 of P1 whose inputs had gone through an equaliser of their own. The
typical sources are the averages of 15,488 untreated clips of 12 kinds, embedded with the
dropout on too. The critic learned from the candidates of 2,816 pairs under earlier weights,
and then, 300 steps more, on 736 pairs of the validation recordings, from all settings of
three switches and from the candidates themselves. Stage 3 of the recipe, the audio loss, was
left out. A fifth leg of the encoder on the 62 pools was tried: its held-out losses rose after
1,000 steps, and it was not taken. None of the recordings is part of the weights or of the
package."""


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
