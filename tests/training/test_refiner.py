"""Pairs without an equaliser become pairs with one, as if the reference had been equalised."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from afxvae.data.comparisons import compare_pool
from afxvae.data.pairs import make_pairs
from afxvae.data.pools import clip_groups, pool_clips, render_pool, restore_log_mel
from afxvae.data.treatments import random_treatments
from afxvae.dsp.features import CLIP_SAMPLES, N_MELS, SAMPLE_RATE
from afxvae.dsp.likeness import N_LIKENESS, likeness
from afxvae.effects import default_chain
from afxvae.measure.equalizer import eq_bands_db
from afxvae.models.refiner import JUDGE_FIGURES
from afxvae.training.equalized import equalize_inputs
from afxvae.training.refiner import Comparisons, Equalizers, load_comparisons, train_judge
from tests.sounds import recording, sound, untrained

CHAIN = default_chain()
COUNT = 6


@pytest.fixture(scope="module")
def equalizers() -> Equalizers:
    return Equalizers(CHAIN, seed=0, count=50)


@pytest.fixture(scope="module")
def pairs() -> Comparisons:
    """The same pair over and over; the last two are equalised or driven already."""
    model = untrained()
    seconds = CLIP_SAMPLES / SAMPLE_RATE
    mine, theirs = (model.listen(sound(s, seconds)[:, :CLIP_SAMPLES]).log_mel for s in (1, 2))
    switches = torch.zeros(COUNT, len(CHAIN.effects), dtype=torch.bool)
    switches[-1, CHAIN.names.index("eq")] = True
    switches[-2, CHAIN.names.index("overdrive")] = True
    switches[0, CHAIN.names.index("compressor")] = True
    controls = CHAIN.default_controls().repeat(COUNT, 1)
    seen = likeness(mine, theirs).repeat(COUNT, 1)
    before = CHAIN.default_controls()[CHAIN.knobs_of("eq")].repeat(COUNT, 1)
    one = torch.ones(COUNT)
    code, aligned = torch.zeros(COUNT, 4), torch.zeros(COUNT, 2, N_MELS)
    return Comparisons(seen, one, one > 0, code, controls, switches, before, aligned)


@pytest.fixture(scope="module")
def pools(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, torch.Tensor]]:
    """Two shards of the same recordings."""
    folder = tmp_path_factory.mktemp("recordings")
    made = [recording(folder, seed) for seed in (0, 1)]
    return [render_pool(made, CHAIN, seed, 4, 2) for seed in (5, 6)]


def added(equalizers: Equalizers, pairs: Comparisons, *chosen: int) -> Comparisons:
    mask = torch.zeros(COUNT, dtype=torch.bool)
    mask[list(chosen)] = True
    return equalizers.add(pairs, mask, torch.Generator().manual_seed(3))


def test_only_chosen_pairs_that_allow_it_are_equalised(
    equalizers: Equalizers, pairs: Comparisons
) -> None:
    found = added(equalizers, pairs, 0, 2, 4, 5)
    eq = CHAIN.names.index("eq")
    assert found.switches[:, eq].tolist() == [True, False, True, False, False, True]
    for row in (1, 3, 4, 5):
        assert torch.equal(found.likeness[row], pairs.likeness[row])
        assert torch.equal(found.controls[row], pairs.controls[row])
    for row in (0, 2):
        assert not torch.equal(found.likeness[row], pairs.likeness[row])
    others = [index for index in range(len(CHAIN.effects)) if index != eq]
    assert torch.equal(found.switches[:, others], pairs.switches[:, others])


def test_the_filter_that_is_added_is_that_of_the_knobs(
    equalizers: Equalizers, pairs: Comparisons
) -> None:
    """Against the likeness of a reference that really went through this equaliser."""
    found = added(equalizers, pairs, 2)[torch.tensor([2])]
    model = untrained()
    seconds = CLIP_SAMPLES / SAMPLE_RATE
    mine, theirs = (sound(s, seconds)[:, :CLIP_SAMPLES] for s in (1, 2))
    knobs = CHAIN.to_settings(found.controls)["eq"]
    bent = CHAIN["eq"].process(theirs.unsqueeze(0), knobs, SAMPLE_RATE)[0]
    heard = likeness(model.listen(mine).log_mel, model.listen(bent).log_mel)[0, :N_MELS]
    moved = found.likeness[0, :N_MELS] - pairs.likeness[2, :N_MELS]
    real = heard - pairs.likeness[2, :N_MELS]
    difference = (moved - moved.median()) - (real - real.median())
    assert float(real.std()) > 1.5
    assert float(difference[8:-8].abs().mean()) < 0.3 * float(real.std())


def test_comparisons_of_several_shards_are_all_loaded(
    pools: list[dict[str, torch.Tensor]], tmp_path: Path
) -> None:
    """In their order, and what was taken off the reference is off."""
    rendered, compared = [], []
    for seed, pool in enumerate(pools, 5):
        shard, again = (compare_pool(pool, CHAIN, seed, 3) for _ in range(2))
        assert all(torch.equal(shard[name], again[name]) for name in shard)
        for name, tensors, paths in (("pool", pool, rendered), ("pairs", shard, compared)):
            paths.append(tmp_path / f"{name}-{seed}.safetensors")
            save_file({key: value.contiguous() for key, value in tensors.items()}, paths[-1])
    model = untrained()
    together = load_comparisons(model, rendered, compared)
    assert len(together) == 6
    assert together.likeness.shape == (6, N_LIKENESS)
    for place in range(2):
        alone = load_comparisons(model, rendered[place : place + 1], compared[place : place + 1])
        rows = torch.arange(3 * place, 3 * place + 3)
        for field in fields(Comparisons):
            assert torch.equal(getattr(together[rows], field.name), getattr(alone, field.name))


def test_a_comparison_is_of_the_clips_it_names(pools: list[dict[str, torch.Tensor]]) -> None:
    pool = pools[0]
    found = compare_pool(pool, CHAIN, 0, 100)
    assert len(found["audio"]) > 4
    wet = found["reference"] - 8  # dry clips come first
    assert bool(((wet >= 0) & (wet < 16)).all())
    left = pool["switches"].flatten(0, 2)[wet]
    assert not bool(left[:, [CHAIN.names.index(name) for name in ("delay", "reverb")]].all())
    mine = restore_log_mel(pool_clips(pool, "mel")[found["audio"][:1]])
    theirs = restore_log_mel(pool["wet_mel"].flatten(0, 2)[wet[:1]])
    want = likeness(mine, theirs)[0]
    torch.testing.assert_close(found["likeness"][0].float(), want, atol=0.05, rtol=1e-2)


def test_what_is_asked_for_is_the_difference_of_two_equalisers(tmp_path: Path) -> None:
    """The reference's, where it has one, less the input's."""
    pairs = make_pairs([recording(tmp_path, seed) for seed in (0, 1)], CHAIN, 3, 4, "P1")
    path = tmp_path / "pairs-valid-00000.safetensors"
    names = ("audio", "reference", "controls", "switches", "foreign")
    shard = {name: getattr(pairs, name).contiguous() for name in names}
    shard["groups"] = torch.tensor([[1, 1], [1, 2], [2, 2], [2, 2]])
    save_file(shard, path)
    model = untrained()
    known, again = (equalize_inputs(model, [path], seed=2) for _ in range(2))
    assert all(torch.equal(*both) for both in zip(known, again, strict=True))
    evidence, verified, one, _, on, fitted, _, true = known
    assert len(evidence) == len(verified) == 4
    assert one.tolist() == [1.0, 0.0, 1.0, 1.0]
    assert bool((on == 1.0).all())  # some band of a random equaliser has gain
    own, _ = random_treatments(CHAIN, 4, torch.Generator().manual_seed(2))
    knobs = CHAIN.knobs_of("eq")
    theirs = eq_bands_db(CHAIN["eq"], pairs.controls[:, knobs]) * pairs.switches[:, :1]
    torch.testing.assert_close(true, theirs - eq_bands_db(CHAIN["eq"], own[:, knobs]))
    apart, size = (
        (curve - curve.mean(1, keepdim=True)).abs().mean() for curve in (fitted - true, true)
    )
    assert apart < size  # what is measured goes the right way


def test_a_judge_learns_whom_to_believe() -> None:
    """Where the fit is right in one half of the pairs and the estimate in the other."""
    model, count = untrained(), 256
    generator = torch.Generator().manual_seed(0)
    true = 3.0 * torch.randn(count, N_MELS, generator=generator)
    fit_is_right = (torch.arange(count) % 2).float()
    side = fit_is_right.unsqueeze(1)
    evidence = torch.randn(count, JUDGE_FIGURES, generator=generator)
    evidence[:, 0] = fit_is_right
    one = torch.ones(count)
    curves = side * true, (1.0 - side) * true, true
    known = (evidence, one, one, torch.zeros(count), fit_is_right, *curves)
    train_judge(model, known, steps=300, batch=64, rate=1e-2)
    judged = [part.detach() for part in model.judge(evidence)]
    odds, shares = judged[:2]
    assert bool(((odds > 0.0) == (fit_is_right > 0.5)).float().mean() > 0.95)
    assert float(shares[fit_is_right > 0.5, 0].mean()) > 0.85
    assert float(shares[fit_is_right < 0.5, 1].mean()) > 0.85


def test_a_judge_learns_who_is_who() -> None:
    """Where the aligner is undecided, and a figure of the fit knows."""
    model, count = untrained(), 256
    generator = torch.Generator().manual_seed(0)
    evidence = torch.randn(count, JUDGE_FIGURES, generator=generator)
    one = (evidence[:, 5] < 0.0).float()
    verified, flat = torch.full((count,), 0.5), torch.zeros(count, N_MELS)
    known = (evidence, verified, one, torch.zeros(count), one, flat, flat, flat)
    train_judge(model, known, steps=300, batch=64, rate=1e-2)
    found = model.judge(evidence).same_source(verified).detach()
    assert float(((found > 0.5) == (one > 0.5)).float().mean()) > 0.9


def test_clips_are_of_the_groups_of_their_crops(pools: list[dict[str, torch.Tensor]]) -> None:
    pool = {**pools[0], "group": torch.tensor([7, 8, 9, 10])}
    dry, wet, bent = clip_groups(pool).split([8, 16, 8])
    assert dry.tolist() == bent.tolist() == [7, 7, 8, 8, 9, 9, 10, 10]
    assert wet.view(4, 4).tolist() == [[group] * 4 for group in (7, 8, 9, 10)]
