"""Draw docs/reference/effects/NAME.png: what each effect does, and a guitar before and after it.

python docs/make_effect_plots.py [NAME...]

Every curve is measured from the sound that comes out.
"""

from __future__ import annotations

import sys
from io import BytesIO
from pathlib import Path

import matplotlib as mpl
from effect_panels import PANELS, RATE, picture, run, spectrogram
from make_effects_page import REFERENCE
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from PIL import Image
from torch import Tensor

from afxvae import audio
from afxvae.effects import EFFECTS, Effect

CLIP = Path(__file__).resolve().parent.parent / "afxvae" / "demo" / "guitar.flac"
CLIP_S = (3.3, 5.8)
COLOURS = 128  # of a figure, which keeps the files small


def legend(axes: Axes) -> None:
    texts = axes.get_legend_handles_labels()[1]
    if len(texts) == 2 and max(map(len, texts)) < 8:
        axes.legend(loc="upper center", ncols=2)
    elif texts:
        axes.legend(loc="best")


def figure(effect: Effect, clip: Tensor) -> bytes:
    """A PNG."""
    made, (law, *others) = plt.subplots(1, 3, figsize=(9, 2.6), layout="constrained")
    PANELS[effect.name](law, effect)
    legend(law)
    sounds, text = (clip, run(effect, clip)), ""
    if effect.name == "width":
        sounds, text = tuple((sound[:1] - sound[1:]) / 2 for sound in sounds), " (L − R)"
    levels = [spectrogram(sound[0]) for sound in sounds]
    top_db = max(float(level_db.max()) for level_db in levels)
    for axes, level_db, when in zip(others, levels, ("before", "after"), strict=True):
        picture(axes, level_db, CLIP_S[1] - CLIP_S[0], top_db, 70.0)
        axes.set_title(f"guitar, {when}{text}")
    drawn = BytesIO()
    made.savefig(drawn, dpi=100)
    plt.close(made)
    small = BytesIO()
    Image.open(drawn).convert("RGB").quantize(COLOURS).save(small, "PNG", optimize=True)
    return small.getvalue()


STYLE = {
    "font.size": 8, "axes.titlesize": 9, "legend.fontsize": 7, "axes.grid": True,
    "grid.color": "0.9", "axes.spines.top": False, "axes.spines.right": False,
    "legend.framealpha": 0.7,
}  # fmt: skip


def main(names: list[str]) -> None:
    mpl.use("Agg")
    sound, _ = audio.read(CLIP)
    clip = sound[:, round(CLIP_S[0] * RATE) : round(CLIP_S[1] * RATE)]
    folder = REFERENCE / "effects"
    folder.mkdir(exist_ok=True)
    total = 0
    with plt.rc_context(STYLE):
        for effect in EFFECTS:
            if not names or effect.name in names:
                data = figure(effect, clip)
                total += len(data)
                (folder / f"{effect.name}.png").write_bytes(data)
                print(f"{effect.name}.png  {len(data) / 1000:.0f} kB")
    print(f"{total / 1000:.0f} kB")


if __name__ == "__main__":
    main(sys.argv[1:])
