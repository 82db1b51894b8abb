"""`Wishes`: what a person may ask for in a match, checked before any work is done."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from .effects import Chain, default_chain
from .effects.modulation import RING_MODULATOR
from .ranges import (
    EFFORTS,
    LOUDEST_LUFS,
    MOST,
    MOST_ALTERNATIVES,
    MOST_MOVE,
    MOVES,
    QUIETEST_LUFS,
)
from .types import UsageError

__all__ = ["Wishes", "check_weight"]


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """How a match is to be made.

    Attributes:
        effort: ``"fast"``: the posterior mean, what was measured, or nothing; ``"normal"``: many;
            ``"high"``: the best of them refined by gradient too.
        loudness: Of the result: ``"reference"``, ``"keep"`` or a value in LUFS.
        seed: Of the samples drawn from the posterior.
        only: Names of the effects that may be used, or one text with commas between them; all if
            None. The gain at the end, which `loudness` is about, is always among them.
        without: Names of effects that may not be used, in the same way; not the gain.
        amount: How much of the treatment is applied, 0 to 1.5: 0 leaves the input as it is, 1 is
            the treatment as found, and in between and beyond the amounts of all effects move.
        alternatives: How many presets to make of the best candidates that were not chosen.
        move: By name of an attribute, how far to go on from what was found, -3 to 3 standard
            deviations of what random treatments do to it; see `afxvae.steering.LEVERS`.
        same_source: Whether both recordings are of one voice or instrument, in one place; judged
            by how they sound if None.

    Raises:
        UsageError: An unknown effort, loudness or effect, an amount, a number or a move out of
            range, or effects that contradict each other.
    """

    effort: str = "normal"
    loudness: str | float = "reference"
    seed: int = 0
    only: str | Iterable[str] | None = None
    without: str | Iterable[str] | None = None
    amount: float = 1.0
    alternatives: int = 0
    move: Mapping[str, float] = field(default_factory=dict)
    same_source: bool | None = None

    def __post_init__(self) -> None:
        if self.effort not in EFFORTS:
            raise UsageError(
                f"effort is {self.effort!r}, but it must be one of {', '.join(EFFORTS)}."
            )
        if isinstance(self.loudness, str):
            if self.loudness not in ("reference", "keep"):
                raise UsageError(
                    f"loudness is {self.loudness!r}, but it must be reference, keep or a LUFS "
                    "value."
                )
        elif not QUIETEST_LUFS <= self.loudness <= LOUDEST_LUFS:
            raise UsageError(
                f"loudness is {self.loudness:g} LUFS, outside its range {QUIETEST_LUFS:g} to "
                f"{LOUDEST_LUFS:g} LUFS."
            )
        if not 0.0 <= self.amount <= MOST:  # or not a number
            raise UsageError(
                f"amount is {100.0 * self.amount:g} %, outside its range 0 to {100.0 * MOST:g} %."
            )
        if self.alternatives not in range(MOST_ALTERNATIVES + 1):
            raise UsageError(
                f"alternatives is {self.alternatives}, outside its range 0 to {MOST_ALTERNATIVES}."
            )
        for name, distance in self.move.items():
            if name not in MOVES:
                raise UsageError(f"There is no {name!r} to move; there are {', '.join(MOVES)}.")
            if not abs(distance) <= MOST_MOVE:  # or not a number
                raise UsageError(
                    f"The move along {name} is {distance:g}, outside its range {-MOST_MOVE:g} to "
                    f"{MOST_MOVE:g}."
                )
        for which in ("only", "without"):
            object.__setattr__(self, which, _names(getattr(self, which)))
        self._check_effects()

    def allows(self, effect: str) -> bool:
        """Whether an effect may be used."""
        named = self.only is None or effect == "gain" or effect in self.only
        return named and effect not in (self.without or ())

    def wanted_lufs(self, mine: float, theirs: float) -> float:
        """Loudness of the result, if the input and the reference have these; in LUFS.

        A part of a treatment goes a part of the way to the reference; more than all of it, no
        further.
        """
        share = min(self.amount, 1.0)
        reference = share * theirs + (1.0 - share) * mine
        named = {"reference": reference, "keep": mine}.get(str(self.loudness))
        return float(self.loudness) if named is None else named

    def _check_effects(self) -> None:
        if self.only == ():
            raise UsageError("only names no effect, so there is nothing to match with.")
        both = [name for name in self.only or () if name in (self.without or ())]
        if both:
            raise UsageError(f"{both[0]} is both in only and in without: it can be in one of them.")
        if "gain" in (self.without or ()):
            raise UsageError(
                "gain can not be left out, as it keeps peaks from clipping; for the loudness of "
                "the input there is loudness keep."
            )


def check_weight(weight: float, name: str) -> float:
    """The weight of a reference called `name` beside others, a finite number above 0.

    Raises:
        UsageError: It is none.
    """
    if not (weight > 0.0 and math.isfinite(weight)):
        raise UsageError(f"The weight of {name} is {weight:g}, but it must be a number above 0.")
    return weight


def _names(given: str | Iterable[str] | None) -> tuple[str, ...] | None:
    """Names of effects as a tuple, once each; `UsageError` if one is unknown."""
    if given is None:
        return None
    parts = given.split(",") if isinstance(given, str) else given
    names = tuple(dict.fromkeys(name.strip() for name in parts))
    Chain((*default_chain().effects, RING_MODULATOR)).check_names(names)
    return names
