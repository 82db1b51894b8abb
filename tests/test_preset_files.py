"""Files of presets: what is written, and what cannot be read, said in one sentence."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import pytest

from afxvae import Preset
from afxvae.types import PresetError, UsageError


def test_the_file_is_for_people(tmp_path: Path) -> None:
    preset = Preset(model="afxvae-base", model_checksum="c0ffee").changed("delay", {"mix": 0.25})
    preset.save(tmp_path / "a.json")
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    values = json.loads(text)
    assert text.endswith("}\n")
    assert list(values) == [
        "schema_version",
        "model",
        "model_checksum",
        "input_gain_db",
        "effects",
    ]
    assert values["schema_version"] == 2
    assert values["effects"] == [
        {
            "name": "delay",
            "on": True,
            "settings": {"time_ms": 250.0, "feedback": 0.3, "mix": 0.25},
        }
    ]


def test_save_never_replaces_unasked_and_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match=r"a\.json already exists"):
        Preset().save(path)
    assert path.read_text(encoding="utf-8") == "mine"
    Preset().save(path, overwrite=True)
    assert Preset.load(path) == Preset()
    assert os.listdir(tmp_path) == ["a.json"]


def test_save_says_where_it_cannot_write(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a folder"):
        Preset().save(tmp_path)
    with pytest.raises(UsageError, match="cannot be written: No such file or directory"):
        Preset().save(tmp_path / "nowhere" / "a.json")
    assert os.listdir(tmp_path) == []


def test_a_failing_save_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.json"
    Preset().save(path)
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "disk full")))
    with pytest.raises(UsageError, match="disk full"):
        Preset(input_gain_db=3.0).save(path, overwrite=True)
    assert Preset.load(path) == Preset()
    assert os.listdir(tmp_path) == ["a.json"]


def valid() -> dict:
    return Preset().changed("eq", {"low_shelf_gain_db": 2.0}).to_dict()


def wrong(**changes: object) -> dict:
    return {**valid(), **changes}


def wrong_eq(**changes: object) -> dict:
    values = valid()
    values["effects"][0] |= changes
    return values


def wrong_knob(name: str, value: object) -> dict:
    values = valid()
    values["effects"][0]["settings"][name] = value
    return values


def without_knob() -> dict:
    values = valid()
    del values["effects"][0]["settings"]["peak2_q"]
    return values


def without(key: str) -> dict:
    return {name: value for name, value in valid().items() if name != key}


WRONG = {
    "a list": ([], "a preset must be an object"),
    "no version": (without("schema_version"), "no schema_version"),
    "a later version": (wrong(schema_version=3), "schema_version is 3; .* reads 1 and 2"),
    "version true": (wrong(schema_version=True), "schema_version is True"),
    "no effects": (without("effects"), 'no "effects"'),
    "effects an object": (wrong(effects={}), "effects must be a list of effects in order"),
    "an effect twice": (wrong(effects=2 * valid()["effects"]), "eq is there twice"),
    "an effect without name": (wrong(effects=[{"on": True}]), 'Effect 1 has no "name"'),
    "an unknown key": (wrong(input_gain=3), "'input_gain' is not a key of a preset"),
    "gain as text": (wrong(input_gain_db="3"), "input_gain_db is '3', but it must be a number"),
    "gain too high": (wrong(input_gain_db=500), "500 dB, outside its range -120 to 120 dB"),
    "a model that is a number": (wrong(model=3), "model is 3, but it must be text"),
    "unknown effect": (wrong(effects=[{"name": "loop", "on": True}]), "'loop' is not an effect"),
    "effect a number": (wrong(effects=[3]), "effect 1 must be an object"),
    "effect without switch": (wrong(effects=[{"name": "eq"}]), 'eq has no "on"'),
    "on without settings": (wrong_eq(settings=None), r"eq\.settings must be an object"),
    "a switch alone": (
        wrong(effects=[{"name": "eq", "on": True}]),
        "eq is on, but has no settings",
    ),
    "switch a number": (wrong_eq(on=1), "eq.on is 1, but it must be true or false"),
    "an unknown key in an effect": (wrong_eq(mix=1), r"'eq\.mix' is not a key"),
    "settings a list": (wrong_eq(settings=[1]), r"eq\.settings must be an object"),
    "unknown knob": (wrong_knob("peak5_hz", 100.0), "'peak5_hz' is not a knob of eq"),
    "missing knob": (without_knob(), "eq lacks a setting for peak2_q"),
    "out of range": (
        wrong_knob("peak1_hz", 5000),
        r"eq\.peak1_hz is 5000 Hz, outside its range 60 to 600 Hz",
    ),
    "not a number": (wrong_knob("peak1_hz", math.nan), r"eq\.peak1_hz is nan Hz, outside"),
    "infinite": (wrong_knob("peak1_hz", math.inf), r"eq\.peak1_hz is inf Hz, outside"),
    "a huge integer": (wrong_knob("peak1_hz", 10**400), r"eq\.peak1_hz is too large"),
    "text for a knob": (wrong_knob("peak1_hz", "200"), "must be a number"),
    "true for a knob": (wrong_knob("peak1_hz", True), "must be a number"),
    "null for a knob": (wrong_knob("peak1_hz", None), "must be a number"),
}


@pytest.mark.parametrize(("values", "message"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_said_in_one_sentence(
    values: object, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "broken.afx.json"
    path.write_text(json.dumps(values), encoding="utf-8")
    with pytest.raises(PresetError, match=message) as caught:
        Preset.load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"RIFF\xff\xfe\x00", b"[" * 100_000, b'{"schema_version": 1e}', b"\xff\xfe{}"],
    ids=["empty", "cut off", "a recording", "nested", "no number", "UTF-16"],
)
def test_what_is_not_json_is_no_preset(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(PresetError, match=r"a\.json is not a preset: it is no JSON"):
        Preset.load(path)


def test_missing_files_and_folders_are_no_presets(tmp_path: Path) -> None:
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(PresetError, match="cannot be read as a preset"):
            Preset.load(path)


def test_a_chorus_without_a_phase_is_one_that_begins_at_0() -> None:
    """As presets have it that were written before there was one."""
    preset = Preset().changed("chorus", {"mix": 0.3, "rate_hz": 2.0})
    early = preset.to_dict()
    del early["effects"][0]["settings"]["phase_deg"]
    assert Preset.from_dict(early) == preset
    assert preset.settings["chorus"]["phase_deg"] == 0.0
    del early["effects"][0]["settings"]["rate_hz"]
    with pytest.raises(PresetError, match="rate_hz"):
        Preset.from_dict(early)


def test_editors_may_put_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(valid()), encoding="utf-8-sig")
    assert Preset.load(path) == Preset.from_dict(valid())


def test_a_preset_by_hand_may_leave_out_what_is_off() -> None:
    brief = {"schema_version": 2, "effects": [{"name": "chorus", "on": False}]}
    assert Preset.from_dict(brief) == Preset().changed("chorus", {}, on=False)
