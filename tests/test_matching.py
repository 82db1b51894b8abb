"""`match` with models that have learned nothing: what must hold whatever the weights are."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch

from afxvae import Preset
from afxvae.decision import RING_ONLY, decide
from afxvae.dsp.features import CLIP_SAMPLES, RUN_IN, SAMPLE_RATE
from afxvae.effects import default_chain
from afxvae.loudness import true_peak
from afxvae.matching import Match
from afxvae.measure import Ring
from afxvae.models.estimate import ESTIMATED
from afxvae.models.style_vae import AFXStyleVAE
from afxvae.types import AudioError, UsageError
from tests.sounds import lufs, sound, untrained

QUICK = ("fast", "normal")  # the refinement of "high" has tests of its own


@pytest.fixture(autouse=True)
def nothing_is_feigned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models here believe what they are told to, between a recording and itself too."""
    monkeypatch.setattr("afxvae.models.pair.feigned_odds", lambda own, _: 0.0 * own)


@pytest.fixture(scope="module")
def reference() -> torch.Tensor:
    return 0.5 * sound(5, 3.0).clamp(-0.05, 0.05)


def same(one: Match, other: Match) -> bool:
    return (
        torch.equal(one.audio, other.audio)
        and one.preset == other.preset
        and one.candidates == other.candidates
        and one.report == other.report
        and one.decision == other.decision
    )


@pytest.mark.parametrize("effort", QUICK)
def test_same_inputs_give_the_same_output(
    effort: str, bold: AFXStyleVAE, reference: torch.Tensor
) -> None:
    audio = sound(1, 4.0)
    torch.manual_seed(1)
    first = bold.match(audio, reference, sample_rate=SAMPLE_RATE, effort=effort)
    torch.manual_seed(2)
    state = torch.get_rng_state()
    again = bold.match(audio.numpy(), reference.numpy(), sample_rate=SAMPLE_RATE, effort=effort)
    assert same(first, again)
    assert torch.equal(torch.get_rng_state(), state)  # nothing is drawn from the common generator


def test_samples_follow_the_seed(reference: torch.Tensor) -> None:
    model, audio = untrained(), sound(1, 4.0)
    model.vae.head.last.bias.data[-len(ESTIMATED) :] = 5.0
    drawn = [
        model.match(audio, reference, sample_rate=SAMPLE_RATE, seed=seed).candidates
        for seed in (0, 0, 1)
    ]
    assert drawn[0] == drawn[1]
    assert drawn[0] != drawn[2]


def test_inputs_are_left_alone(bold: AFXStyleVAE, reference: torch.Tensor) -> None:
    audio = sound(2, 2.0, channels=2)
    before, style = audio.clone(), reference.clone()
    bold.match(audio, reference, sample_rate=SAMPLE_RATE, effort="fast")
    assert torch.equal(audio, before)
    assert torch.equal(reference, style)


@pytest.mark.parametrize(
    ("rate", "channels", "seconds", "reference_rate"),
    [
        (SAMPLE_RATE, 1, 6.0, None),
        (44100, 2, 3.0, SAMPLE_RATE),
        (96000, 2, 1.0, 44100),
        (8000, 3, 1.0, SAMPLE_RATE),
        (44100, 1, 0.13, 8000),
    ],
)
def test_output_has_the_form_of_the_input_and_the_preset_gives_it_back(
    rate: int,
    channels: int,
    seconds: float,
    reference_rate: int | None,
    bold: AFXStyleVAE,
    tmp_path: Path,
) -> None:
    audio = sound(3, seconds, rate, channels)
    style = 0.3 * sound(6, 2.0, reference_rate or rate, 2).tanh()
    match = bold.match(audio, style, sample_rate=rate, reference_rate=reference_rate, effort="fast")
    assert match.audio.shape == audio.shape
    assert match.audio.dtype == torch.float32
    assert bool(torch.isfinite(match.audio).all())
    assert match.decision.startswith("posterior mean")
    assert all(match.preset.switches[name] for name in ESTIMATED if name != "delay")
    assert torch.equal(match.preset.apply(audio, rate), match.audio)
    match.preset.save(tmp_path / "a.afx.json")
    loaded = Preset.load(tmp_path / "a.afx.json")
    assert loaded == match.preset
    assert torch.equal(loaded.apply(audio.numpy(), rate), match.audio)
    again = Preset.from_dict(json.loads(json.dumps(match.preset.to_dict())))
    assert torch.equal(again.apply(audio, rate), match.audio)


def test_preset_says_who_made_it_and_where_it_was_analysed(
    bold: AFXStyleVAE, reference: torch.Tensor
) -> None:
    """The first effect hears the analysis loudness, however hot the file is."""
    presets = []
    for gain in (0.2, 1.0):
        audio = gain * sound(1, 3.0)
        match = bold.match(audio, reference, sample_rate=SAMPLE_RATE, effort="fast")
        assert match.preset.model == bold.identifier
        assert match.preset.model_checksum == bold.checksum
        heard = lufs(audio, SAMPLE_RATE) + match.preset.input_gain_db
        assert heard == pytest.approx(-23.0, abs=0.01)
        presets.append(match.preset)
    quiet, loud = presets
    assert quiet.input_gain_db - loud.input_gain_db == pytest.approx(13.979, abs=0.01)
    for effect in ESTIMATED:
        assert quiet.settings[effect] == pytest.approx(loud.settings[effect], rel=1e-3)


def test_the_loudness_reported_is_that_of_the_files(
    bold: AFXStyleVAE, reference: torch.Tensor
) -> None:
    """Two equal channels are 3 LU louder than one of them, and than their mean."""
    both = sound(1, 3.0).expand(2, -1)
    match = bold.match(both, reference, sample_rate=SAMPLE_RATE)
    apart = abs(lufs(match.audio, SAMPLE_RATE) - lufs(reference, SAMPLE_RATE))
    assert match.report["loudness_lu"]["after"] == pytest.approx(apart, abs=0.02)
    before = abs(lufs(both, SAMPLE_RATE) - lufs(reference, SAMPLE_RATE))
    assert match.report["loudness_lu"]["before"] == pytest.approx(before, abs=0.02)


def test_report_and_candidates_say_what_was_done(
    bold: AFXStyleVAE, reference: torch.Tensor
) -> None:
    match = bold.match(sound(1, 3.0), reference, sample_rate=SAMPLE_RATE)
    assert set(match.report) == {"mfcc", "centroid_hz", "crest_db", "loudness_lu"}
    for values in match.report.values():
        assert set(values) == {"before", "after"}
    assert match.report["loudness_lu"]["after"] < 0.5
    assert match.candidates[0] == {
        "name": "nothing",
        "advantage": 0.0,
        "doubt": 0.0,
        "chosen": False,
    }
    assert [row["name"] for row in match.candidates if row["chosen"]] == [match.decision]
    assert "spectrum only" in {row["name"] for row in match.candidates}
    assert match.seconds > 0.0
    assert match.real_time_factor == pytest.approx(match.seconds / 3.0, abs=1e-3)
    assert match.posterior is not None
    assert match.posterior.mean.shape == (1, 16)


# leaving it alone


def test_nothing_is_done_where_nothing_is_expected_to_help(timid: AFXStyleVAE) -> None:
    """With the loudness kept the input comes back bit for bit, and the preset is empty."""
    audio = sound(1, 3.0, channels=2)
    match = timid.match(audio, sound(2, 3.0), sample_rate=SAMPLE_RATE, loudness="keep")
    assert match.decision == "nothing"
    assert match.preset.is_empty
    assert torch.equal(match.audio, audio)
    assert all(values["before"] == values["after"] for values in match.report.values())


def test_only_the_loudness_may_remain_to_be_matched(timid: AFXStyleVAE) -> None:
    audio = sound(1, 3.0)
    match = timid.match(audio, 0.1 * sound(2, 3.0), sample_rate=SAMPLE_RATE, effort="fast")
    assert match.decision == "loudness only"
    assert [name for name, on in match.preset.switches.items() if on] == ["gain"]
    gain = match.preset.settings["gain"]["gain_db"]
    torch.testing.assert_close(match.audio, audio * 10 ** (gain / 20))


# choosing


def test_a_ring_modulator_is_all_that_is_done_where_there_is_one(bold: AFXStyleVAE) -> None:
    audio, reference = sound(1, 6.0), Ring(1700.0, 1.0, 1.0).process(sound(2, 6.0))
    found = bold.match(audio, reference, sample_rate=SAMPLE_RATE)
    assert found.decision == RING_ONLY
    on = {name for name, switch in found.preset.switches.items() if switch} - {"gain"}
    assert on == {"ring_modulator"}
    assert found.preset.settings["ring_modulator"]["carrier_hz"] == pytest.approx(1700.0, abs=0.2)
    torch.testing.assert_close(found.audio, found.preset.apply(audio, SAMPLE_RATE))
    half = bold.match(audio, reference, sample_rate=SAMPLE_RATE, amount=0.5)
    whole = found.preset.settings["ring_modulator"]["mix"]
    assert half.preset.settings["ring_modulator"]["mix"] == pytest.approx(0.5 * whole, rel=1e-5)
    without = bold.match(audio, reference, sample_rate=SAMPLE_RATE, without="ring_modulator")
    assert without.decision != RING_ONLY


def test_a_critic_that_expects_harm_refuses() -> None:
    audio, style = sound(1, 2.0), sound(2, 2.0).tanh()
    for expectation, name in ((0.1, "posterior mean"), (-0.1, "loudness only")):
        careful = untrained(expectation)
        match = careful.match(audio, 0.2 * style, sample_rate=SAMPLE_RATE, effort="fast")
        assert match.decision.startswith(name)


# what is known of the sources


def test_what_a_person_knows_of_the_sources_is_believed() -> None:
    model = untrained()
    model.aligner.source[-1].bias.data -= 5.0  # it doubts that it is one
    clips = sound(1, 7.0)[None, :, : RUN_IN + CLIP_SAMPLES]
    wanted = sound(6, 6.0)[:, :CLIP_SAMPLES]
    judged, same, other = (
        decide(model, clips, wanted, {}, same_source=known) for known in (None, True, False)
    )
    assert 0.0 < judged.same_source < 1.0
    assert (same.same_source, other.same_source) == (1.0, 0.0)
    assert same.caution == 0.0 < judged.caution < other.caution
    assert other.inferred.pair.verified < judged.inferred.pair.verified
    assert judged.inferred.pair.verified < same.inferred.pair.verified


@pytest.mark.parametrize("known", [None, True, False])
def test_a_recording_that_was_left_alone_asks_about_the_sources(known: bool | None) -> None:
    careful = untrained(-1.0)
    careful.aligner.source[-1].bias.data -= 5.0
    given = {"sample_rate": SAMPLE_RATE, "effort": "fast", "same_source": known}
    match = careful.match(sound(1, 3.0), 0.5 * sound(5, 3.0), **given)
    assert match.decision == ("posterior mean" if known else "loudness only")
    assert any("--same-source" in note for note in match.notes) == (known is None)
    assert torch.equal(match.preset.apply(sound(1, 3.0), SAMPLE_RATE), match.audio)


# what may be used


@pytest.mark.parametrize("effort", QUICK)
def test_what_is_not_allowed_is_off(
    effort: str, bold: AFXStyleVAE, reference: torch.Tensor
) -> None:
    audio, style = sound(3, 4.0, channels=2), torch.cat([reference, 0.8 * reference])
    free = bold.match(audio, style, sample_rate=SAMPLE_RATE, effort=effort)
    every = {"only": default_chain().names, "without": []}
    whole = bold.match(audio, style, sample_rate=SAMPLE_RATE, effort=effort, **every)
    assert same(free, whole)
    used = {name for name, on in free.preset.switches.items() if on}
    assert used >= {"eq", "compressor", "reverb", "width", "gain"}
    for options, left in (
        ({"only": "eq, compressor"}, {"eq", "compressor", "gain"}),
        ({"only": ["width", "reverb"]}, {"width", "reverb", "gain"}),
        ({"without": "reverb,width"}, used - {"reverb", "width"}),
        ({"only": ["gain"]}, {"gain"}),
    ):
        match = bold.match(audio, style, sample_rate=SAMPLE_RATE, effort=effort, **options)
        on = {name for name, switch in match.preset.switches.items() if switch}
        assert on <= left
        assert on == left or effort == "normal"
        assert torch.equal(match.preset.apply(audio, SAMPLE_RATE), match.audio)
    assert match.decision == "loudness only"


# what else might be done


def test_alternatives_are_whole_presets_of_the_next_best_candidates(
    bold: AFXStyleVAE, reference: torch.Tensor
) -> None:
    audio = sound(1, 4.0, channels=2)
    options = {"sample_rate": SAMPLE_RATE, "loudness": -30.0}
    plain = bold.match(audio, reference, **options)
    match = bold.match(audio, reference, **options, alternatives=3)
    assert same(plain, match)
    assert plain.alternatives == []
    rows = [row for row in match.candidates[1:] if not row["chosen"]]
    ranked = sorted(rows, key=lambda row: -row["advantage"])[:3]
    assert [one.name for one in match.alternatives] == [row["name"] for row in ranked]
    assert [one.advantage for one in match.alternatives] == [row["advantage"] for row in ranked]
    presets = [match.preset, *(one.preset for one in match.alternatives)]
    for place, preset in enumerate(presets):
        assert preset not in presets[:place]
        assert preset.model_checksum == bold.checksum
        output = preset.apply(audio, SAMPLE_RATE)
        assert lufs(output, SAMPLE_RATE) == pytest.approx(-30.0, abs=0.2)
        assert float(true_peak(output.unsqueeze(0))) < 1.0


def test_alternatives_that_are_not_there_are_not_made_up(
    bold: AFXStyleVAE, timid: AFXStyleVAE, reference: torch.Tensor
) -> None:
    options = {"sample_rate": SAMPLE_RATE, "effort": "fast", "alternatives": 3}
    match = bold.match(sound(1, 3.0), reference, **options)
    names = sorted(one.name for one in match.alternatives)
    assert names == ["measured effects only", "what is almost certain"]
    said = "Alternatives: 2, as no more were weighed; effort fast weighs few candidates."
    assert said in match.notes
    refused = timid.match(sound(1, 3.0), reference, **options)
    assert [one.name for one in refused.alternatives] == ["posterior mean"]


# what cannot be done


def fails(
    model: AFXStyleVAE,
    kind: type[Exception],
    words: str,
    audio: torch.Tensor,
    style: torch.Tensor,
    **options: object,
) -> None:
    with pytest.raises(kind, match=words) as caught:
        model.match(audio, style, **{"sample_rate": SAMPLE_RATE, **options})
    assert "\n" not in str(caught.value)


def test_recordings_that_cannot_be_used_are_refused(timid: AFXStyleVAE) -> None:
    good, bad = sound(1, 1.0), sound(1, 1.0)
    bad[0, 500] = math.nan
    for audio, words in (
        (torch.zeros(2, SAMPLE_RATE), "is silent"),
        (bad, "not finite"),
        (bad.nan_to_num(math.inf), "not finite"),
        (good[:, :1200], r"too short: 0\.050 s"),
        (good[:, :0], "too short"),
    ):
        fails(timid, AudioError, f"The input .*{words}", audio, good)
        fails(timid, AudioError, f"The reference .*{words}", good, audio)


def test_what_makes_no_sense_is_refused(timid: AFXStyleVAE) -> None:
    one, other = sound(1, 1.0), sound(2, 1.0)
    fails(timid, UsageError, "The reference is the input itself", one, one.clone())
    fails(timid, UsageError, "effort is 'huge'", one, other, effort="huge")
    fails(timid, UsageError, "loudness is 'loud'", one, other, loudness="loud")
    for value in (1.0, -61.0, math.nan, math.inf):
        fails(timid, UsageError, "outside its range -60 to 0 LUFS", one, other, loudness=value)
    fails(timid, UsageError, "must have the shape", one.unsqueeze(0), other)
    fails(timid, UsageError, "Sample rates must be positive", one, other, sample_rate=-1)
