"""Presets: what is saved is what is applied, and what is wrong is said in one sentence."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from afxvae import Preset, default_chain
from afxvae.effects import EFFECTS
from afxvae.types import PresetError, UsageError

RATE = 24000
CHAIN = default_chain()


def sound(channels: int = 2, seconds: float = 0.4, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 0.1 * torch.randn(channels, round(seconds * RATE), generator=generator)


def everything_on(position: float = 0.4) -> Preset:
    controls = torch.full((1, len(CHAIN.knobs)), position)
    on = {name: torch.ones(1, dtype=torch.bool) for name in CHAIN.names}
    return Preset.from_tensors(CHAIN.to_settings(controls), on, input_gain_db=-3.2100009)


def everything_off(**rest: str) -> Preset:
    return Preset(switches=dict.fromkeys(CHAIN.names, False), **rest)


def test_the_empty_preset_gives_back_the_same_samples() -> None:
    audio = sound()
    done = Preset().apply(audio, RATE)
    assert Preset().is_empty
    assert torch.equal(done, audio)
    assert done.data_ptr() != audio.data_ptr()  # altering the one leaves the other


def test_effects_that_are_off_change_nothing_whatever_their_settings() -> None:
    values = everything_on().to_dict()
    values["input_gain_db"] = 0.0
    for effect in values["effects"]:
        effect["on"] = False
    preset = Preset.from_dict(values)
    assert torch.equal(preset.apply(sound(), RATE), sound())
    assert preset.settings == everything_on().settings


def test_a_saved_preset_is_the_same_preset_and_renders_the_same_samples(tmp_path: Path) -> None:
    preset = everything_on()
    preset.save(tmp_path / "a.afx.json")
    loaded = Preset.load(tmp_path / "a.afx.json")
    assert loaded == preset
    assert torch.equal(loaded.apply(sound(), RATE), preset.apply(sound(), RATE))


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(0, 1, width=32), min_size=len(CHAIN.knobs), max_size=len(CHAIN.knobs)))
def test_every_knob_position_survives_json(positions: list[float]) -> None:
    on = {name: torch.tensor([True]) for name in CHAIN.names}
    preset = Preset.from_tensors(CHAIN.to_settings(torch.tensor([positions])), on)
    assert Preset.from_dict(json.loads(json.dumps(preset.to_dict()))) == preset


def test_apply_is_the_input_gain_and_then_the_chain() -> None:
    preset = everything_on()
    knobs, on = preset.to_tensors()
    louder = sound() * 10 ** (preset.input_gain_db / 20)
    expected = CHAIN.process(louder[None], knobs, on, RATE)[0]
    assert torch.equal(preset.apply(sound(), RATE), expected)


def test_long_audio_goes_in_blocks_and_comes_out_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    audio = sound(seconds=0.1)
    whole = everything_on().apply(audio, RATE)
    for size in (20, 1000):
        monkeypatch.setattr("afxvae.presets.BLOCK", size)
        in_blocks = everything_on().apply(audio, RATE)
        assert in_blocks.shape == whole.shape
        assert float((in_blocks - whole).square().mean() / whole.square().mean()) < 1e-12


def test_a_stream_is_late_by_its_latency() -> None:
    stream = everything_on().stream(RATE, channels=2)
    assert stream.latency > 0
    pieces = [stream.process(block) for block in sound().split(512, -1)] + [stream.flush()]
    found, whole = torch.cat(pieces, -1)[:, stream.latency :], everything_on().apply(sound(), RATE)
    assert float((found - whole).square().mean() / whole.square().mean()) < 1e-12
    assert Preset().stream(RATE, channels=1).latency == 0


def test_the_gain_effect_gains_what_it_says() -> None:
    done = Preset().changed("gain", {"gain_db": -6.0}).apply(sound(), RATE)
    torch.testing.assert_close(done, sound() * 10 ** (-6 / 20))


def test_the_input_gain_is_in_decibels() -> None:
    done = Preset(input_gain_db=20.0).apply(sound(), RATE)
    torch.testing.assert_close(done, sound() * 10)


@pytest.mark.parametrize("channels", [1, 2, 6])
def test_any_number_of_channels(channels: int) -> None:
    done = everything_on().apply(sound(channels), RATE)
    assert done.shape == sound(channels).shape
    assert done.dtype == torch.float32


@pytest.mark.parametrize("rate", [8000, 44100, 96000])
def test_any_sample_rate(rate: int) -> None:
    done = everything_on().apply(sound(), rate)
    assert done.shape == sound().shape
    assert bool(torch.isfinite(done).all())


def test_arrays_and_other_types_are_taken_as_audio() -> None:
    expected = everything_on().apply(sound(), RATE)
    array = sound().numpy()
    array.setflags(write=False)
    assert torch.equal(everything_on().apply(array, RATE), expected)
    backwards = everything_on().apply(array[:, ::-1], RATE)
    assert torch.equal(backwards, everything_on().apply(sound().flip(1), RATE))
    assert torch.equal(everything_on().apply(sound().double(), RATE), expected)


def test_apply_leaves_its_input_alone_and_carries_no_gradient() -> None:
    audio = sound().requires_grad_()
    before = audio.detach().clone()
    assert not everything_on().apply(audio, RATE).requires_grad
    assert torch.equal(audio.detach(), before)


def test_apply_refuses_what_is_not_channel_time() -> None:
    with pytest.raises(UsageError, match=r"\(channel, time\)"):
        Preset().apply(torch.zeros(10), RATE)
    with pytest.raises(UsageError, match="positive"):
        Preset().apply(sound(), 0)


def test_values_are_rounded_to_six_digits() -> None:
    values = CHAIN.to_settings(torch.full((1, len(CHAIN.knobs)), 1 / 3))
    preset = Preset.from_tensors(values, {}, input_gain_db=1 / 3)
    assert preset.input_gain_db == 0.333333
    for name, param in CHAIN.knobs:
        stored = preset.settings[name][param.name]
        assert stored == float(f"{stored:.6g}")
        assert stored == pytest.approx(float(values[name][param.name]), rel=1e-5, abs=1e-9)


def test_rounding_stays_in_range_at_both_ends() -> None:
    for position in (0.0, 1.0):
        controls = torch.full((1, len(CHAIN.knobs)), position)
        preset = Preset.from_tensors(CHAIN.to_settings(controls), {"eq": torch.tensor([True])})
        for name, param in CHAIN.knobs:
            end = param.maximum if position else param.minimum
            assert preset.settings[name][param.name] == pytest.approx(end)


def test_changed_alters_one_effect_and_switches_it_on() -> None:
    preset = everything_off(model="m", model_checksum="c").changed("reverb", {"mix": 0.25})
    assert preset.switches == {name: name == "reverb" for name in CHAIN.names}
    defaults = {param.name: param.default for param in CHAIN["reverb"].params}
    assert preset.settings["reverb"] == {**defaults, "mix": 0.25}
    assert (preset.model, preset.model_checksum) == ("m", "c")
    assert preset.chain.names == CHAIN.names
    assert preset.changed("reverb", {}, on=False).is_empty
    with pytest.raises(PresetError, match=r"reverb.mix is 2, outside its range 0 to 1"):
        preset.changed("reverb", {"mix": 2})
    with pytest.raises(PresetError, match="'reverbb' is not an effect"):
        preset.changed("reverbb", {})


def test_changed_puts_a_new_effect_last() -> None:
    preset = Preset().changed("gain", {"gain_db": 3.0}).changed("eq", {"low_cut_hz": 90.0})
    assert preset.chain.names == ("gain", "eq")
    assert preset.settings["eq"]["peak1_hz"] == 200.0
    assert preset.changed("gain", {"gain_db": 1.0}).chain.names == ("gain", "eq")


def test_effects_run_in_the_order_of_the_preset() -> None:
    """A louder sound is distorted more; a distorted one is made louder as it is."""
    knobs: dict[str, dict[str, float]] = {
        "gain": {"gain_db": 20.0},
        "overdrive": {"drive_db": 20.0},
    }
    first, second = Preset(), Preset()
    for name in knobs:
        first = first.changed(name, knobs[name])
    for name in reversed(knobs):
        second = second.changed(name, knobs[name])
    assert first != second
    assert first.describe() == second.describe()[::-1]
    done = []
    for preset in (first, second):
        assert Preset.from_dict(json.loads(json.dumps(preset.to_dict()))) == preset
        expected = sound()[None]
        for effect in preset.chain.effects:
            settings, _ = preset.to_tensors()
            expected = effect.process(expected, settings[effect.name], RATE)
        done.append(preset.apply(sound(), RATE))
        assert torch.equal(done[-1], expected[0])
    assert not torch.allclose(*done, atol=0.1)


def test_all_effects_there_are_may_be_in_a_preset() -> None:
    preset = Preset()
    for effect in reversed(EFFECTS):
        preset = preset.changed(effect.name, {})
    assert preset.chain.names == tuple(effect.name for effect in reversed(EFFECTS))
    assert torch.equal(preset.apply(sound(), RATE), sound())


# schema version 1


def test_a_preset_of_version_1_runs_in_the_order_of_the_default_chain() -> None:
    values = everything_on().to_dict()
    by_name = {effect.pop("name"): effect for effect in values["effects"]}
    old = {**values, "schema_version": 1, "effects": dict(reversed(by_name.items()))}
    assert Preset.from_dict(old) == everything_on()


def test_a_preset_of_version_1_may_leave_out_effects() -> None:
    brief = {"schema_version": 1, "effects": {"gain": {"on": False}, "chorus": {"on": False}}}
    preset = Preset.from_dict(brief)
    assert preset.is_empty
    assert preset.chain.names == ("chorus", "gain")


def test_version_1_has_the_effects_of_the_default_chain() -> None:
    for effects, message in (({"loop": {}}, "'loop' is not an effect"), ([], "must be an object")):
        with pytest.raises(PresetError, match=message):
            Preset.from_dict({"schema_version": 1, "effects": effects})


# as an object


def test_direct_construction_is_checked_too() -> None:
    with pytest.raises(PresetError, match="'loop' is not an effect"):
        Preset(switches={"loop": True})
    with pytest.raises(PresetError, match="eq is on, but has no settings"):
        Preset(switches={"eq": True})
    with pytest.raises(PresetError, match="input_gain_db"):
        Preset(input_gain_db=float("nan"))


def test_description_has_units_and_only_what_is_on() -> None:
    assert Preset().describe() == []
    preset = Preset(input_gain_db=4.25)
    preset = preset.changed("eq", {"low_cut_hz": 82, "peak3_hz": 2650, "peak3_gain_db": 3.1})
    preset = preset.changed("compressor", {"ratio": 3.2, "threshold_db": -27.5})
    preset = preset.changed("gain", {"gain_db": -1.0})
    assert preset.describe() == [
        ("input gain", "4.25 dB"),
        ("eq", "low cut 82 Hz"),
        ("eq", "peak3 2650 Hz, +3.1 dB, Q 0.8"),
        (
            "compressor",
            "threshold -27.5 dB, ratio 3.2:1, knee 6 dB, attack 10 ms, release 100 ms, makeup 0 dB",
        ),
        ("gain", "-1 dB"),
    ]
    assert Preset().changed("eq", {}).describe() == [("eq", "flat")]


def test_numpy_is_not_altered_in_place() -> None:
    array = np.full((1, 100), 0.5, np.float32)
    Preset(input_gain_db=6.0).apply(array, RATE)
    assert (array == 0.5).all()
