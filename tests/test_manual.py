"""The manual finds the functions that compute an effect, and says what they say."""

from __future__ import annotations

import pytest

from afxvae import manual
from afxvae.effects import EFFECTS, Chain, Effect

CHAIN = Chain(EFFECTS)


def subjects(name: str) -> list[str]:
    return [passage.subject for passage in manual.computation(CHAIN[name])]


@pytest.mark.parametrize("effect", EFFECTS, ids=lambda effect: effect.name)
def test_every_effect_that_is_more_than_a_factor_is_explained(effect: Effect) -> None:
    passages = manual.computation(effect)
    assert bool(passages) == (effect.name != "gain")
    assert len({passage.subject for passage in passages}) == len(passages)
    for passage in passages:
        assert passage.subject.startswith("dsp.")
        assert passage.paragraphs
        assert not any("Args:" in text or "``" in text for text in passage.paragraphs)


def test_functions_are_found_directly_in_helpers_in_closures_and_by_reference() -> None:
    assert "dsp.dynamics.compress" in subjects("compressor")
    assert "dsp.dynamics.compression_curve" in subjects("compressor")
    assert "dsp.filters.peak" in subjects("eq")
    assert subjects("tremolo")[0].endswith(".tremolo")
    assert any(subject.count(".") == 1 for subject in subjects("compressor"))


def test_formulas_stay_indented_and_prose_flows() -> None:
    passages = {passage.subject: passage for passage in manual.computation(CHAIN["compressor"])}
    paragraphs = passages["dsp.dynamics"].paragraphs
    assert any(text.startswith("    y[n] = ") for text in paragraphs)
    assert all("\n" not in text for text in paragraphs if not text.startswith(" "))


def test_latency_is_said_in_samples_and_milliseconds() -> None:
    assert manual.latency(CHAIN["eq"]) == "It has no latency."
    late = CHAIN["limiter"].latency(48_000)
    assert f"{late} samples ({late / 48:.1f} ms)" in manual.latency(CHAIN["limiter"])
