"""The comparison of regularisers runs, on made-up sounds, and its parts do what they say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from afxvae.timbre import Dissimilarities
from afxvae.types import UsageError
from tests.benchmarks import regularizer_sets, regularizer_tables, regularizers
from tests.benchmarks.regularizer_measuring import monotone
from tests.benchmarks.regularizer_sounds import (
    FAMILIES,
    KINDS,
    NAMES,
    TREATMENTS,
    fundamental_hz,
    level_spread_db,
)

CROPS = 360


@pytest.fixture(scope="module")
def sounds() -> dict[str, Tensor]:
    """Classes at random places, each item near its own."""
    generator = torch.Generator().manual_seed(0)

    def noise(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    number = torch.arange(CROPS)
    kind, attributes = number % len(KINDS), len(NAMES)
    effect = (TREATMENTS * number[:, None] + torch.arange(TREATMENTS)) % len(FAMILIES)
    setting = torch.rand(CROPS, TREATMENTS, generator=generator)
    difference = noise(len(FAMILIES), 64)[effect]
    change = noise(len(FAMILIES), attributes)[effect] * setting[..., None]
    return {
        "dry": noise(len(KINDS), 256)[kind] + 0.5 * noise(CROPS, 256),
        "dry_attributes": noise(len(KINDS), attributes)[kind] + 0.5 * noise(CROPS, attributes),
        "kind": kind,
        "group": 10 * kind + number // len(KINDS) % 4,
        "held_out": number // len(KINDS) % 3 == 2,
        "pitch_hz": 400.0 * torch.rand(CROPS, generator=generator),
        "spread_db": 30.0 * torch.rand(CROPS, generator=generator),
        "difference": difference + 0.5 * noise(*difference.shape),
        "change": change + 0.5 * noise(*change.shape),
        "effect": effect,
        "setting": setting,
    }


def test_the_comparison_runs_and_fills_its_page(sounds: dict[str, Tensor], tmp_path: Path) -> None:
    table = regularizer_sets.instruments_table(sounds, {})
    (tmp_path / "space.md").write_text(
        "A\n<!-- instruments: table -->\n<!-- instruments: end -->\n"
    )
    rows = ("vanilla", "class prior", "pearson")
    results = [
        regularizers.compare("instruments", table, tmp_path, range(2), 20, lambda line: None, rows)
        for _ in range(2)
    ]
    assert json.dumps(results[0]) == json.dumps(results[1])  # the second is read from files
    regularizers.write({"instruments": results[0]}, tmp_path, tmp_path / "space")
    page = (tmp_path / "space.md").read_text()
    assert "| pearson | " in page
    assert page.startswith("A\n<!-- instruments: table -->\n")
    views = regularizers.views("instruments", tmp_path)
    assert set(views) == {"PCA", *rows}
    assert set(json.loads((tmp_path / "results.json").read_text())) == {"instruments"}


def test_nothing_of_held_out_or_unseen_sounds_is_learned(sounds: dict[str, Tensor]) -> None:
    table = regularizer_sets.effects_table(sounds)
    held_out = sounds["held_out"].repeat_interleave(TREATMENTS)
    assert not (table.learn & held_out).any()
    assert table.names[table.seen :] == ("bit_crusher", "phaser")
    assert int(table.label[table.learn].max()) == table.seen - 1
    assert bool((table.label[table.unseen] >= table.seen).all())
    table = regularizer_sets.instruments_table(sounds, {})
    learned, tested = (sounds["group"][rows].unique() for rows in (table.learn, table.test))
    assert not torch.isin(learned, tested).any()


def test_targets_are_symmetric_with_their_mean(sounds: dict[str, Tensor]) -> None:
    table = regularizer_sets.effects_table(sounds)
    assert torch.equal(table.mean, table.mean.T)
    assert not table.mean.diagonal().any()
    assert not table.deviation.diagonal().any()
    others = table.seen * (table.seen - 1)
    assert float(table.mean.sum()) / others == pytest.approx(regularizer_sets.TARGET, rel=1e-5)


def test_things_of_a_file_are_found_by_kind_and_by_group(sounds: dict[str, Tensor]) -> None:
    groups = {40: "fluid-cello", 41: "tonejs-cello", 42: "tonejs-harp", 43: "fluid-viola"}
    wanted = ("Cello", "Drums", "Bass", "Speech", "Oboe")
    names, label = regularizer_sets.match_names(sounds, groups, wanted)
    assert names == ["Cello", "Drums", "Bass", "Speech"]
    assert bool((label[(sounds["group"] == 40) | (sounds["group"] == 41)] == 0).all())
    assert bool((label[sounds["group"] == 42] == -1).all())
    matrix = torch.rand(5, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    matrix = (matrix + matrix.T).fill_diagonal_(0.0)
    ratings = Dissimilarities(wanted, matrix.numpy())
    table = regularizer_sets.instruments_table(sounds, groups, ratings)
    ratio = table.mean / matrix[:4, :4].float()
    others = ratio[~torch.eye(4, dtype=torch.bool)]
    torch.testing.assert_close(others, others[:1].expand(12))
    with pytest.raises(UsageError, match="Only 1 of"):
        regularizer_sets.match_names(sounds, groups, ("Cello", "Oboe"))


def test_intervals_are_student_s() -> None:
    # of 1, 2, 3: 4.303 * 1 / sqrt(3)
    assert regularizer_tables.half_interval([1.0, 2.0, 3.0]) == pytest.approx(2.484, abs=1e-3)
    assert regularizer_tables.half_interval([1.0]) is None
    runs, others = ([{"r2": v + d} for v in (0.1, 0.5, 0.9)] for d in (0.02, 0.0))
    runs[0]["r2"] += 0.001
    assert regularizer_tables.differs(runs, others, "r2")
    assert not regularizer_tables.differs(others, others, "r2")


def test_lines_that_turn_back_are_not_monotone() -> None:
    share = torch.linspace(0.0, 1.0, 11)
    values = torch.stack([share, -share, share + torch.sin(6.0 * share), 0.1 * share], 1)[None]
    forth, counts = monotone(values)
    assert forth[0].tolist() == [True, True, False, True]
    assert counts[0].tolist() == [True, True, True, False]


@pytest.mark.parametrize("hertz", [60.0, 220.0, 900.0])
def test_fundamental_of_a_harmonic_sound(hertz: float) -> None:
    time = torch.arange(48_000) / 24_000
    sound = torch.stack([torch.sin(2 * torch.pi * hertz * n * time) / n for n in range(1, 6)])
    assert float(fundamental_hz(sound.sum(0))) == pytest.approx(hertz, rel=0.03)


def test_noise_has_no_fundamental_and_levels_spread_by_their_ratio() -> None:
    noise = torch.randn(48_000, generator=torch.Generator().manual_seed(0))
    assert float(fundamental_hz(noise)) == 0.0
    noise[:24_000] *= 0.1
    assert float(level_spread_db(noise)) == pytest.approx(20.0, abs=0.5)
