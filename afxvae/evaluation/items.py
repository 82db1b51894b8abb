"""What is known about evaluated items."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from ..posterior import Knob
from .settings import SettingsError

__all__ = ["PROTOCOLS", "Evidence", "ItemResult", "ItemResults", "Protocol", "Verdict"]

Protocol: TypeAlias = Literal["P1", "P2"]
PROTOCOLS: tuple[Protocol, ...] = ("P1", "P2")


@dataclass(frozen=True)
class Evidence:
    """What the model believed about an item, beside what is true of it.

    Attributes:
        probability: By effect, that it is on, with what was measured.
        expected: Advantage of what was chosen, in MR-STFT; 0 for nothing.
        doubt: The critic's scale of doubt about that.
        distances: To the truth at matched loudness, were the critic's opinions moved by each of
            `afxvae.evaluation.evidence.SHIFTS`.
        untouched: Whether nothing would be done then, apart from the level.
        knobs: Of effects that were on and were found.
    """

    probability: dict[str, float]
    expected: float
    doubt: float
    distances: tuple[float, ...]
    untouched: tuple[bool, ...]
    knobs: tuple[Knob, ...]


@dataclass(frozen=True)
class Verdict:
    """What the model decided about an item.

    Attributes:
        choice: Name of the candidate.
        switches: By effect, whether it is on in the end; width and gain are not estimated.
        likely: By effect, whether the posterior mean gives it more than even odds.
        errors: Of the settings, see `afxvae.evaluation.settings`; none without a treatment.
        left_alone: Whether nothing was done, apart from the level.
        evidence: Of the last row of the model, on items with a random treatment.
    """

    choice: str
    switches: dict[str, bool]
    likely: dict[str, bool]
    errors: dict[str, SettingsError]
    left_alone: bool
    evidence: Evidence | None = None


@dataclass(frozen=True)
class ItemResult:
    """One item.

    Attributes:
        kind: Of its recording.
        switches: By effect, whether it was on; width and gain, which say nothing in mono at matched
            loudness, are left out.
        distances: To the truth, by row and column.
        verdicts: By row of the model.
    """

    kind: str
    switches: dict[str, bool]
    distances: dict[str, dict[str, float]]
    verdicts: dict[str, Verdict]

    @property
    def effects_on(self) -> int:
        """How many effects the treatment had."""
        return sum(self.switches.values())


@dataclass(frozen=True)
class ItemResults:
    """All items of a protocol.

    Attributes:
        protocol: `P1` or `P2`.
        seed: Of the items.
        rows: In the order of the tables.
        items: With random treatments.
        untouched: Additional items with no treatment at all, on which only the model was run.
    """

    protocol: Protocol
    seed: int
    rows: tuple[str, ...]
    items: list[ItemResult]
    untouched: list[ItemResult]

    def column(self, row: str, name: str) -> np.ndarray[Any, np.dtype[np.float64]]:
        """A column of a row, ``(item,)``."""
        return np.array([item.distances[row][name] for item in self.items])
