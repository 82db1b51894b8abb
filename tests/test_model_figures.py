"""Figures of a model show what is in their tables, and are written whole or not at all."""

from __future__ import annotations

import importlib.machinery
import json
import sys
from io import BytesIO
from pathlib import Path
from types import ModuleType, SimpleNamespace
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
from afxvae.figures import DRAWINGS, as_bytes, check_projection, draw, figure_names, project
from afxvae.figures.arrays import Interpolated, Knob, Moved, Posteriors, Treated
from afxvae.figures.latents import active_units, explained, principal_part
from afxvae.figures.paper import paper
from afxvae.jobs import gathering
from afxvae.models.estimate import ESTIMATED
from afxvae.regularizers import kl
from afxvae.timbre import ATTRIBUTES, attributes
from afxvae.types import UsageError

from .conftest import Output, QuickModel, contents, refused
from .sounds import sound

pytest.importorskip("matplotlib")
NAMES = ("brightness", "boominess", "roughness", "decay")
STEPS = np.array([-1.0, 0.0, 1.0])


def treated(clips: int = 6) -> Treated:
    rng = np.random.default_rng(1)
    effects = ("nothing", *ESTIMATED) * clips
    tables = [rng.normal(size=(len(effects), size)) for size in (5, 4, 3)]
    knobs = {
        name: Knob("time", "ms", name in ("delay", "reverb"), rng.uniform(0.5, 1.5, clips))
        for name in ESTIMATED
    }
    changes = {name: rng.normal(size=len(effects)) for name in ATTRIBUTES}
    sources = tuple(f"kind {clip}" for clip in range(clips))
    return Treated(rng.normal(size=(clips, 5)), sources, *tables, effects, knobs, changes)


def posteriors() -> Posteriors:
    rng = np.random.default_rng(2)
    mean, difference = rng.normal(size=(40, 4)), rng.normal(size=(40, 8))
    mean[:, 1] *= 0.01
    noise = 0.1 * rng.normal(size=difference.shape)
    return Posteriors(mean, rng.normal(size=(40, 4)) - 3.0, difference, difference + noise)


def moved() -> Moved:
    """Every attribute follows its own move, and no other."""
    own = np.eye(4)[None, :, None, :] * STEPS[None, None, :, None]
    return Moved(NAMES, NAMES, STEPS, np.repeat(own, 5, 0))


def interpolated() -> Interpolated:
    pictures = -60.0 * np.random.default_rng(3).random((2, 5, 8, 9))
    hz = np.geomspace(30.0, 12000.0, 8)
    return Interpolated(("knobs", "latent"), tuple("ABCDE"), pictures, hz, 1.5, "drums")


TABLES: dict[str, Any] = {
    "treated": treated(),
    "posteriors": posteriors(),
    "levers": moved(),
    "traversals": moved(),
    "interpolated": interpolated(),
}


# projections


def test_a_plane_in_many_dimensions_is_given_back() -> None:
    rng = np.random.default_rng(0)
    plane = rng.normal(size=(30, 2)) * (3.0, 1.0)
    directions, _ = np.linalg.qr(rng.normal(size=(12, 2)))
    points = plane @ directions.T + rng.normal(size=12)

    def apart(points: np.ndarray) -> np.ndarray:
        return np.linalg.norm(points[:, None] - points[None], axis=-1)

    found = project(points, "pca")
    np.testing.assert_allclose(apart(found.points), apart(plane), atol=1e-9)
    assert found.points.var(0)[0] > found.points.var(0)[1]
    scaled = project(points, "mds")
    assert scaled.note == "stress 0.00"
    assert np.corrcoef(apart(scaled.points).ravel(), apart(plane).ravel())[0, 1] > 0.999


def test_what_cannot_be_projected_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="needs 3 points of 2 dimensions"):
        project(np.zeros((2, 5)))
    with pytest.raises(UsageError, match="no projection 'tsne'; there are pca, mds, umap"):
        project(np.zeros((5, 5)), "tsne")
    monkeypatch.setitem(sys.modules, "umap", None)
    check_projection("mds")
    with pytest.raises(UsageError, match=r"pip install 'afxvae\[umap\]'"):
        check_projection("umap")


def test_umap_gets_the_seed_and_few_enough_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    class UMAP:
        def __init__(self, **options: Any) -> None:
            asked.update(options)

        def fit_transform(self, points: np.ndarray) -> np.ndarray:
            return points[:, :2]

    module = ModuleType("umap")
    module.__spec__ = importlib.machinery.ModuleSpec("umap", None)
    monkeypatch.setattr(module, "UMAP", UMAP, raising=False)
    monkeypatch.setitem(sys.modules, "umap", module)
    points = np.arange(12.0).reshape(4, 3)
    found = project(points, "umap", seed=7)
    np.testing.assert_array_equal(found.points, points[:, :2])
    assert asked["random_state"] == 7
    assert asked["n_neighbors"] == 3


# drawings


@pytest.mark.parametrize("name", DRAWINGS)
def test_every_figure_is_a_picture_of_the_asked_size(name: str) -> None:
    image = pytest.importorskip("PIL.Image")
    figure = draw(name, TABLES[DRAWINGS[name].table])
    picture = image.open(BytesIO(as_bytes(figure, "png")))
    assert picture.format == "PNG"
    expected = figure.get_size_inches() * 110
    np.testing.assert_allclose(picture.size, expected, atol=1.0)
    assert len(picture.convert("L").getcolors()) > 20
    for axes in figure.axes:  # each says what it shows
        named = axes.get_xlabel() or axes.get_ylabel() or axes.get_title()
        assert named or axes.get_shared_x_axes().get_siblings(axes) != [axes]


def test_the_same_figure_gives_the_same_bytes() -> None:
    def drawn(form: str) -> bytes:
        figure = paper(2.0, 1.0)
        figure.add_subplot().set_title("one")
        return as_bytes(figure, form)

    for form, start in (("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")):
        one, again = drawn(form), drawn(form)
        assert one == again
        assert one.startswith(start)
    with pytest.raises(UsageError, match="no format 'gif'; there are png, svg, pdf"):
        drawn("gif")


def test_names_are_in_one_order_and_must_be_known() -> None:
    assert figure_names(None) == list(DRAWINGS)
    assert figure_names(["levers, embeddings", "levers"]) == ["embeddings", "levers"]
    with pytest.raises(UsageError, match=r"no figure 'spectra'; there are embeddings, "):
        figure_names(["levers,spectra"])


def test_every_item_is_a_point() -> None:
    table = treated()
    for method in ("pca", "mds"):
        clean, *others = draw("embeddings", table, method).axes
        assert sum(len(c.get_offsets()) for c in clean.collections) == len(table.clean)
        for axes in others:
            assert len(axes.collections) == 7
            assert all(len(c.get_offsets()) == len(table.clean) for c in axes.collections)
    drawn = draw("parameters", table).axes
    points = [a.collections[0] for a in drawn if a.get_title() in ESTIMATED]
    for name, found in zip(table.knobs, points, strict=True):
        np.testing.assert_allclose(found.get_array(), table.knobs[name].settings)


def test_boxes_stand_at_the_medians_of_their_effects() -> None:
    table = treated()
    drawn = draw("attributes", table).axes
    assert [axes.get_title() for axes in drawn] == list(ATTRIBUTES)
    for axes, changes in zip(drawn, table.changes.values(), strict=True):
        of = np.array(table.effects)
        medians = [np.median(changes[of == name]) for name in ESTIMATED]
        lines = {round(float(x[0]), 9) for x in (line.get_xdata() for line in axes.lines)}
        assert {round(float(median), 9) for median in medians} <= lines


def test_moves_that_do_as_asked_lie_on_the_diagonal() -> None:
    figure = draw("levers", moved())
    for name, axes in zip(NAMES, figure.axes, strict=True):
        lines = {line.get_label(): line for line in axes.lines}
        for attribute in NAMES:
            expected = STEPS if attribute == name else 0.0 * STEPS
            np.testing.assert_allclose(lines[attribute].get_ydata(), expected)
        assert axes.get_ylim()[1] >= 1.0


def test_nats_and_units_are_those_of_the_posteriors() -> None:
    table = posteriors()
    assert active_units(table.mean).tolist() == [True, False, True, True]
    nats, spread, _ = draw("posterior", table).axes
    parts = (torch.from_numpy(part) for part in (table.mean, table.log_var))
    expected = np.sort(kl(*parts).mean(0).numpy())[::-1]
    np.testing.assert_allclose([bar.get_height() for bar in nats.patches], expected)
    assert spread.get_title() == "3 of 4 dimensions in use"


def test_reconstructions_are_judged_between_the_mean_and_the_truth() -> None:
    values = np.random.default_rng(4).normal(size=(50, 6))
    assert explained(values, values) == 1.0
    assert explained(values, np.broadcast_to(values.mean(0), values.shape)) == 0.0
    flat = values[:, :2] @ np.ones((2, 6)) * np.arange(1.0, 7.0)
    assert explained(flat, principal_part(flat, 1)) == pytest.approx(1.0)
    shares = [explained(values, principal_part(values, size)) for size in range(7)]
    assert shares == sorted(shares)
    assert "R² 0.99" in draw("reconstruction", posteriors()).axes[0].get_title()


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
    assert table.measured == NAMES
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
