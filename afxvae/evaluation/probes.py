"""P5: what a linear probe finds in frozen embeddings, and in simpler features beside them.

Two tasks, each on speech and on music apart: which of five production styles a clip has (see
`afxvae.evaluation.styles`), and which of the chain's effects it went through, with random settings.
Probes learn from the training split and are tested on speakers, instruments or tracks of another.
Every crop goes through every style and every effect, so that content tells nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors.torch import load
from torch import Tensor

from ..data.corpus import Recording
from ..data.crops import draw_crop
from ..data.pairs import group_numbers, treat
from ..data.treatments import random_treatments
from ..dsp import spectral
from ..dsp.features import RUN_IN, SAMPLE_RATE
from ..models.estimate import ESTIMATED
from ..models.style_vae import AFXStyleVAE
from ..models.treatment import embed_treatment, hear
from ..processes import spread
from ..types import UsageError
from .linear import LinearProbe, accuracy_interval, principal_components, random_projection
from .metrics import at_matched_loudness, mr_stft
from .styles import STYLES, style_treatments
from .workers import CarriedModel, as_bytes, one_thread

if TYPE_CHECKING:
    from ..effects import Chain

__all__ = [
    "ALL_SAID",
    "PROBES",
    "QUARTERS",
    "TASKS",
    "Clips",
    "gather_clips",
    "probe",
    "probe_recordings",
    "run_probes",
]

PROBES = "P5"
"""Name of the protocol."""
TASKS = {"styles": tuple(STYLES), "effects": ESTIMATED}
"""Classes by task."""
ALL_SAID = "both: treatment embedding"
"""Name of the row of what all comparisons say."""
QUARTERS = ("least", "second", "third", "most")
"""Of the clips of a class, by how far its treatments changed them."""
_DOMAINS = ("speech", "music")
_HEADROOM_DB = (3.0, 9.0)  # below full scale, before a style
_MELS, _FRAMES = 128, 64
_N_FFT, _HOP = 4096, 1024
_MOST_MISSES = 50


@dataclass(frozen=True)
class Clips:
    """Features of crops, each through every class of every task; the last axes are features.

    Attributes:
        groups: ``(crop,)``, see `afxvae.data.pairs.group_numbers`.
        embedding: By task, style embeddings of treated clips ``(crop, class, 256)``.
        difference: Difference embeddings of the dry other half and them ``(crop, class, 64)``.
        latent: Posterior means of the same pairs ``(crop, class, 16)``.
        treatment: Treatment embeddings of the same pairs ``(crop, class, treatment)``.
        mel: Mean mel magnitudes to the power of .3 ``(crop, 1 + class, 128)``, the dry half first.
        picture: Log-mel spectrograms ``(crop, 1 + class, 64 * 128)``, the dry half first.
        change: MR-STFT at matched loudness from a clip to what its treatment made of it
            ``(crop, class)``.
    """

    groups: Tensor
    embedding: dict[str, Tensor]
    difference: dict[str, Tensor]
    latent: dict[str, Tensor]
    treatment: dict[str, Tensor]
    mel: dict[str, Tensor]
    picture: dict[str, Tensor]
    change: dict[str, Tensor]


def run_probes(
    model: AFXStyleVAE,
    recordings: Sequence[Recording],
    split: str = "test",
    items: int = 300,
    seed: int = 0,
    log: Callable[[str], None] | None = None,
    workers: int = 1,
) -> dict[str, Any]:
    """Accuracies by domain, task and row.

    Args:
        model: Its encoder and comparator are probed.
        recordings: Dry ones, of the training split and of `split`.
        split: Which to test on.
        items: Crops to test on in each domain; twice as many to learn from.
        seed: Of crops and treatments.
        log: Called with a line for each part that is there.
        workers: Processes; with 1 the work is done in this one.

    Raises:
        UsageError: A split has no recordings of speech or of music.
    """
    say, found = log or (lambda line: None), {}
    domains, carried = probe_recordings(recordings, split), CarriedModel.of(model)
    jobs: dict[str, _Job] = {}
    for place, (domain, sides) in enumerate(domains.items()):
        named = zip(("train", split), (2 * items, items), sides, strict=True)
        for number, (name, count, own) in enumerate(named):
            line = f"P5: {count} crops of {domain}, {name}"
            jobs[line] = _Job(carried, own, count, (seed, place, number))
    done = map(_gather, jobs.values()) if workers <= 1 else spread(_gather, jobs.values(), workers)
    gathered = _each(done, jobs, say)
    for domain, learn, test in zip(domains, gathered, gathered, strict=True):
        found[domain] = {
            "crops": len(test.groups),
            "groups": len(test.groups.unique()),
            "learned_from": len(learn.groups),
            **{task: probe(learn, test, task) for task in TASKS},
        }
    return {"split": split, "seed": seed, "domains": found}


def probe_recordings(
    recordings: Sequence[Recording], split: str = "test"
) -> dict[str, tuple[list[Recording], list[Recording]]]:
    """By domain, the recordings to learn from and those of `split`, to test on.

    Raises:
        UsageError: A split has no recordings of speech or of music.
    """
    found = {}
    for domain in _DOMAINS:
        own = [r for r in recordings if (r.kind == "speech") == (domain == "speech")]
        learn, test = ([r for r in own if r.split == name] for name in ("train", split))
        if not (learn and test):
            lacking = split if learn else "train"
            raise UsageError(f"The {lacking} split has no {domain} to probe with.")
        found[domain] = (learn, test)
    return found


@dataclass(frozen=True)
class _Job:
    """Clips that are to be gathered."""

    model: CarriedModel
    recordings: list[Recording]
    count: int
    seed: tuple[int, ...]


def _gather(job: _Job) -> bytes:
    """The clips of a job as `_gathered` reads them."""
    with one_thread():
        clips = gather_clips(job.model.model(), job.recordings, job.count, job.seed)
    named = {"groups": clips.groups}
    for name, by_task in vars(clips).items():
        if name != "groups":
            named |= {f"{name} {task}": features for task, features in by_task.items()}
    return as_bytes(named)


def _each(
    done: Iterator[bytes], lines: Iterable[str], say: Callable[[str], None]
) -> Iterator[Clips]:
    """The clips of each job, with a line for each that is there."""
    for data, line in zip(done, lines, strict=True):
        say(line)
        yield _gathered(data)


def _gathered(data: bytes) -> Clips:
    kept: dict[str, dict[str, Tensor]] = {}
    named = load(data)
    groups = named.pop("groups")
    for name, features in named.items():
        what, task = name.split()
        kept.setdefault(what, {})[task] = features
    return Clips(groups, **kept)


@torch.no_grad()
def gather_clips(
    model: AFXStyleVAE, recordings: Sequence[Recording], count: int, seed: Sequence[int]
) -> Clips:
    """Draw crops, a group at a time so that all have their say, and treat and embed them."""
    rng = np.random.default_rng([*seed, 5])
    generator = torch.Generator().manual_seed(int(rng.integers(1 << 31)))
    groups: list[str] = []
    kept: dict[str, dict[str, list[Tensor]]] = {}
    for recording, halves in _crops(recordings, count, rng):
        groups.append(recording.group)
        dry = halves[0, :, RUN_IN:]
        mine = hear(model, dry)
        for task, names in TASKS.items():
            clip = halves[1:].expand(len(names), -1, -1)
            controls, switches = _treatments(model.chain, task, generator)
            if task == "styles":
                peak_db = -float(rng.uniform(*_HEADROOM_DB))
                clip = clip * (10.0 ** (peak_db / 20.0) / clip[..., RUN_IN:].abs().max())
            wet = treat(clip, model.chain, controls, switches)[:, 0]
            heard = [hear(model, clip) for clip in wet.split(1)]
            styles = torch.cat([one.embedding for one in heard])
            mel, picture = _pictures(torch.cat([dry, wet]))
            plain = clip[:, 0, RUN_IN:]
            audio = mine.embedding.expand(len(wet), -1)
            parts = {
                "embedding": styles,
                "difference": model.compare(audio, styles),
                "latent": model.encode(audio, styles).mean,
                "treatment": torch.stack([embed_treatment(model, mine, one) for one in heard]),
                "mel": mel,
                "picture": picture,
                "change": mr_stft(at_matched_loudness(wet, plain), plain),
            }
            for name, part in parts.items():
                kept.setdefault(name, {}).setdefault(task, []).append(part)
    found = {
        name: {task: torch.stack(rows) for task, rows in by_task.items()}
        for name, by_task in kept.items()
    }
    return Clips(group_numbers(groups), **found)


def probe(learn: Clips, test: Clips, task: str) -> dict[str, dict[str, Any]]:
    """Accuracy of a probe of each row's features, with its 95 % interval over crops.

    Rows with "both" see the dry other half of the crop too: a difference of features. Accuracies
    ``by_change`` are those of `QUARTERS`; there are none of fewer crops.
    """
    classes, rows = len(TASKS[task]), {}
    for name, (mine, theirs) in _rows(learn, test, task).items():
        labels, groups = _labels(learn, classes)
        found = LinearProbe(mine.flatten(0, 1), labels, groups).predict(theirs.flatten(0, 1))
        labels, _ = _labels(test, classes)
        right = found == labels
        crops = torch.arange(len(test.groups)).repeat_interleave(classes)
        rows[name] = {
            "dimensions": mine.shape[-1],
            "accuracy": float(right.double().mean()),
            "interval": list(accuracy_interval(right, crops)),
            "by_class": {label: float(right[labels == place].double().mean())
                         for place, label in enumerate(TASKS[task])},
            "by_change": _by_change(right.view(-1, classes), test.change[task]),
        }  # fmt: skip
    return rows


def _by_change(right: Tensor, change: Tensor) -> dict[str, float]:
    """Accuracy in each quarter of the changes of every class, ``(crop, class)`` both."""
    if len(right) < len(QUARTERS):
        return {}
    ordered = right.double().gather(0, change.argsort(dim=0, stable=True))
    parts = ordered.tensor_split(len(QUARTERS))
    return {name: float(part.mean()) for name, part in zip(QUARTERS, parts, strict=True)}


def _crops(
    recordings: Sequence[Recording], count: int, rng: np.random.Generator
) -> Iterator[tuple[Recording, Tensor]]:
    groups = sorted({recording.group for recording in recordings})
    done = 0
    for _ in range(_MOST_MISSES * count):
        if done == count:
            return
        group = groups[int(rng.integers(len(groups)))]
        own = [recording for recording in recordings if recording.group == group]
        recording = own[int(rng.integers(len(own)))]
        halves = draw_crop(recording, rng)
        if halves is not None:
            done += 1
            yield recording, halves
    raise UsageError("The recordings are too silent or too short to draw crops from.")


def _treatments(chain: Chain, task: str, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """One for each class."""
    if task == "styles":
        return style_treatments(chain, generator)
    controls, switches = random_treatments(chain, len(ESTIMATED), generator)
    switches = torch.zeros_like(switches)
    for row, effect in enumerate(ESTIMATED):
        switches[row, chain.names.index(effect)] = True
    return controls, switches


def _pictures(clips: Tensor) -> tuple[Tensor, Tensor]:
    """`Clips.mel` and `Clips.picture` of mono clips ``(clip, 131072)`` at one peak."""
    clips = clips / clips.abs().amax(1, keepdim=True).clamp_min(1e-9)
    power = spectral.power_spectrogram(clips, _N_FFT, _HOP)
    filters = spectral.mel_filterbank(_N_FFT, _MELS, SAMPLE_RATE, 0.0).to(power)
    mel = ((power.sqrt() @ filters + 1e-4) ** 0.3).mean(1)
    picture = spectral.log_mel(power, filters, -60.0).mT
    picture = torch.nn.functional.adaptive_avg_pool1d(picture, _FRAMES)
    return mel, picture.flatten(1)


def _labels(clips: Clips, classes: int) -> tuple[Tensor, Tensor]:
    """Labels and groups, ``(crop * class,)``."""
    crops = len(clips.groups)
    return torch.arange(classes).repeat(crops), clips.groups.repeat_interleave(classes)


def _rows(learn: Clips, test: Clips, task: str) -> dict[str, tuple[Tensor, Tensor]]:
    """Features of each row, to learn from and to test on."""
    both = (learn, test)
    wide, narrow = learn.embedding[task].shape[-1], learn.difference[task].shape[-1]
    least = learn.latent[task].shape[-1]
    mel, pictures = ([getattr(clips, name)[task] for clips in both] for name in ("mel", "picture"))
    rows = {
        "style embedding": [clips.embedding[task] for clips in both],
        "random mel projection": _projected([part[:, 1:] for part in mel], wide),
        "PCA of the spectrogram": _reduced([part[:, 1:] for part in pictures], wide),
        "both: difference embedding": [clips.difference[task] for clips in both],
        ALL_SAID: [clips.treatment[task] for clips in both],
        "both: latent": [clips.latent[task] for clips in both],
        "both: random mel projection": _projected([part[:, 1:] - part[:, :1] for part in mel],
                                                  narrow),
        "both: PCA of the spectrogram": _reduced([part[:, 1:] - part[:, :1] for part in pictures],
                                                 narrow),
        "both: PCA of the difference embedding": _reduced([clips.difference[task]
                                                           for clips in both], least),
    }  # fmt: skip
    return {name: (parts[0], parts[1]) for name, parts in rows.items()}


def _projected(parts: Sequence[Tensor], most: int) -> list[Tensor]:
    weights = random_projection(parts[0].shape[-1], most)
    return [part.double() @ weights for part in parts]


def _reduced(parts: Sequence[Tensor], most: int) -> list[Tensor]:
    mean, directions = principal_components(parts[0].flatten(0, 1), most)
    return [(part.double() - mean) @ directions for part in parts]
