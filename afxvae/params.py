"""`Param`: the declaration of one knob, from which ranges, tables, options and sliders are derived.

A knob has a *setting* in its unit (dB, Hz, ms, ...) and a *control* in [0, 1], which is its
position. Both converters accept floats and torch tensors; importing this module costs no torch.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, overload

from .types import PresetError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Param"]


@dataclass(frozen=True)
class Param:
    """One knob.

    Attributes:
        name: Snake-case name with its unit as suffix, for example ``attack_ms``.
        unit: Unit as people read it, ``""`` when the value is a plain number.
        minimum: Smallest setting.
        maximum: Largest setting.
        default: Setting at which the knob does nothing, or its customary place.
        scale: ``"linear"`` or ``"log"``: how control positions spread over the range.
        help: One sentence for tables and tooltips.
        amount: True for knobs that scale how much an effect does; at their default nothing is done.
    """

    name: str
    unit: str
    minimum: float
    maximum: float
    default: float
    scale: Literal["linear", "log"] = "linear"
    help: str = ""
    amount: bool = False

    def __post_init__(self) -> None:
        if not self.minimum <= self.default <= self.maximum or self.minimum >= self.maximum:
            raise ValueError(
                f"{self.name}: default {self.default} outside the range or range empty"
            )
        if self.scale == "log" and self.minimum <= 0:
            raise ValueError(f"{self.name}: a logarithmic range must be positive")

    @overload
    def to_setting(self, control: float) -> float: ...
    @overload
    def to_setting(self, control: Tensor) -> Tensor: ...
    def to_setting(self, control: float | Tensor) -> float | Tensor:
        """Convert a knob position in [0, 1] to a value in the knob's unit.

        Positions outside [0, 1] count as the nearer end. Both ends are exact, and a tensor's
        gradient is alive on the whole closed range.

        >>> Param("freq_hz", "Hz", 20.0, 20000.0, 1000.0, "log").to_setting(0.0)
        20.0
        """
        if isinstance(control, (int, float)):
            if control <= 0.0 or control >= 1.0:
                return float(self.minimum if control <= 0.0 else self.maximum)
            return min(max(self._law(control), self.minimum), self.maximum)
        value = self._law(control.masked_fill(control < 0.0, 0.0).masked_fill(control > 1.0, 1.0))
        exact = value.detach().clamp(self.minimum, self.maximum)
        exact = exact.masked_fill(control <= 0.0, self.minimum)
        exact = exact.masked_fill(control >= 1.0, self.maximum)
        return value + (exact - value.detach())  # a clamp has no gradient where it acts

    @overload
    def _law(self, control: float) -> float: ...
    @overload
    def _law(self, control: Tensor) -> Tensor: ...
    def _law(self, control: float | Tensor) -> float | Tensor:
        if self.scale == "log":
            return self.minimum * (self.maximum / self.minimum) ** control
        return self.minimum + (self.maximum - self.minimum) * control

    @overload
    def to_control(self, setting: float) -> float: ...
    @overload
    def to_control(self, setting: Tensor) -> Tensor: ...
    def to_control(self, setting: float | Tensor) -> float | Tensor:
        """Convert a value in the knob's unit to a knob position in [0, 1].

        >>> Param("gain_db", "dB", -12.0, 12.0, 0.0).to_control(6.0)
        0.75
        """
        if self.scale == "log":
            span = math.log(self.maximum / self.minimum)
            if isinstance(setting, (int, float)):
                return math.log(setting / self.minimum) / span
            return (setting / self.minimum).log() / span
        return (setting - self.minimum) / (self.maximum - self.minimum)

    @property
    def default_control(self) -> float:
        """Knob position of the default, in [0, 1]."""
        return self.to_control(self.default)

    def check(self, value: object, where: str = "") -> float:
        """Return `value` as a float, or raise `PresetError` naming the allowed range and unit."""
        label = f"{where}{self.name}"
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise PresetError(f"{label} is {value!r}, but it must be a number.")
        if not self.minimum <= value <= self.maximum:  # also false for NaN
            unit = f" {self.unit}" if self.unit else ""
            raise PresetError(
                f"{label} is {value:g}{unit}, outside its range "
                f"{self.minimum:g} to {self.maximum:g}{unit}."
            )
        return float(value)

    def to_dict(self) -> dict[str, Any]:
        """The declaration as plain values, as stored in a model's ``config.json``."""
        return asdict(self)
