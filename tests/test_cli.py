"""The commands besides match and apply do what they say, write where they say, and say it there."""

from __future__ import annotations

import inspect
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from afxvae import AFXStyleVAE, __version__, audio, jobs, manual, training
from afxvae.cli import main
from afxvae.data import corpus
from afxvae.effects import EFFECTS, Effect
from afxvae.evaluation import report

from .conftest import Output, QuickModel, listing, write_sound

Log = Callable[[str], None]


def test_embed_prints_csv_or_json(
    files: SimpleNamespace, quick_model: type[QuickModel], capsys: Output
) -> None:
    assert main(["embed", files.voice, files.reference]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "file,e0,e1,e2",
        "voice.wav,2.0,1.0,0.5",
        "reference.wav,1.0,0.8,0.5",
    ]
    assert main(["embed", files.voice, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "embeddings": {"voice.wav": [2.0, 1.0, 0.5]},
        "failed": {},
    }


def test_embed_writes_files(
    files: SimpleNamespace, quick_model: type[QuickModel], capsys: Output
) -> None:
    for suffix in ("csv", "json", "npz"):
        assert main(["embed", files.voice, files.reference, "-o", f"e.{suffix}"]) == 0
    assert Path("e.csv").read_text(encoding="utf-8").splitlines()[1] == "voice.wav,2.0,1.0,0.5"
    assert json.loads(Path("e.json").read_text(encoding="utf-8"))["voice.wav"] == [2.0, 1.0, 0.5]
    arrays = np.load("e.npz")
    assert arrays["path"].tolist() == ["voice.wav", "reference.wav"]
    np.testing.assert_array_equal(arrays["embedding"], np.float32([[2, 1, 0.5], [1, 0.8, 0.5]]))
    assert capsys.readouterr().out == ""


def test_embed_says_what_was_done_since_another_recording(
    files: SimpleNamespace, capsys: Output
) -> None:
    assert main(["embed", files.reference, "none.wav", "--against", files.voice, "--json"]) == 1
    found = json.loads(capsys.readouterr().out)["embeddings"]
    (plain, rate), (treated, other_rate) = (
        (sound, info.sample_rate) for sound, info in map(audio.read, (files.voice, files.reference))
    )
    wanted = AFXStyleVAE.from_pretrained().embed_treatment(plain, treated, rate, other_rate)
    assert found == {files.reference: pytest.approx(wanted.tolist(), abs=1e-4)}
    assert main(["embed", files.reference, "--against", "none.wav"]) == 3
    assert capsys.readouterr().err == "afxvae: none.wav does not exist.\n"


def test_embed_goes_on_after_a_bad_file(
    files: SimpleNamespace, quick_model: type[QuickModel], capsys: Output
) -> None:
    assert main(["embed", "none.wav", files.voice, "--json"]) == 1
    captured = capsys.readouterr()
    assert captured.err == "afxvae: none.wav does not exist.\n"
    document = json.loads(captured.out)
    assert list(document["embeddings"]) == ["voice.wav"]
    assert document["failed"] == {"none.wav": "none.wav does not exist."}
    assert main(["embed", "none.wav"]) == 3


def test_effects_lists_every_effect_and_knob(capsys: Output) -> None:
    assert main(["effects"]) == 0
    shown = capsys.readouterr().out
    for effect in EFFECTS:
        assert effect.name in shown
        assert effect.help.split()[0] in shown
        assert all(param.name in shown for param in effect.params)


def test_effects_with_json_is_data(capsys: Output) -> None:
    assert main(["effects", "reverb", "--json"]) == 0
    (reverb,) = json.loads(capsys.readouterr().out)["effects"]
    assert reverb["name"] == "reverb"
    assert reverb["params"][0]["unit"] == "s"


@pytest.mark.parametrize("effect", EFFECTS, ids=lambda effect: effect.name)
def test_effects_of_a_name_is_its_manual(effect: Effect, capsys: Output) -> None:
    assert main(["effects", effect.name]) == 0
    shown = capsys.readouterr().out
    lines = [line.split() for line in shown.splitlines()]
    assert f"{effect.name}: {effect.help}" in shown
    for param in effect.params:
        (row,) = [line for line in lines if line[:1] == [param.name] and param.scale in line]
        assert {f"{v:g}" for v in (param.minimum, param.maximum, param.default)} <= set(row)
        assert (row[1] == "*") == param.amount
        assert param.unit in shown
    assert (str(effect.latency(48_000)) in shown) or not effect.latency(48_000)
    words = " ".join(shown.replace("*", "").split())
    for passage in manual.computation(effect):
        assert passage.subject in shown
        assert " ".join(re.sub(r"[`*]", "", passage.paragraphs[0]).split()) in words


def test_effects_shows_the_effects_that_are_named_and_no_other(capsys: Output) -> None:
    assert main(["effects", "tremolo", "pan"]) == 0
    shown = capsys.readouterr().out
    assert shown.index("tremolo:") < shown.index("pan:")
    assert "compressor" not in shown


def test_models_shows_name_version_size_licence_and_checksum(
    tmp_path: Path, capsys: Output
) -> None:
    config = {"name": "mine", "version": "1.2.3", "sha256": "c0ffee" * 10, "licence": "CC0-1.0"}
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (tmp_path / "model.safetensors").write_bytes(bytes(2_500_000))
    assert main(["models", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    for text in ("mine", "1.2.3", "2.5 MB", "CC0-1.0", "c0ffeec0ffee", "--model OWNER/NAME"):
        assert text in shown
    assert main(["models", str(tmp_path), "--json"]) == 0
    (model,) = json.loads(capsys.readouterr().out)["models"]
    assert model["checksum"] == "c0ffee" * 10
    assert model["bytes"] == 2_500_000


def test_demo_matches_the_bundled_clips(
    files: SimpleNamespace, quick_model: type[QuickModel], capsys: Output
) -> None:
    assert main(["demo"]) == 0
    assert listing(files.folder / "afxvae-demo") == [
        "guitar.afx.json",
        "guitar.flac",
        "guitar.matched.flac",
        "reference.afx.json",
        "reference.flac",
    ]
    said = capsys.readouterr().err
    assert "Decision: posterior mean." in said
    assert said.index("The reference had:") < said.index("time 330 ms, feedback 0.35, mix 0.22")
    copy = Path("afxvae-demo/guitar.flac")
    assert copy.read_bytes() == jobs.DEMO_INPUT.read_bytes()
    assert main(["demo"]) == 2
    assert main(["demo", "--overwrite"]) == 0


def test_demo_leaves_no_folder_when_it_fails(
    files: SimpleNamespace, quick_model: type[QuickModel]
) -> None:
    quick_model.raises = RuntimeError("broken")
    assert main(["demo", "--out", "new"]) == 1
    assert not Path("new").exists()


@pytest.mark.parametrize("clip", [jobs.DEMO_INPUT, jobs.DEMO_REFERENCE], ids=lambda clip: clip.stem)
def test_demo_clips_are_fit_to_ship(clip: Path) -> None:
    sound, info = audio.read(clip)
    assert (info.format, info.subtype, info.sample_rate) == ("FLAC", "PCM_16", 44100)
    assert 8 < info.duration_s < 10
    assert clip.stat().st_size < 700_000
    assert float(audio.loudness_lufs(sound[None], info.sample_rate)) == pytest.approx(-22, abs=0.1)


def test_train_passes_its_options_on(
    files: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    asked: dict[str, object] = {}

    def run(config: Path, *, out: Path, log: Log, **options: object) -> Path:
        log("a line")
        asked.update(options, config=config)
        return out / "model"

    monkeypatch.setattr(training, "run", run)
    command = ["train", "--data", ".", "--out", "run", "--config", "r.toml", "--workers", "3"]
    assert main(command) == 0
    assert asked == {"config": Path("r.toml"), "data": Path("."), "workers": 3}
    assert capsys.readouterr() == ("run/model\n", "a line\n")
    Path("manifest.jsonl").touch()
    assert main([*command, "--quiet"]) == 0
    assert asked["data"] == Path("manifest.jsonl")
    assert capsys.readouterr().err == ""


def test_evaluate_passes_its_options_on(
    files: SimpleNamespace,
    quick_model: type[QuickModel],
    monkeypatch: pytest.MonkeyPatch,
    capsys: Output,
) -> None:
    asked: dict[str, object] = {}

    def run(*arguments: object, **options: object) -> dict[str, object]:
        asked.update(inspect.signature(real).bind(*arguments, **options).arguments)
        return {"seed": 4, "markdown": "# Tables"}

    real = report.run
    monkeypatch.setattr(report, "run", run)
    command = ["evaluate", "--data", ".", "--items", "7", "--protocol", "P2", "--seed", "4"]
    assert main([*command, "--out", "e", "--model", "m"]) == 0
    assert capsys.readouterr().out == "# Tables\n"
    assert isinstance(asked["model"], QuickModel)
    assert {name: asked[name] for name in ("data", "out", "items", "protocols", "seed")} == {
        "data": Path("."),
        "out": Path("e"),
        "items": 7,
        "protocols": ["P2"],
        "seed": 4,
    }
    assert asked["split"] == "test"
    rows = ["--row", "input", "--row", "ours (fast)", "--split", "valid"]
    assert main(["evaluate", "--data", ".", "--json", *rows]) == 0
    assert asked["protocols"] == ["P1", "P2"]
    assert (asked["rows"], asked["split"]) == (["input", "ours (fast)"], "valid")
    assert json.loads(capsys.readouterr().out) == {"seed": 4}


def test_corpus_follows_its_configuration(
    files: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    def prepare(config: Path, out: Path, **options: object) -> Path:
        if not config.exists():
            raise RuntimeError("npm has no package\nof that name.")
        return out / "manifest.jsonl"

    monkeypatch.setattr(corpus, "prepare_corpus", prepare)
    assert main(["corpus", "voice.wav", "--out", "c"]) == 0
    assert capsys.readouterr().out == "c/manifest.jsonl\n"
    assert main(["corpus", "none.toml", "--out", "c"]) == 1
    assert capsys.readouterr().err == "afxvae: npm has no package of that name.\n"


def test_help_version_and_no_arguments(capsys: Output) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"afxvae {__version__}\n"
    assert main([]) == 0
    shown = capsys.readouterr().out
    for command in (
        "match",
        "style",
        "interpolate",
        "apply",
        "embed",
        "attributes",
        "effects",
        "models",
        "demo",
        "train",
        "evaluate",
    ):
        assert command in shown
        assert main([command, "--help"]) == 0
        assert command in capsys.readouterr().out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupting_leaves_no_trace(tmp_path: Path, number: signal.Signals) -> None:
    """While outputs are being written, and nothing is left of them."""
    write_sound(tmp_path / "a.wav")
    write_sound(tmp_path / "b.wav", seed=1)
    code = (
        "import signal, sys, time, afxvae.matching as matching\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # jobs behind `&` ignore it
        "work = lambda *_, **__: (print('ready', flush=True), time.sleep(60))\n"
        "matching.match_recordings = work\n"
        "from afxvae.cli import main\n"
        "sys.exit(main(['match', 'a.wav', 'b.wav']))\n"
    )
    root = Path(__file__).resolve().parent.parent
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(root)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    assert len(listing(tmp_path)) > 2
    time.sleep(0.2)
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 128 + number
    assert "Traceback" not in err
    assert listing(tmp_path) == ["a.wav", "b.wav"]
