"""Training runs from recordings to weights that load, and goes on where it stopped."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from afxvae import processes, training
from afxvae.data.corpus import load_manifest
from afxvae.data.shards import ShardPlan, load_shard
from afxvae.dsp.features import SAMPLE_RATE, Features
from afxvae.effects import default_chain
from afxvae.models.style_vae import AFXStyleVAE
from afxvae.training import Recipe, Stage, load_recipe, recipe
from afxvae.training.critic import Trial, calibrate
from afxvae.training.encoder import Leg, SupervisedEncoder, forgetful, train_encoder
from afxvae.training.pool import Pool
from afxvae.training.recipe import LatentStage
from afxvae.types import UsageError
from tests.sounds import recording, sound, untrained

EXAMPLE = Path(__file__).parents[2] / "examples" / "train_base_model" / "recipe.toml"
TINY = """
name = "tiny"
train_shards = 2
valid_shards = 1
train_pairs = 2
valid_pairs = 1
train_changes = 1
valid_changes = 1
comparisons = 6
candidates = 2
axis_items = 1
encoder = [{ steps = 2, batch = 2 }, { steps = 1, batch = 2, rate = 1e-4, blur = 0.1 }]
latent = { steps = 2, batch = 2, rate = 1e-3 }
listening = { steps = 1, batch = 1, rate = 1e-4 }
aligner = { steps = 2, batch = 4, rate = 1e-3 }
waveform = { steps = 2, batch = 4, rate = 1e-3 }
refiner = { steps = 2, batch = 4, rate = 1e-3 }
critic = { steps = 2, batch = 4, rate = 1e-3 }
"""


class Here:
    """Stands in for a pool of processes, whose start takes longer than what they do here."""

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def __enter__(self) -> Here:
        return self

    def __exit__(self, *_: object) -> None: ...

    def imap(
        self, work: Callable[[Any], Any], jobs: Iterable[Any], chunksize: int = 1
    ) -> Iterator[Any]:
        yield from map(work, jobs)


class Context:
    Pool = Here


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Path]]:
    """Train on shards of a few crops; called again it goes on in the same folder."""
    folder = tmp_path_factory.mktemp("training")
    places = [("train", 0), ("train", 1), ("valid", 2), ("valid", 3)]
    (folder / "data").mkdir()
    made = [recording(folder / "data", seed, split=split) for split, seed in places]
    manifest = recipe.write_manifest(made, folder / "manifest.jsonl")
    config = folder / "recipe.toml"
    config.write_text(TINY, encoding="utf-8")

    def small(*values: Any) -> ShardPlan:
        plan = ShardPlan(*values)
        return replace(plan, size=4 if plan.what == "pool" else 2, treatments=2)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recipe, "ShardPlan", small)
        patch.setattr(processes, "get_context", lambda _: Context)
        for name in ("fit_surrogate", "train_judge"):
            patch.setattr(recipe, name, functools.partial(getattr(recipe, name), steps=2))

        def train() -> Path:
            return training.run(config, data=manifest, out=folder / "out", workers=1)

        threads = torch.get_num_threads()  # those of processes of their own are fewer
        yield train
        torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def trained(run: Callable[[], Path]) -> Path:
    return run()


def test_a_run_leaves_a_model_that_loads_and_matches(trained: Path) -> None:
    model = AFXStyleVAE.from_pretrained(trained)
    assert model.identifier == "tiny"
    margin = float(model.critic.margin)
    assert 0.0 <= margin <= 3.0
    match = model.match(sound(7, 2.0), sound(8, 2.0), sample_rate=SAMPLE_RATE, effort="fast")
    assert bool(torch.isfinite(match.audio).all())
    assert match.preset.model == "tiny"


def test_every_stage_leaves_its_log_and_its_checkpoint(trained: Path) -> None:
    out = trained.parent
    shards_made = sorted(path.name for path in (out / "shards").iterdir())
    assert shards_made == [
        f"{what}-{split}-{index:05d}.safetensors"
        for what in ("changes", "comparisons", "pairs", "pool")
        for split, count in (("train", 1 if what == "changes" else 2), ("valid", 1))
        for index in range(count)
    ]
    for stage in ("encoder-1", "encoder-2", "latent", "listening"):
        assert (out / f"{stage}.safetensors").is_file()
    for stage, steps in (("encoder-1", 2), ("encoder-2", 1), ("refiner", 2), ("critic", 2)):
        rows = [json.loads(line) for line in (out / f"{stage}.jsonl").read_text().splitlines()]
        assert rows[-1]["step"] == steps
    assert len(list((out / "trials").iterdir())) == 3


def test_a_second_run_renders_nothing_and_trains_nothing_again(
    run: Callable[[], Path], trained: Path
) -> None:
    out = trained.parent
    kept = ("shards/*", "trials/*")
    before = {path: path.stat().st_mtime_ns for what in kept for path in out.glob(what)}
    weights = AFXStyleVAE.from_pretrained(trained).state_dict()
    assert run() == trained
    assert {path: path.stat().st_mtime_ns for what in kept for path in out.glob(what)} == before
    again = AFXStyleVAE.from_pretrained(trained).state_dict()
    for name, value in weights.items():
        torch.testing.assert_close(again[name], value, msg=name)


def test_a_stage_that_was_interrupted_goes_on_at_its_step(trained: Path, tmp_path: Path) -> None:
    chain, statistics = default_chain(), untrained().config["statistics"]
    for length in (1, 3):
        model = SupervisedEncoder(chain, statistics, 8, 4)
        leg = Leg(length, batch=2)
        train_encoder(model, chain, trained.parent / "shards", tmp_path / "a.safetensors", leg)
    rows = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 3]
    with safe_open(tmp_path / "a.safetensors", "pt") as file:
        assert file.metadata() == {"step": "3", "averaged": "3"}


# pools


def test_a_pass_over_a_pool_sees_every_crop_once(trained: Path) -> None:
    pool = Pool(trained.parent / "shards", "train")
    assert len(pool) == 2
    assert len(Pool(trained.parent / "shards", "train", 1)) == 1
    seen = [batch["controls"] for batch in pool.batches(3, torch.Generator().manual_seed(0))]
    everything = [shard["controls"] for shard in pool.shards]
    for one, other in ((seen, everything), (everything, seen)):
        rows = torch.cat(other).flatten(1).tolist()
        assert all(row in rows for row in torch.cat(one).flatten(1).tolist())
    assert sum(map(len, seen)) == sum(map(len, everything)) == 8
    pool.refresh()
    assert len(pool) == 2


def test_pools_of_older_versions_are_refused(trained: Path, tmp_path: Path) -> None:
    shard = load_shard(trained.parent / "shards" / "pool-train-00000.safetensors")
    del shard["twin"]
    save_file(shard, tmp_path / "pool-train-00000.safetensors")
    with pytest.raises(UsageError, match="older version: remove it"):
        Pool(tmp_path, "train")


# the critic's margin


def trial(model: AFXStyleVAE, before: float, *distances: float) -> Trial:
    from afxvae.candidates import Candidate

    chain = default_chain()
    on = torch.ones(len(chain.effects), dtype=torch.bool)
    candidate = Candidate("", chain.default_controls(), on)
    embedding = torch.zeros(1, model.config["embedding_dim"])
    count = len(distances)
    return Trial(
        embedding,
        embedding,
        embedding.expand(count, -1),
        [candidate] * count,
        torch.tensor(distances),
        before,
    )


def test_the_margin_leaves_at_most_the_allowed_share_worse() -> None:
    """This critic expects 1 with a doubt of 1 of everything: it takes all, or with 1 nothing."""
    model = untrained(expectation=1.0)
    good, bad = trial(model, 2.0, 1.0), trial(model, 2.0, 3.0)
    rows = calibrate(model, [good] * 19 + [bad], 0.06)
    assert float(model.critic.margin) == 0.0
    assert rows[0] == {
        "margin": 0.0,
        "closure": pytest.approx(1.0 - (19 + 3) / 40),
        "worse": pytest.approx(0.05),
        "touched": 0.0,
        "left_alone": 0.0,
        "chosen": 1.0,
    }
    rows = calibrate(model, [good] * 18 + [bad] * 2, 0.06)
    assert float(model.critic.margin) == pytest.approx(1.0)
    (chosen,) = [row for row in rows if row["chosen"]]
    assert (chosen["worse"], chosen["left_alone"], chosen["closure"]) == (0.0, 1.0, 0.0)


def test_the_margin_protects_recordings_without_treatment() -> None:
    """Of twenty items two had nothing done to them: to change one of those is one too many."""
    model = untrained(expectation=1.0)
    good, untreated = trial(model, 2.0, 1.0), trial(model, 0.0, 1.0)
    rows = calibrate(model, [good] * 18 + [untreated] * 2, 0.5, 0.05)
    assert (rows[0]["worse"], rows[0]["touched"]) == (pytest.approx(0.1), 1.0)
    assert float(model.critic.margin) == pytest.approx(1.0)


# recipes


def test_a_recipe_may_leave_out_what_stays_at_its_default(tmp_path: Path) -> None:
    assert load_recipe(None) == Recipe()
    path = tmp_path / "recipe.toml"
    path.write_text(TINY, encoding="utf-8")
    found = load_recipe(path)
    assert found == replace(
        Recipe(),
        name="tiny",
        train_shards=2,
        valid_shards=1,
        train_pairs=2,
        valid_pairs=1,
        train_changes=1,
        valid_changes=1,
        comparisons=6,
        candidates=2,
        axis_items=1,
        encoder=(Leg(2, 2), Leg(1, 2, 1e-4, blur=0.1)),
        latent=LatentStage(2, 2, 1e-3),
        listening=Stage(1, 1, 1e-4),
        aligner=Stage(2, 4, 1e-3),
        waveform=Stage(2, 4, 1e-3),
        refiner=Stage(2, 4, 1e-3),
        critic=Stage(2, 4, 1e-3),
    )


def test_the_recipe_of_the_bundled_model_can_be_read() -> None:
    assert load_recipe(EXAMPLE).name.startswith("afxvae-base")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "cannot be read: .*No such file"),
        ("name = ", "cannot be read"),
        ("train_changes = 2\nvalid_changes = 0", "has train_changes, so it needs valid_changes"),
        ("equalized = 0", "has no equalized, but it needs one at least"),
        ("nome = 'a'\nmore = 1", "has unknown entries: more, nome"),
        ("[latent]\nsteps = 1", "cannot be read: .*batch"),
        ("[critic]\nsteps = 1\nbatch = 1\nrate = 1.0\nspeed = 2", "cannot be read: .*speed"),
        ("[[encoder]]\nbatch = 1", "cannot be read: .*steps"),
        ("[encoder]\nsteps = 1", "cannot be read"),
    ],
)
def test_a_recipe_that_cannot_be_followed_is_refused(
    text: str | None, words: str, tmp_path: Path
) -> None:
    path = tmp_path / "recipe.toml"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=words) as caught:
        load_recipe(path)
    assert str(path) in str(caught.value)


def test_data_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="There is no folder"):
        training.run(data=tmp_path / "nowhere", out=tmp_path / "out")
    with pytest.raises(UsageError, match="No readable audio"):
        training.run(data=tmp_path, out=tmp_path / "out")
    recording(tmp_path, 0)  # one recording is in one split
    with pytest.raises(UsageError, match="no recording in its valid split"):
        training.run(data=tmp_path, out=tmp_path / "out")


def test_a_manifest_is_read_back_as_it_was(tmp_path: Path) -> None:
    made = [recording(tmp_path, 0)]
    path = recipe.write_manifest(made, tmp_path / "sub" / "manifest.jsonl")
    assert load_manifest(path) == made


def test_a_forgetful_encoder_recovers() -> None:
    """It hears something else every time while it lasts, and the same as before afterwards."""
    model = untrained().eval()
    features = Features(torch.randn(3, 64, 80), torch.randn(3, model.config["statistics"]))
    before = model.embed_features(features)
    with forgetful(model.encoder, Leg(1)):
        first, second = (model.embed_features(features) for _ in range(2))
    assert not torch.equal(first, second)
    assert torch.equal(model.embed_features(features), before)


def test_a_recipe_can_train_the_encoder_of_another_model_further(tmp_path):
    model = untrained()
    model.save_pretrained(tmp_path / "first")
    other = AFXStyleVAE(model.config["statistics"])
    first = next(model.encoder.parameters())
    for start in ("", str(tmp_path / "first")):
        found = recipe._supervised(Recipe(start=start), other)
        alike = torch.allclose(next(found.encoder.parameters()), first, atol=1e-3)
        assert alike == bool(start)
