"""What the figures of a model are drawn from: plain arrays, see `afxvae.jobs.figures`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from numpy.typing import NDArray

__all__ = ["Array", "Interpolated", "Knob", "Moved", "Posteriors", "Treated"]

Array: TypeAlias = NDArray[Any]


@dataclass(frozen=True)
class Knob:
    """Where one knob of an effect stood.

    Attributes:
        label: What it is, without its unit.
        unit: Or the range of a plain number.
        log: Whether its range is logarithmic.
        settings: In its unit ``(item of this effect,)``.
    """

    label: str
    unit: str
    log: bool
    settings: Array


@dataclass(frozen=True)
class Treated:
    """Clips with one effect on each, or none.

    Attributes:
        clean: Style embeddings of the clips ``(clip, embedding)``.
        sources: What each clip is of ``(clip,)``.
        treated: Style embeddings of what the effects made of them ``(item, embedding)``.
        difference: Between another clip of the recording, clean, and that ``(item, difference)``.
        latent: Posterior means of the same ``(item, latent)``.
        effects: Name of the effect of each item ``(item,)``, ``"nothing"`` for none.
        knobs: By name of an effect, one of its knobs; items in their order.
        changes: By name of an attribute, what it is after the effect less before ``(item,)``.
    """

    clean: Array
    sources: tuple[str, ...]
    treated: Array
    difference: Array
    latent: Array
    effects: tuple[str, ...]
    knobs: dict[str, Knob]
    changes: dict[str, Array]


@dataclass(frozen=True)
class Posteriors:
    """What a VAE makes of pairs with random treatments.

    Attributes:
        mean: Of the posteriors ``(item, latent)``.
        log_var: ``(item, latent)``.
        difference: Standardised difference embeddings ``(item, difference)``.
        reconstructed: What is decoded of the means ``(item, difference)``.
    """

    mean: Array
    log_var: Array
    difference: Array
    reconstructed: Array


@dataclass(frozen=True)
class Moved:
    """What moves of treatments did to measured attributes.

    Attributes:
        names: Of what was moved.
        measured: Names of the attributes.
        steps: How far it was moved ``(step,)``, 0 among them.
        changes: Of the attributes from no move ``(item, name, step, attribute)``, in standard
            deviations of what random treatments change.
    """

    names: tuple[str, ...]
    measured: tuple[str, ...]
    steps: Array
    changes: Array


@dataclass(frozen=True)
class Interpolated:
    """Mel spectrograms of one clip through treatments between two.

    Attributes:
        rows: Names of the ways from the one to the other.
        columns: Names of the steps.
        pictures_db: ``(row, column, mel, frame)``, the loudest of each at 0.
        mel_hz: Centres of the bands ``(mel,)``.
        seconds: Length of the pictures.
        source: What the clip is of.
    """

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    pictures_db: Array
    mel_hz: Array
    seconds: float
    source: str
