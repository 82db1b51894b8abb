"""Write the card of a trained model: python make_card.py MODEL_FOLDER [evaluation.md]."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

from afxvae import AFXStyleVAE, __version__
from afxvae.hub import CARD_FILE, model_card

TRAINING = """Recordings from ordinary package registries, treated by random chains
(`examples/train_base_model/` has the recipe): 221,952 treated clips as features for the encoder,
seen as pairs with input from the same recording (P1) and from another one of the same kind (P2).
It was trained in seven legs: three on 103,680 clips at the recordings' own speed (135 and then
270 pools; in the first 135 the two halves of a crop had one colour), the fourth, 2,868 steps from
those weights with a new head, on 29,184 clips at speeds from .8 to 1.25, off half of which delay
and reverb had been taken. The fifth, 2,600 steps with a new head, saw 37,632 clips (98 pools) of
sources with stronger and smoother colours, some of them a little driven, compressed or in a room,
a third of the treatments by effects of another make; the sixth, 4,000 steps, these and 36,480
clips (95 pools) with twins, which were added while it ran; the seventh, 7,000 steps, these and at
last 14,976 more (39 pools). The conditional VAE learned from earlier pools, then 2,000 steps from
316 and 2,500 from 348: 98 and 127 of those two kinds, and 123 with fainter colours, in 55 of
which half of the inputs of P1 had gone through an equaliser of their own, as in the newer ones.
The refiner did the same, in the end 500 steps on 59,033 pairs of these pools; all with the
encoder's dropout on. The aligner learned from the dry halves of 11,000 crops, 600 steps of 24
pairs, then 2,700 steps from these and 37 pools (14,208 treated clips), 80 % of the pairs of one
source, and at last 2,400 steps, with the source to tell, from these and 97 pools, 60 % of the
pairs of one source, and 1,000 more with a range of 97 dB; then 2,100 on 6,000 other crops and
1,500 treated ones, two thirds of them as recorded, 1,200 on these with larger equalisers, on
inputs too, and 1,500 with 3,500 crops more, most of whose treatments are compressors; its log
odds of one source were then lowered by .4, to what they had been before these. The waveform
comparator learned, 20,000 steps, from 25,600 other crops, 5,637 of them of songs, with three
treatments of each half, and what it is worth beside the latent from 6,636 pairs of the validation
recordings. The judge learned from 4,992 pairs of these, with 37 % of the inputs through an
equaliser of their own; those of two sources, 27 %, counted three times. The typical sources are the
averages of 44,544 untreated clips of 12 kinds, embedded with the dropout on too. The critic learned
from the candidates of 2,816 pairs under earlier weights and of 736 pairs of the validation
recordings, then, 100 steps more, from those of 1,004 pairs of the training recordings under the
weights before these, stopped by 531 of the validation recordings. Stage 3 of the recipe, the audio
loss, was left out. None of the recordings is part of the weights or of the package."""


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
