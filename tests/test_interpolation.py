"""Between two presets: the ends are exact, and every step is further from the first."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from afxvae import AFXStyleVAE, Preset, audio, jobs
from afxvae.cli import main
from afxvae.data.treatments import random_treatments
from afxvae.effects import default_chain
from afxvae.interpolation import interpolate
from afxvae.types import UsageError
from tests.sounds import sound

from .conftest import RATE, Output, contents, listing, refused, write_sound

CHAIN = default_chain()


def random_presets(count: int, seed: int) -> list[Preset]:
    """Treatments with some effects off."""
    controls, switches = random_treatments(CHAIN, count, torch.Generator().manual_seed(seed))
    made = []
    for row, on in zip(controls.split(1), switches.split(1), strict=True):
        by_name = dict(zip(CHAIN.names, on.unbind(1), strict=True))
        made.append(Preset.from_tensors(CHAIN.to_settings(row), by_name, input_gain_db=3.0))
    return made


PAIRS = list(zip(random_presets(12, 0), random_presets(12, 1), strict=True))
PAIRS += [(Preset(), PAIRS[0][0]), (PAIRS[1][0], Preset()), (PAIRS[2][0], PAIRS[2][0])]


def positions(preset: Preset, middle: Preset) -> torch.Tensor:
    """Knob positions; of what is off, those of the step in the middle with nothing of it done."""
    found = []
    for effect, param in CHAIN.knobs:
        own = preset.settings.get(effect, {}).get(param.name, param.default)
        if not preset.switches.get(effect, False):
            own = param.default if param.amount else middle.settings[effect][param.name]
        found.append(param.to_control(own))
    return torch.tensor(found, dtype=torch.float64)


@pytest.mark.parametrize(("a", "b"), PAIRS)
def test_every_step_is_further_from_the_first_and_as_large_as_the_next(
    a: Preset, b: Preset
) -> None:
    steps = interpolate(a, b, 6)
    assert steps[0] is a
    assert steps[-1] is b
    places = [positions(step, steps[2]) for step in steps]
    away = [float((place - places[0]).norm()) for place in places]
    for place, distance in enumerate(away):
        assert distance == pytest.approx(away[-1] * place / 5, abs=1e-4)
    if a != b:
        assert all(nearer < further for nearer, further in itertools.pairwise(away))


def test_effects_of_either_are_on_between_and_fade_by_their_amounts() -> None:
    a = Preset().changed("delay", {"time_ms": 400.0, "mix": 0.4})
    b = (
        Preset()
        .changed("eq", {"peak1_gain_db": 8.0, "peak1_hz": 100.0})
        .changed("reverb", {}, False)
    )
    _, first, middle, last, _ = interpolate(a, b, 5)
    for step, share in ((first, 0.25), (middle, 0.5), (last, 0.75)):
        assert [name for name, on in step.switches.items() if on] == ["eq", "delay"]
        assert step.settings["delay"]["mix"] == pytest.approx(0.4 * (1 - share))
        assert step.settings["delay"]["time_ms"] == pytest.approx(400.0)
        assert step.settings["eq"]["peak1_gain_db"] == pytest.approx(8.0 * share)
        assert step.settings["eq"]["peak1_hz"] == pytest.approx(100.0)


def test_two_taps_come_behind_the_delay() -> None:
    a = Preset().changed("dual_delay", {"left_ms": 200.0, "mix": 0.4}).changed("reverb", {})
    b = Preset().changed("delay", {"mix": 0.2})
    _, middle, _ = interpolate(a, b, 3)
    assert [name for name, on in middle.switches.items() if on] == ["delay", "dual_delay", "reverb"]
    assert middle.settings["dual_delay"]["mix"] == pytest.approx(0.2)
    assert middle.settings["dual_delay"]["left_ms"] == pytest.approx(200.0)


@pytest.mark.parametrize("room", ["freeverb", "sox_reverb"])
def test_what_came_in_the_place_of_the_reverb_fades_too(room: str) -> None:
    a = Preset().changed("chorus", {"phase_deg": 40.0, "mix": 0.2}).changed(room, {"mix": 0.4})
    b = Preset().changed("chorus", {"phase_deg": 80.0, "mix": 0.4}).changed("reverb", {"mix": 0.2})
    _, middle, _ = interpolate(a, b, 3)
    assert [name for name, on in middle.switches.items() if on] == ["chorus", "reverb", room]
    assert middle.settings[room]["mix"] == pytest.approx(0.2)
    assert middle.settings["reverb"]["mix"] == pytest.approx(0.1)
    assert middle.settings["chorus"]["phase_deg"] == pytest.approx(60.0)
    assert interpolate(a, a, 3)[1].settings[room] == pytest.approx(a.settings[room])


def test_a_phase_goes_the_shorter_way_round() -> None:
    first, last = (Preset().changed("chorus", {"mix": 0.3, "phase_deg": p}) for p in (340.0, 40.0))
    phases = [one.settings["chorus"]["phase_deg"] for one in interpolate(first, last, 4)]
    assert phases == pytest.approx([340.0, 0.0, 20.0, 40.0], abs=1e-3)


def test_the_sound_has_no_leap_at_the_ends() -> None:
    """The nearer the step, the nearer the sound, also where an effect is switched on by it."""
    dry = sound(1, 1.0)
    a = Preset().changed("compressor", {"ratio": 4.0, "threshold_db": -30.0})
    b = Preset().changed("eq", {"peak2_gain_db": 8.0}).changed("reverb", {"mix": 0.3})
    for one, other in ((a, b), (b, a)):
        end = one.apply(dry, RATE)
        near, further = (
            float((interpolate(one, other, steps)[1].apply(dry, RATE) - end).norm() / end.norm())
            for steps in (51, 11)
        )
        assert near < 0.35 * further
        assert near < 0.1


def test_a_model_is_named_if_both_are_of_it() -> None:
    one, other = Preset(model="m", model_checksum="1"), Preset(model="m", model_checksum="2")
    assert [step.model for step in interpolate(one, other, 3)] == ["m", None, "m"]
    assert interpolate(one, one, 3)[1].model_checksum == "1"


def test_the_model_has_the_same_door() -> None:
    a, b = PAIRS[0]
    assert AFXStyleVAE.interpolate(None, a, b, 4) == interpolate(a, b, 4)  # type: ignore[arg-type]


def test_input_gain_moves_in_db() -> None:
    steps = interpolate(Preset(input_gain_db=-6.0), Preset(input_gain_db=6.0), 4)
    assert [step.input_gain_db for step in steps] == [-6.0, -2.0, 2.0, 6.0]


def test_what_cannot_be_between_is_said() -> None:
    limited = Preset().changed("limiter", {})
    turned = Preset().changed("reverb", {}).changed("eq", {})
    with pytest.raises(UsageError, match="The second preset has limiter, but only eq, comp"):
        interpolate(Preset(), limited)
    with pytest.raises(UsageError, match="The first preset runs reverb, eq, but the order"):
        interpolate(turned, Preset())
    for steps in (1, 101, 0):
        with pytest.raises(UsageError, match=f"steps is {steps}, outside its range 2 to 100"):
            interpolate(Preset(), Preset(), steps)
    off = limited.changed("limiter", {}, on=False)
    assert interpolate(off, Preset(), 2) == [off, Preset()]


# on the command line


@pytest.fixture
def presets(files: SimpleNamespace) -> SimpleNamespace:
    """`a.json` and `b.json`, which is some 12 dB louder."""
    Preset().changed("eq", {"low_cut_hz": 300.0}).save("a.json")
    loud = Preset(input_gain_db=2.0).changed("overdrive", {"drive_db": 12.0})
    loud.changed("gain", {"gain_db": 10.0}).save("b.json")
    return files


INTERPOLATE = ["interpolate", "voice.wav", "a.json", "b.json"]


def test_ends_sound_as_apply_makes_them(presets: SimpleNamespace, capsys: Output) -> None:
    assert main([*INTERPOLATE, "--steps", "3"]) == 0
    ends = [("wav", "afx.json")] * 3
    assert listing(Path("voice.steps")) == sorted(
        f"voice.{place}.{end}" for place, pair in enumerate(ends, 1) for end in pair
    )
    said = capsys.readouterr()
    assert said.out == ""
    assert "Wrote 3 presets and the recording through each into voice.steps.\n" in said.err
    for place, name in ((1, "a.json"), (3, "b.json"), (2, "voice.steps/voice.2.afx.json")):
        assert Preset.load(f"voice.steps/voice.{place}.afx.json") == Preset.load(name)
        assert main(["apply", name, "voice.wav", "-o", "again.wav", "-q", "--overwrite"]) == 0
        rendered = Path(f"voice.steps/voice.{place}.wav").read_bytes()
        assert rendered == Path("again.wav").read_bytes()


def test_what_would_clip_is_lowered_as_by_apply(presets: SimpleNamespace, capsys: Output) -> None:
    Preset().changed("gain", {"gain_db": 30.0}).save("b.json", overwrite=True)
    assert main([*INTERPOLATE, "--steps", "2", "-o", "s"]) == 0
    assert "s/voice.2.wav is" in capsys.readouterr().err
    assert main(["apply", "b.json", "voice.wav", "-o", "again.wav", "-q"]) == 0
    assert Path("s/voice.2.wav").read_bytes() == Path("again.wav").read_bytes()


def test_progress_ends_with_the_work(presets: SimpleNamespace) -> None:
    """What has to be lowered is rendered twice, but is counted as done once."""
    Preset().changed("gain", {"gain_db": 30.0}).save("b.json", overwrite=True)
    told: list[tuple[int, int]] = []
    paths = (Path("voice.wav"), Path("a.json"), Path("b.json"))
    jobs.interpolate_files(*paths, steps=3, progress=lambda *done: told.append(done))
    assert [done for done, _ in told].count(3 * RATE) > 1
    assert told[-1] == (3 * RATE, 3 * RATE)
    assert max(done for done, _ in told) == 3 * RATE


def test_all_are_equally_loud_if_wanted(presets: SimpleNamespace, capsys: Output) -> None:
    write_sound(Path("take.flac"), 0.6, seed=5, channels=1)
    command = ["interpolate", "take.flac", "a.json", "b.json", "--steps", "4", "-o", "out/s"]
    assert main([*command, "--same-loudness", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    levels = []
    for place, step in enumerate(document["steps"], 1):
        assert step["output"] == f"out/s/take.{place}.flac"
        assert step["gain_db"] <= 1e-6
        done, info = audio.read(step["output"])
        assert (info.channels, info.frames, info.subtype) == (1, round(0.6 * RATE), "PCM_16")
        levels.append(float(audio.loudness_lufs(done[None], RATE)))
    assert levels == pytest.approx([document["lufs"]] * 4, abs=0.02)
    assert Preset.load("out/s/take.4.afx.json") == Preset.load("b.json")


def test_presets_alone(presets: SimpleNamespace, capsys: Output) -> None:
    assert main([*INTERPOLATE, "--steps", "10", "--no-render", "--json", "-o", "s"]) == 0
    assert listing(Path("s")) == [f"voice.{place:02d}.afx.json" for place in range(1, 11)]
    document = json.loads(capsys.readouterr().out)
    assert document["lufs"] is None
    assert document["steps"][9] == {
        "preset": "s/voice.10.afx.json",
        "output": None,
        "gain_db": None,
    }


BAD: dict[str, tuple[list[str], int, str]] = {
    "steps": ([*INTERPOLATE, "--steps", "1"], 2, "steps is 1, outside its range 2 to 100"),
    "loudness of nothing": (
        [*INTERPOLATE, "--no-render", "--same-loudness"],
        2,
        "--same-loudness is about what --no-render leaves out",
    ),
    "no preset": ([*INTERPOLATE[:3], "c.json"], 2, "c.json cannot be read as a preset"),
    "other effects": ([*INTERPOLATE[:3], "limited.json"], 2, "limited.json has limiter"),
    "no recording": (["interpolate", "none.wav", *INTERPOLATE[2:]], 3, "none.wav does not exist"),
    "silence": (
        ["interpolate", "silence.wav", *INTERPOLATE[2:], "--same-loudness"],
        3,
        "silence.wav through silence.steps/silence.1.afx.json is silent",
    ),
    "a file for a folder": ([*INTERPOLATE, "-o", "a.json"], 2, "a.json cannot be made a folder"),
    "a step exists": ([*INTERPOLATE, "-o", "there"], 2, "voice.2.wav already exists; use --over"),
    "a step is an end": (
        ["interpolate", "voice.wav", "there/voice.1.afx.json", "b.json", "-o", "there"],
        2,
        "would replace the first preset",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("command", "code", "said"), BAD.values(), ids=BAD)
def test_bad_usage(
    command: list[str], code: int, said: str, presets: SimpleNamespace, capsys: Output
) -> None:
    Preset().changed("limiter", {}).save("limited.json")
    audio.write("silence.wav", torch.zeros(1, RATE), RATE)
    Path("there").mkdir()
    Preset().save("there/voice.1.afx.json")
    write_sound(Path("there/voice.2.wav"))
    before = contents(presets.folder)
    assert main(command) == code
    refused(capsys, said)
    assert contents(presets.folder) == before


@pytest.mark.parametrize(("folder", "there"), [("s", False), ("s", True), ("new/s", False)])
def test_all_is_written_or_nothing_is(
    folder: str, there: bool, presets: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    if there:
        Path("s").mkdir()
        Path("s/voice.1.wav").write_text("old", encoding="utf-8")
    before = contents(presets.folder)
    writing = audio.writing

    def full(path: Path, *form: object, **options: object) -> object:
        if path.name == "voice.3.wav":
            raise OSError(28, "No space left on device")
        return writing(path, *form, **options)

    monkeypatch.setattr(audio, "writing", full)
    assert main([*INTERPOLATE, "--steps", "3", "-o", folder, "--overwrite"]) == 2
    assert contents(presets.folder) == before
    assert Path("s").exists() == there
    assert not Path("new").exists()
