"""Figures of a model show what is in their tables, and are written whole or not at all."""

from __future__ import annotations

import importlib.machinery
import sys
from io import BytesIO
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from afxvae.figures import DRAWINGS, as_bytes, check_projection, draw, figure_names, project
from afxvae.figures.arrays import Interpolated, Knob, Moved, Posteriors, Treated
from afxvae.figures.latents import active_units, explained, principal_part
from afxvae.figures.paper import paper
from afxvae.models.estimate import ESTIMATED
from afxvae.regularizers import kl
from afxvae.timbre import ATTRIBUTES
from afxvae.types import UsageError

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
