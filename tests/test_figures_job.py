"""The figures of a model: what is gathered for them, and the command, which writes all or none."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from afxvae import AFXStyleVAE, audio, figures
from afxvae.cli import main
from afxvae.data.corpus import Recording, split_of
from afxvae.data.crops import draw_crop, draw_repeated
from afxvae.dsp.features import CLIP_SAMPLES, RUN_IN, SAMPLE_RATE
from afxvae.evaluation.axes import Responses
from afxvae.figures import DRAWINGS
from afxvae.figures.arrays import Posteriors
from afxvae.figures.paper import paper
from afxvae.jobs import gathering
from afxvae.models.estimate import ESTIMATED
from afxvae.ranges import MOVES
from afxvae.timbre import attributes
from afxvae.types import UsageError

from .conftest import Output, QuickModel, contents, refused
from .sounds import sound
from .test_model_figures import TABLES

pytest.importorskip("matplotlib")


# gathering


def recording(path: Path, seconds: float, rate: int = SAMPLE_RATE) -> Recording:
    audio.write(path, sound(5, seconds, rate), rate)
    return Recording(path, "test", path.stem, path.stem, "", "", seconds, True)


def test_short_recordings_are_repeated_and_long_ones_are_not(tmp_path: Path) -> None:
    short, long = recording(tmp_path / "a.wav", 1.5), recording(tmp_path / "b.wav", 15.0)
    halves = draw_repeated(short, np.random.default_rng(0))
    assert halves is not None
    assert halves.shape == (2, 1, RUN_IN + CLIP_SAMPLES)
    period = round(1.5 * SAMPLE_RATE)
    torch.testing.assert_close(halves[..., period:], halves[..., :-period])
    crops = [draw(long, np.random.default_rng(3)) for draw in (draw_repeated, draw_crop)]
    assert torch.equal(*crops)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def model() -> AFXStyleVAE:
    return AFXStyleVAE.from_pretrained()


def test_nothing_changes_nothing_and_seeds_decide(
    model: AFXStyleVAE, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def brightness(clips: torch.Tensor, rate: int) -> dict[str, torch.Tensor]:
        return attributes(clips, rate, ["brightness"])

    monkeypatch.setattr(gathering, "attributes", brightness)
    found = [recording(tmp_path / "a.wav", 4.0)]
    steps: list[tuple[int, int]] = []
    made = gathering.Gathering(model, found, 1, 0, ["treated"], lambda *done: steps.append(done))
    table = made.table("treated")
    assert steps[-1][0] == steps[-1][1]
    assert table.effects == ("nothing", *ESTIMATED)
    assert table.sources == ("a",)
    np.testing.assert_allclose(table.treated[0], table.clean[0], atol=1e-4)
    for changes in table.changes.values():
        assert changes[0] == 0.0
        assert np.abs(changes[1:]).max() > 0.0
    assert table.knobs["delay"].label == "time"
    assert table.knobs["delay"].unit == "ms"
    assert 60.0 <= table.knobs["delay"].settings[0] <= 700.0
    clips = [gathering.Gathering(model, found, 2, s, [])._clips[0] for s in (0, 0, 1)]
    assert torch.equal(clips[0], clips[1])
    assert not torch.equal(clips[0], clips[2])


def test_directions_are_moved_by_their_spread(
    model: AFXStyleVAE, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, list[float]]] = []

    def responses(model: Any, pairs: Any, axes: Any, steps: Any, measured: Any) -> Responses:
        asked.append(axes)
        assert len(pairs.audio) == 1
        return Responses(tuple(axes), steps, torch.zeros(1, len(axes), len(steps), len(measured)))

    monkeypatch.setattr(gathering, "latent_responses", responses)
    found = [recording(tmp_path / "a.wav", 2.0)]
    made = gathering.Gathering(model, found, 3, 0, ["traversals"])
    mean = np.random.default_rng(0).normal(size=(500, 16)) * np.arange(1.0, 17.0)
    made.posteriors = Posteriors(mean, mean, mean, mean)
    table = made.table("traversals")
    assert table.changes.shape == (3, 4, 5, 4)
    assert table.measured == MOVES
    sizes = [np.linalg.norm(axis) for axis in asked[0].values()]
    expected = np.sqrt(np.linalg.eigvalsh(np.cov(mean.T, bias=True))[::-1][:4])
    np.testing.assert_allclose(sizes, expected, rtol=1e-5)


# the command


class QuickGathering:
    asked: tuple[Any, ...] = ()

    def __init__(self, *asked: Any) -> None:
        type(self).asked = asked

    def table(self, name: str) -> Any:
        return TABLES[name]


@pytest.fixture
def quick(quick_model: type[QuickModel], monkeypatch: pytest.MonkeyPatch) -> type[QuickGathering]:
    def draw(name: str, table: Any, *options: Any) -> Any:
        assert table is TABLES[DRAWINGS[name].table]
        return paper(1.0, 1.0)

    monkeypatch.setattr(gathering, "Gathering", QuickGathering)
    monkeypatch.setattr(figures, "draw", draw)
    return QuickGathering


def test_the_command_lists_what_it_wrote(
    files: SimpleNamespace, quick: type[QuickGathering], capsys: Output
) -> None:
    command = ["figures", files.voice, "--out", "made/here", "--items", "7", "--json"]
    only = ["--only", "levers", "--only", "posterior", "--format", "svg"]
    assert main([*command, *only]) == 0
    document = json.loads(capsys.readouterr().out)
    written = {name: f"made/here/{name}.svg" for name in ("posterior", "levers")}
    assert document == {"figures": written, "items": 7, "recordings": 1}
    assert {str(path) for path in Path("made/here").iterdir()} == set(written.values())
    before = contents(files.folder)
    assert main([*command, *only]) == 2
    refused(capsys, "already exists; use --overwrite")
    assert contents(files.folder) == before
    assert main([*command, *only, "--overwrite"]) == 0


def test_without_files_the_demo_is_shown(
    files: SimpleNamespace, quick: type[QuickGathering], capsys: Output
) -> None:
    assert main(["figures", "--out", "made", "--projection", "mds"]) == 0
    assert [shown.path.name for shown in quick.asked[1]] == ["guitar.flac"]
    assert sorted(path.stem for path in Path("made").iterdir()) == sorted(DRAWINGS)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Wrote made/embeddings.png, " in captured.err


def test_a_folder_of_recordings_can_be_shown(
    files: SimpleNamespace, quick: type[QuickGathering], capsys: Output
) -> None:
    Path("takes").mkdir()
    names = {split: next(f"{n}" for n in range(99) if split_of(f"{n}") == split)
             for split in ("train", "valid", "test")}  # fmt: skip
    for name in names.values():
        audio.write(f"takes/{name}.wav", sound(0, 12.5, 8000), 8000)
    command = ["figures", "--manifest", "takes", "--out", "made", "--only", "levers"]
    assert main(command) == 0
    assert [shown.path.stem for shown in quick.asked[1]] == [names["test"]]
    assert main([*command, "--split", "valid", "--overwrite"]) == 0
    assert [shown.path.stem for shown in quick.asked[1]] == [names["valid"]]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--only", "spectra"], 2, "There is no figure 'spectra'"),
        (["none.wav"], 3, "none.wav does not exist"),
        (["silent.wav"], 3, "silent.wav is silent"),
        (["voice.wav", "--manifest", "."], 2, "not both"),
        (["--manifest", "nowhere"], 2, "no manifest and no folder nowhere"),
        (["--items", "2"], 2, "--items"),
        (["--format", "gif"], 2, "--format"),
        (["--out", "voice.wav"], 2, "voice.wav"),
        (["--model", "no/such"], 4, "no/such is nowhere"),
        (["--projection", "umap"], 2, "pip install 'afxvae[umap]'"),
    ],
)
def test_what_cannot_be_drawn_is_one_sentence(
    arguments: list[str],
    code: int,
    said: str,
    files: SimpleNamespace,
    quick: type[QuickGathering],
    monkeypatch: pytest.MonkeyPatch,
    capsys: Output,
) -> None:
    monkeypatch.setitem(sys.modules, "umap", None)
    audio.write("silent.wav", torch.zeros(1, 48000), 24000)
    before = contents(files.folder)
    assert main(["figures", "--out", "made", *arguments]) == code
    refused(capsys, said)
    assert contents(files.folder) == before


def test_no_matplotlib_is_one_sentence(
    files: SimpleNamespace,
    quick: type[QuickGathering],
    monkeypatch: pytest.MonkeyPatch,
    capsys: Output,
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert main(["figures", "--out", "made"]) == 2
    refused(capsys, "pip install 'afxvae[figures]'")
    assert not Path("made").exists()


def test_a_failure_while_drawing_leaves_nothing(
    files: SimpleNamespace, quick: type[QuickGathering], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise UsageError("No.")

    monkeypatch.setattr(figures, "as_bytes", fail)
    assert main(["figures", "--out", "made"]) == 2
    assert not Path("made").exists()
