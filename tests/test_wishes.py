"""What may be asked for in a match, and what is said of the rest."""

from __future__ import annotations

from typing import Any

import pytest

from afxvae.types import UsageError
from afxvae.wishes import Wishes


def test_everything_is_allowed_unless_something_is_asked_for() -> None:
    assert Wishes().allows("reverb")
    assert Wishes().allows("gain")
    assert Wishes(without=[]).allows("reverb")


def test_only_and_without_restrict_the_effects() -> None:
    """The gain, which the loudness is about, is always there."""
    wishes = Wishes(only="eq, compressor,eq", without=["reverb"])
    assert wishes.only == ("eq", "compressor")
    names = ("eq", "compressor", "overdrive", "reverb", "width", "gain")
    allowed = [name for name in names if wishes.allows(name)]
    assert allowed == ["eq", "compressor", "gain"]
    wishes = Wishes(without=iter(["reverb", "width"]))
    assert [name for name in names if not wishes.allows(name)] == ["reverb", "width"]


def test_a_part_of_a_treatment_goes_a_part_of_the_way_to_the_reference() -> None:
    for amount, lufs in ((0.0, -30.0), (0.25, -27.5), (1.0, -20.0), (1.5, -20.0)):
        assert Wishes(amount=amount).wanted_lufs(-30.0, -20.0) == lufs
        assert Wishes(amount=amount, loudness="keep").wanted_lufs(-30.0, -20.0) == -30.0
        assert Wishes(amount=amount, loudness=-16).wanted_lufs(-30.0, -20.0) == -16.0


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "misspelt": ({"only": "eq,revreb"}, "no effect 'revreb'; there are reverb."),
    "not of the chain": ({"without": ["phaser"]}, "no effect 'phaser'; there are eq, "),
    "none": ({"only": []}, "only names no effect"),
    "blank": ({"without": " "}, "no effect ''; there are eq, "),
    "a gap": ({"only": "eq,,gain"}, "no effect ''; there are eq, "),
    "contradiction": ({"only": "eq,delay", "without": "delay"}, "delay is both in only and in"),
    "too much": ({"amount": 2.0}, "amount is 200 %, outside its range 0 to 150 %."),
    "less than nothing": ({"amount": -0.01}, "amount is -1 %, outside its range"),
    "no amount": ({"amount": float("nan")}, "amount is nan %, outside its range"),
    "alternatives": ({"alternatives": 21}, "alternatives is 21, outside its range 0 to 20."),
    "fewer than none": ({"alternatives": -1}, "alternatives is -1, outside its range 0 to 20."),
    "a part of one": ({"alternatives": 2.5}, "alternatives is 2.5, outside its range 0 to 20."),
    "too far": (
        {"move": {"brightness": -3.5}},
        "along brightness is -3.5, outside its range -3 to 3.",
    ),
    "no number": (
        {"move": {"decay": float("nan")}},
        "The move along decay is nan, outside its range",
    ),
    "without gain": ({"without": "gain"}, "gain can not be left out"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_makes_no_sense_is_said_in_a_sentence(case: str) -> None:
    wishes, words = BAD[case]
    with pytest.raises(UsageError) as caught:
        Wishes(**wishes)
    assert words in str(caught.value)
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)
