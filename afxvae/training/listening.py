"""Stage 3: tune the VAE by ear, with an audio loss through the differentiable chain."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from ..data.shards import load_shard
from ..dsp.features import CLIP_SAMPLES, RUN_IN, SAMPLE_RATE
from ..models.estimate import estimated_columns
from .axes import NamedAxes
from .latent import vae_losses
from .loop import Checkpoint, Log, cosine, descend, optimizer_for, set_rate

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from torch import Tensor

    from ..models.style_vae import AFXStyleVAE
    from .latent import EmbeddedPool
    from .surrogate import Surrogate

__all__ = ["HeardPairs", "load_pairs", "log_spectral_distance", "train_listening"]

_HEARD_SAMPLES = 65_536
_SIZES = (128, 512, 2048, 8192)
_AUDIO_WEIGHT = 20.0
_TIMED = ("time_ms", "rate_hz", "depth_ms", "delay_ms", "pre_delay_ms")
"""Knobs that move sound in time: a distance of spectra has no slope towards their true place."""
_RENDERED_ABOVE = 0.35  # probability above which an effect takes part in the rendering


@dataclass(frozen=True)
class HeardPairs:
    """Pairs with audio and embeddings: ``audio``, ``truth`` in half precision, and the truth."""

    audio: Tensor
    truth: Tensor
    embedded: Tensor
    reference: Tensor
    controls: Tensor
    switches: Tensor


@torch.no_grad()
def load_pairs(model: AFXStyleVAE, paths: Sequence[Path]) -> HeardPairs:
    """Load shards of pairs and embed inputs and references."""
    parts: dict[str, list[Tensor]] = {name: [] for name in HeardPairs.__dataclass_fields__}
    for path in paths:
        shard = load_shard(path)
        for name in ("audio", "truth", "controls", "switches"):
            parts[name].append(shard[name])
        clips = {"embedded": shard["audio"][..., RUN_IN:], "reference": shard["reference"]}
        for name, audio in clips.items():
            found = [model.embed_clips(part.float()) for part in audio.squeeze(1).split(16)]
            parts[name].append(torch.cat(found))
    return HeardPairs(**{name: torch.cat(values) for name, values in parts.items()})


def log_spectral_distance(output: Tensor, truth: Tensor) -> Tensor:
    """Mean |ln magnitude| difference over four resolutions at matched RMS: ``(batch,)``.

    Args:
        output: ``(batch, time)``.
        truth: ``(batch, time)``.
    """
    gain = truth.square().mean(-1, keepdim=True) / output.square().mean(-1, keepdim=True).clamp_min(
        1e-9
    )
    output = output * gain.sqrt()
    total = torch.zeros(len(output))
    for size in _SIZES:
        window = torch.hann_window(size)
        logs = []
        for audio in (output, truth):
            spectrum = torch.fft.rfft(audio.unfold(-1, size, size // 2) * window)
            power = spectrum.real.square() + spectrum.imag.square()
            logs.append(0.5 * torch.log(power.clamp_min(1e-8)))
        total = total + (logs[0] - logs[1]).abs().mean((1, 2))
    return total / len(_SIZES)


def _heard(model: AFXStyleVAE, pairs: HeardPairs, rows: Tensor) -> Tensor:
    embedded = pairs.embedded[rows]
    posterior = model.encode(embedded, pairs.reference[rows])
    estimate = model.decode(posterior.mean, embedded).estimate
    switches = torch.zeros(len(rows), len(model.chain.effects), dtype=torch.bool)
    likely = torch.sigmoid(estimate.logits.detach()) > _RENDERED_ABOVE
    switches[:, estimated_columns(model.chain)] = likely
    timed = torch.tensor([param.name in _TIMED for param in model.chain.params])
    controls = torch.where(timed, estimate.controls.detach(), estimate.controls)
    # in matching the delay is measured, nearly without error, and the chorus is mostly left out
    delay, chorus = (model.chain.names.index(name) for name in ("delay", "chorus"))
    measured = model.chain.knobs_of("delay")
    controls = torch.where(measured, pairs.controls[rows], controls)
    switches[:, delay] = pairs.switches[rows, delay]
    switches[:, chorus] = False
    audio = pairs.audio[rows, :, : RUN_IN + _HEARD_SAMPLES].float()
    output = model.render(audio, controls, switches, SAMPLE_RATE)
    truth = pairs.truth[rows, 0, :_HEARD_SAMPLES].float()
    return log_spectral_distance(output[:, 0, RUN_IN:], truth)


@torch.no_grad()
def heard_closure(model: AFXStyleVAE, pairs: HeardPairs, batch: int = 8) -> dict[str, float]:
    """Closure under `log_spectral_distance` when everything likely is rendered."""
    output, nothing = [], []
    for rows in torch.arange(len(pairs.audio)).split(batch):
        output.append(_heard(model, pairs, rows))
        dry = pairs.audio[rows, 0, RUN_IN : RUN_IN + _HEARD_SAMPLES].float()
        nothing.append(log_spectral_distance(dry, pairs.truth[rows, 0, :_HEARD_SAMPLES].float()))
    after, before = torch.cat(output), torch.cat(nothing)
    worse = (after > before + 1e-6).float().mean()
    return {"closure": float(1.0 - after.mean() / before.mean()), "worse": float(worse)}


def train_listening(
    model: AFXStyleVAE,
    pairs: HeardPairs,
    held_out: HeardPairs,
    pool: EmbeddedPool,
    folder: Path,
    *,
    steps: int,
    batch: int = 8,
    rate: float = 2e-4,
    seed: int = 0,
    surrogate: Surrogate | None = None,
    log: Callable[[str], None] = lambda line: None,
) -> None:
    """Train `model.vae` on audio and, on as many batches, on the losses of stage 2.

    With a surrogate, axes keep their names, see `afxvae.training.axes`.
    """
    assert CLIP_SAMPLES >= _HEARD_SAMPLES
    generator = torch.Generator().manual_seed(seed)
    optimizer = optimizer_for(model.vae, rate, 1e-2)
    checkpoint = Checkpoint(folder / "listening.safetensors", model.vae, optimizer)
    step = checkpoint.resume()
    order = pool.kind.argsort(stable=True)
    written = Log(folder / "listening.jsonl")
    start = time.monotonic()
    model.eval()
    log(f"held out {heard_closure(model, held_out)}")
    while step < steps:
        set_rate(optimizer, rate * cosine(step / steps))
        first = int(torch.randint(len(order), (1,), generator=generator))
        rows = order.roll(-first)[:64]
        axes = None if surrogate is None else NamedAxes(surrogate)
        drawn = pool.draw(rows, model.chain, generator)
        losses = vae_losses(model, drawn, 1.0, generator, axes)
        heard = torch.randint(len(pairs.audio), (batch,), generator=generator)
        losses["audio"] = _AUDIO_WEIGHT * _heard(model, pairs, heard).mean()
        descend(optimizer, model.vae, torch.stack(list(losses.values())).sum(), 20.0)
        checkpoint.average.update(model.vae)
        step += 1
        written.add({name: value.detach() for name, value in losses.items()})
        if step % 50 == 0:
            log(written.flush(step=step, seconds=round(time.monotonic() - start)))
        checkpoint.save_sometimes(step)
    checkpoint.save(step)
    checkpoint.average.copy_to(model.vae)
    log(f"held out {heard_closure(model, held_out)}")
