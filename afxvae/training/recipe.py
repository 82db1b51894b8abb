"""The whole way from recordings to weights: render, encoder, latent, listening, critic.

Every stage leaves its result in the output folder and is skipped or resumed when run again.
"""

from __future__ import annotations

import functools
import json
import sys
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file

from ..data.corpus import Recording, folder_corpus, load_manifest
from ..data.shards import ShardPlan, render_shards
from ..effects import default_chain
from ..evaluation.axes import name_axes
from ..models.style_vae import AFXStyleVAE
from ..types import UsageError
from .aligner import train_aligner
from .axes import NAMED
from .critic import calibrate, train_critic
from .distances import regularizer_named
from .encoder import Leg, SupervisedEncoder, forgetful, train_encoder
from .equalized import equalize_inputs
from .latent import embed_pool, latent_figures, train_latent
from .listening import load_pairs, train_listening
from .loggers import check_logger, logging_to
from .pool import Pool
from .refiner import load_comparisons, train_judge, train_refiner, weighed
from .surrogate import fit_surrogate
from .trials import load_trials, render_trials
from .waveform import train_waveform

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from .distances import Regularizer
    from .refiner import Comparisons
    from .surrogate import Surrogate

__all__ = ["LatentStage", "Recipe", "Stage", "load_recipe", "run", "train_stages", "write_manifest"]


@dataclass(frozen=True)
class Stage:
    """Length and learning rate of a stage; batches count crops, pairs or candidates."""

    steps: int
    batch: int
    rate: float


@dataclass(frozen=True)
class LatentStage(Stage):
    """Stage 2, and what else shapes the latent.

    Attributes:
        regularizer: One of `afxvae.regularizers.REGULARIZERS`, on distances between treatments, or
            ``"class prior"``, in the second half of the stage; none if empty.
        weight: Of the regulariser, in nats per sample; of the prior, see `ClassPrior`.
    """

    regularizer: str = ""
    weight: float = 5.0

    @property
    def term(self) -> Regularizer | None:
        """The regulariser, if there is one."""
        return regularizer_named(self.regularizer, self.weight) if self.regularizer else None


@dataclass(frozen=True)
class Recipe:
    """What `run` does; every field can be set in a TOML file.

    Attributes:
        name: Of the model.
        start: Model whose encoder is trained further, a folder, owner/name on the Hub, or
            ``"bundled"``; a new one if empty.
        seed: Of everything random.
        logger: Where figures go beside CSV and JSON lines: ``"tensorboard"``, ``"wandb"`` (offline
            unless `WANDB_MODE` says otherwise), ``"csv"`` for nowhere else, or ``"auto"``,
            TensorBoard where it is installed.
        train_shards: Pools of 64 crops with 3 treatments of each half.
        valid_shards: The same of held-out recordings.
        train_pairs: Shards of 32 pairs with audio, P1 and P2 in turns.
        valid_pairs: The same of held-out recordings.
        train_changes: Shards of 120 treatments whose attributes are measured, from which axes of
            the latent get their names; without names if 0.
        valid_changes: The same of held-out recordings.
        comparisons: Pairs of each pool that are compared where they sound alike, for the refiner.
        equalized: How many of the held-out shards of pairs show the judge inputs that have been
            equalised; at least one.
        candidates: Largest number of candidates a pair is tried with for the critic.
        axis_items: Pairs on which axes are calibrated, and as many on which they are tested.
        most_worse: Share of held-out items that may come out worse, which sets the critic's margin.
        most_touched: Share of held-out items without treatment that may be changed, likewise.
        encoder: Stage 1, in legs.
        latent: Stage 2.
        listening: Stage 3, left out if it has no steps.
        aligner: Stage 4.
        waveform: Stage 5.
        refiner: Stage 6.
        critic: Stage 7.
    """

    name: str = "afxvae-base"
    start: str = ""
    seed: int = 0
    logger: str = "auto"
    train_shards: int = 150
    valid_shards: int = 12
    train_pairs: int = 150
    valid_pairs: int = 16
    train_changes: int = 20
    valid_changes: int = 2
    comparisons: int = 192
    equalized: int = 32
    candidates: int = 6
    axis_items: int = 40
    most_worse: float = 0.05
    most_touched: float = 0.05
    encoder: tuple[Leg, ...] = (
        Leg(4200),
        Leg(2600, rate=1e-3),
        Leg(2400, rate=8e-4),
    )
    latent: LatentStage = field(default_factory=lambda: LatentStage(2600, 48, 1.2e-3))
    listening: Stage = field(default_factory=lambda: Stage(300, 8, 3e-4))
    aligner: Stage = field(default_factory=lambda: Stage(3000, 24, 1.5e-3))
    waveform: Stage = field(default_factory=lambda: Stage(2500, 24, 2e-3))
    refiner: Stage = field(default_factory=lambda: Stage(800, 384, 1e-3))
    critic: Stage = field(default_factory=lambda: Stage(2000, 512, 1e-3))


def load_recipe(path: Path | None) -> Recipe:
    """Read a recipe from TOML; what it leaves out keeps its default.

    Raises:
        UsageError: The file cannot be read, or names something that a recipe does not have.
    """
    if path is None:
        return Recipe()
    try:
        table = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        values: dict[str, Any] = {}
        for known in fields(Recipe):
            if known.name in table:
                value = table.pop(known.name)
                if known.name == "encoder":
                    value = tuple(Leg(**leg) for leg in value)
                kind = LatentStage if known.name == "latent" else Stage
                values[known.name] = kind(**value) if isinstance(value, dict) else value
    except (OSError, ValueError, TypeError) as error:
        raise UsageError(f"The recipe {path} cannot be read: {error}.") from error
    if int(values.get("train_changes", 1)) and not int(values.get("valid_changes", 1)):
        raise UsageError(f"The recipe {path} has train_changes, so it needs valid_changes too.")
    for name in ("valid_pairs", "equalized"):
        if int(values.get(name, 1)) < 1:
            raise UsageError(f"The recipe {path} has no {name}, but it needs one at least.")
    if table:
        raise UsageError(f"The recipe {path} has unknown entries: {', '.join(sorted(table))}.")
    return Recipe(**values)


def write_manifest(recordings: Sequence[Recording], path: Path) -> Path:
    """Write recordings as a manifest that `load_manifest` reads."""
    rows = [{**asdict(r), "path": str(r.path.resolve())} for r in recordings]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def run(
    config: Path | None = None,
    *,
    data: Path,
    out: Path,
    workers: int = 2,
    log: Callable[[str], None] = lambda line: None,
) -> Path:
    """Train a model and save it.

    Args:
        config: A recipe in TOML; the default recipe if omitted.
        data: A manifest of recordings, or a folder of audio.
        out: Gets ``shards/``, checkpoints, logs and, at the end, ``model/``.
        workers: Processes that render.
        log: Called with lines for people.

    Returns:
        The folder of the finished model, which `AFXStyleVAE.from_pretrained` loads.

    Raises:
        UsageError: The recipe or the data cannot be used.
    """
    recipe = load_recipe(config)
    check_logger(recipe.logger)  # before hours of rendering
    _ = recipe.latent.term
    try:
        manifest = data
        if not data.is_file():
            manifest = write_manifest(folder_corpus(data), out / "manifest.jsonl")
        recordings = load_manifest(manifest)
    except (OSError, ValueError) as error:
        raise UsageError(str(error)) from error
    known, held_out = ([r for r in recordings if r.split == s] for s in ("train", "valid"))
    if missing := [s for s, found in (("train", known), ("valid", held_out)) if not found]:
        raise UsageError(
            f"{data} has no recording in its {' and no in its '.join(missing)} split: about "
            "one group in ten is for validation, so more recordings are needed."
        )
    shards = out / "shards"
    plans = {
        (what, split): ShardPlan(manifest, split, shards, what, count, size, 3, seed + recipe.seed)
        for what, split, count, size, seed in (
            ("pool", "valid", recipe.valid_shards, 64, 900_000),
            ("pool", "train", recipe.train_shards, 64, 0),
            ("pairs", "valid", recipe.valid_pairs, 32, 700_000),
            ("pairs", "train", recipe.train_pairs, 32, 500_000),
            ("changes", "valid", recipe.valid_changes, 120, 2_900_000),
            ("changes", "train", recipe.train_changes, 120, 2_000_000),
            ("comparisons", "valid", recipe.valid_shards, recipe.comparisons, 1_500_000),
            ("comparisons", "train", recipe.train_shards, recipe.comparisons, 1_000_000),
        )
    }
    paths = {key: render_shards(plan, workers, log) for key, plan in plans.items()}
    torch.manual_seed(recipe.seed)
    with logging_to(recipe.logger, recipe.name):
        model = train_stages(recipe, out, shards, paths, workers, log)
    if recipe.train_changes:
        name_axes(model, NAMED, known, held_out, items=recipe.axis_items, seed=recipe.seed, log=log)
    model.save_pretrained(out / "model")
    return out / "model"


def train_stages(
    recipe: Recipe,
    out: Path,
    shards: Path,
    paths: dict[tuple[str, str], list[Path]],
    workers: int,
    log: Callable[[str], None],
) -> AFXStyleVAE:
    """Stages 1 to 7 on rendered shards."""
    chain = default_chain()
    model = _untrained(recipe, paths["pool", "train"])
    supervised = _supervised(recipe, model)
    for number, leg in enumerate(recipe.encoder, start=1):
        checkpoint = out / f"encoder-{number}.safetensors"
        train_encoder(supervised, chain, shards, checkpoint, leg, seed=recipe.seed, log=log)
    model.encoder.load_state_dict(supervised.encoder.state_dict())
    model.comparator.load_state_dict(supervised.comparator.state_dict())
    model.encoder.requires_grad_(False)
    model.comparator.requires_grad_(False)
    model.eval()
    with forgetful(model.encoder, recipe.encoder[-1], recipe.seed):
        pool = embed_pool(model, Pool(shards, "train"))
    held_out = embed_pool(model, Pool(shards, "valid"))
    model.typical.fit(pool.dry.flatten(0, 1), pool.kind.repeat_interleave(2))
    surrogate = _surrogate(recipe, model, paths, log)
    stage: Stage = recipe.latent
    train_latent(model, pool, held_out, out, steps=stage.steps, crops=stage.batch, rate=stage.rate,
                 seed=recipe.seed, surrogate=surrogate, regularizer=recipe.latent.term,
                 log=log)  # fmt: skip
    stage = recipe.listening
    if stage.steps:
        pairs = load_pairs(model, paths["pairs", "train"])
        heard = load_pairs(model, paths["pairs", "valid"])
        train_listening(model, pairs, heard, pool, out, steps=stage.steps, batch=stage.batch,
                        rate=stage.rate, seed=recipe.seed, surrogate=surrogate,
                        log=log)  # fmt: skip
    log(f"latent {json.dumps(latent_figures(model, held_out, surrogate=surrogate))}")
    pools = Pool(shards, "train"), Pool(shards, "valid")
    for train, stage in ((train_aligner, recipe.aligner), (train_waveform, recipe.waveform)):
        train(model, *pools, out, steps=stage.steps, batch=stage.batch, rate=stage.rate,
              seed=recipe.seed, log=log)  # fmt: skip
    stage = recipe.refiner
    with forgetful(model.encoder, recipe.encoder[-1], recipe.seed):
        compared = load_comparisons(model, paths["pool", "train"], paths["comparisons", "train"])
    others = load_comparisons(model, paths["pool", "valid"], paths["comparisons", "valid"], True)
    train_refiner(model, compared, others, out, steps=stage.steps, batch=stage.batch,
                  rate=stage.rate, seed=recipe.seed, log=log)  # fmt: skip
    train_judge(model, _known(recipe, model, others, paths), seed=recipe.seed, log=log)
    model.save_pretrained(out / "model")
    render = functools.partial(render_trials, out / "model", folder=out / "trials", log=log)
    tried = render(pairs=paths["pairs", "train"], most=recipe.candidates, workers=workers)
    stage = recipe.critic
    held = load_trials(render(pairs=paths["pairs", "valid"], most=None, workers=workers))
    train_critic(model, load_trials(tried), held, out, steps=stage.steps, batch=stage.batch,
                 rate=stage.rate, seed=recipe.seed, log=log)  # fmt: skip
    for row in calibrate(model, held, recipe.most_worse, recipe.most_touched):
        log(json.dumps(row))
    return model


def _known(
    recipe: Recipe,
    model: AFXStyleVAE,
    held_out: Comparisons,
    paths: dict[tuple[str, str], list[Path]],
) -> tuple[Tensor, ...]:
    """What the judge learns from: held-out pairs, and others whose inputs were equalised."""
    chosen = paths["pairs", "valid"][: recipe.equalized]  # P1 and P2 take turns
    bent = equalize_inputs(model, chosen, recipe.seed)
    return tuple(map(torch.cat, zip(weighed(model, held_out), bent, strict=True)))


def _surrogate(
    recipe: Recipe,
    model: AFXStyleVAE,
    paths: dict[tuple[str, str], list[Path]],
    log: Callable[[str], None],
) -> Surrogate | None:
    """What treatments do to attributes; None if no axis is to be named."""
    if not recipe.train_changes:
        return None
    rendered = (paths["changes", "train"], paths["changes", "valid"])
    surrogate, figures = fit_surrogate(model.chain, *rendered, seed=recipe.seed)
    log(f"surrogate {json.dumps(figures)}")
    return surrogate


def _untrained(recipe: Recipe, pools: Sequence[Path]) -> AFXStyleVAE:
    """A model for recordings like those of some pools."""
    statistics = int(load_file(pools[0])["dry_statistics"].shape[-1])
    kinds = 1 + max(int(load_file(path)["kind"].max()) for path in pools)
    return AFXStyleVAE(statistics, name=recipe.name, kinds=kinds)


def _supervised(recipe: Recipe, model: AFXStyleVAE) -> SupervisedEncoder:
    """What stage 1 trains, for the sizes of `model`."""
    sizes = [model.config[size] for size in ("statistics", "embedding_dim", "difference_dim")]
    supervised = SupervisedEncoder(model.chain, *sizes)
    if recipe.start:
        name = None if recipe.start == "bundled" else recipe.start
        supervised.begin_with(AFXStyleVAE.from_pretrained(name))
    return supervised
