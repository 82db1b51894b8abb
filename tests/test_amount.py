"""How much of a treatment: nothing, a part of it, all of it, more."""

from __future__ import annotations

import itertools

import pytest
import torch

from afxvae.data.treatments import random_treatments
from afxvae.dsp.features import SAMPLE_RATE
from afxvae.effects import default_chain
from afxvae.evaluation.metrics import mr_stft
from afxvae.loudness import loudness_lufs, normalize_loudness
from afxvae.matching import Match
from afxvae.models.estimate import ESTIMATED
from afxvae.models.style_vae import AFXStyleVAE
from tests.sounds import sound, untrained

CHAIN = default_chain()
AMOUNTS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5)
PLAIN = -1.0  # without the option
UP_TO_WHOLE = AMOUNTS[:5]
CONTROLS, SWITCHES = random_treatments(CHAIN, 12, torch.Generator().manual_seed(0))


def lufs(audio: torch.Tensor) -> float:
    return float(loudness_lufs(audio.unsqueeze(0), SAMPLE_RATE))


def side_db(audio: torch.Tensor) -> float:
    mid, side = (audio[0] + audio[1]).norm(), (audio[0] - audio[1]).norm()
    return float(20.0 * torch.log10(side / mid))


# knobs


def test_all_of_it_is_it_and_none_of_it_does_nothing() -> None:
    audio = sound(1, 0.5).unsqueeze(0)
    on = {name: torch.ones(1, dtype=torch.bool) for name in CHAIN.names}
    for controls in CONTROLS:
        assert CHAIN.scaled(controls, 1.0) is controls
        none = CHAIN.to_settings(CHAIN.scaled(controls, 0.0).unsqueeze(0))
        assert torch.equal(CHAIN.process(audio, none, on, SAMPLE_RATE), audio)


def test_amounts_move_in_proportion_and_stay_in_their_range() -> None:
    defaults = CHAIN.default_controls()
    for share in AMOUNTS:
        moved = CHAIN.scaled(CONTROLS[0], share, but={"delay"})
        for (effect, param), was, default, now in zip(
            CHAIN.knobs, CONTROLS[0].tolist(), defaults.tolist(), moved.tolist(), strict=True
        ):
            wanted = default + share * (was - default) if param.amount else was
            wanted = was if effect == "delay" else min(max(wanted, 0.0), 1.0)
            assert now == pytest.approx(wanted, abs=1e-6)


def distances(controls: torch.Tensor, switches: torch.Tensor, amounts: tuple) -> list[float]:
    """Of the output to the input, by amount, at one loudness."""
    audio, _ = normalize_loudness(sound(1, 2.0).unsqueeze(0), SAMPLE_RATE, -23.0)
    on = dict(zip(CHAIN.names, switches.unsqueeze(1), strict=True))
    found = []
    for amount in amounts:
        settings = CHAIN.to_settings(CHAIN.scaled(controls, amount).unsqueeze(0))
        output = CHAIN.process(audio, settings, on, SAMPLE_RATE)
        output, _ = normalize_loudness(output, SAMPLE_RATE, -23.0)
        found.append(float(mr_stft(output[:, 0], audio[:, 0])))
    return found


@pytest.mark.parametrize("effect", ESTIMATED)
def test_more_of_an_effect_is_further_from_the_input(effect: str) -> None:
    switches = torch.tensor([name == effect for name in CHAIN.names])
    for controls in CONTROLS[:3]:
        found = distances(controls, switches, AMOUNTS)
        assert found[0] == pytest.approx(0.0, abs=1e-5)
        assert all(b > a - 1e-4 for a, b in itertools.pairwise(found)), found


def test_more_of_a_treatment_is_further_from_the_input_until_it_is_whole() -> None:
    """Beyond, effects may undo what others do: harmonics fill what a filter cut."""
    for controls, switches in zip(CONTROLS, SWITCHES, strict=True):
        found = distances(controls, switches, UP_TO_WHOLE)
        assert all(b > a - 1e-4 for a, b in itertools.pairwise(found)), found


# a match


@pytest.fixture(scope="module")
def by_amount(bold: AFXStyleVAE) -> dict[float, Match]:
    """Of a model that takes the posterior mean."""
    options = {
        "sample_rate": SAMPLE_RATE,
        "effort": "fast",
        "only": "eq,compressor,overdrive,width",
    }
    found = {a: bold.match(audio(), style(), amount=a, **options) for a in AMOUNTS}
    return found | {PLAIN: bold.match(audio(), style(), **options)}


def audio() -> torch.Tensor:
    middle, side = sound(3, 4.0), sound(4, 4.0)
    return 0.3 * torch.cat([middle + 0.3 * side, middle - 0.3 * side])


def style() -> torch.Tensor:
    middle, side = sound(5, 3.0), sound(6, 3.0)
    return 0.1 * torch.cat([middle + 0.8 * side, middle - 0.8 * side]).tanh()


def test_all_of_it_is_what_there_is_without_the_option(by_amount: dict[float, Match]) -> None:
    whole, plain = by_amount[1.0], by_amount[PLAIN]
    assert torch.equal(whole.audio, plain.audio)
    assert whole.preset == plain.preset
    assert whole.notes == plain.notes


def test_none_of_it_leaves_the_input(by_amount: dict[float, Match]) -> None:
    assert torch.equal(by_amount[0.0].audio, audio())
    assert by_amount[0.0].preset.is_empty
    assert "0 % of it applied." in by_amount[0.0].notes


def test_more_is_further_from_the_input(by_amount: dict[float, Match]) -> None:
    before = audio().mean(0, keepdim=True)
    found = [
        float(mr_stft(by_amount[amount].audio.mean(0, keepdim=True), before))
        for amount in UP_TO_WHOLE
    ]
    assert found[0] == 0.0
    assert all(b > a for a, b in itertools.pairwise(found)), found


def test_loudness_and_width_go_as_far_as_the_rest(by_amount: dict[float, Match]) -> None:
    before, after = lufs(audio()), lufs(style())
    narrow, wide = side_db(audio()), side_db(style())
    for amount in AMOUNTS:
        match = by_amount[amount]
        assert torch.equal(match.preset.apply(audio(), SAMPLE_RATE), match.audio)
        wanted = before + min(amount, 1.0) * (after - before)
        assert lufs(match.audio) == pytest.approx(wanted, abs=0.2)
        if amount <= 1.0:
            wanted = narrow + amount * (wide - narrow)
            assert side_db(match.audio) == pytest.approx(wanted, abs=1.5)


@pytest.mark.parametrize(("loudness", "wanted"), [("keep", None), (-30.0, -30.0)])
def test_loudness_that_is_named_is_not_a_matter_of_the_amount(
    loudness: str | float, wanted: float | None
) -> None:
    model = untrained(expectation=-1.0)
    match = model.match(
        audio(), style(), sample_rate=SAMPLE_RATE, amount=0.5, loudness=loudness, only="gain"
    )
    assert lufs(match.audio) == pytest.approx(wanted or lufs(audio()), abs=0.2)
