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


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "misspelt": ({"only": "eq,revreb"}, "no effect 'revreb'; there are reverb."),
    "not of the chain": ({"without": ["phaser"]}, "no effect 'phaser'; there are eq, "),
    "none": ({"only": []}, "only names no effect"),
    "blank": ({"without": " "}, "no effect ''; there are eq, "),
    "a gap": ({"only": "eq,,gain"}, "no effect ''; there are eq, "),
    "contradiction": ({"only": "eq,delay", "without": "delay"}, "delay is both in only and in"),
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
