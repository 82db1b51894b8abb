"""What an effect does, measured from the sound that comes out: `PANELS`, one by effect."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from itertools import pairwise, product
from typing import Any

import matplotlib as mpl
import numpy as np
import torch
from make_effects_page import EXAMPLES
from matplotlib.axes import Axes
from torch import Tensor

from afxvae.effects import Effect

RATE = 44100
MAP = mpl.colormaps["magma"].resampled(32)  # few colours keep the files small
TICKS_HZ = (100, 1000, 10000)
BANDS_HZ = torch.logspace(math.log10(60), math.log10(16000), 97)
SIDES = ("left", "right")

Variant = dict[str, float]


def run(effect: Effect, sound: Tensor, **knobs: float | Tensor) -> Tensor:
    """The example with some knobs set otherwise; `sound` is ``(channel, time)`` or a batch."""
    batch = sound if sound.ndim == 3 else sound.unsqueeze(0)
    settings = {**effect.defaults(len(batch)), **EXAMPLES[effect.name], **knobs}
    tensors = {k: torch.as_tensor(v).expand(len(batch)).to(batch) for k, v in settings.items()}
    with torch.inference_mode():
        return effect.process(batch, tensors, RATE).view_as(sound)


def time(seconds: float) -> Tensor:
    return torch.arange(round(seconds * RATE), dtype=torch.float64) / RATE


def sine(hz: float, seconds: float, channels: int = 1) -> Tensor:
    return torch.sin(2 * torch.pi * hz * time(seconds)).expand(channels, -1)


def impulse(seconds: float, channels: int = 1, size: float = 1.0) -> Tensor:
    sound = torch.zeros(channels, round(seconds * RATE), dtype=torch.float64)
    sound[:, 0] = size
    return sound


def decibels(gain: Tensor) -> Tensor:
    return 20 * gain.clamp_min(1e-9).log10()


def labels(variants: tuple[Variant, ...]) -> list[str]:
    """The knobs in which variants differ."""
    same = set.intersection(*(set(variant.items()) for variant in variants))
    return [
        ", ".join(
            f"{knob} {value:g}" for knob, value in variant.items() if (knob, value) not in same
        )
        for variant in variants
    ]


def dotted(axes: Axes, x: Tensor, y: Tensor) -> None:
    """What went in."""
    axes.plot(x, y, "k:", lw=0.8)


def name_axes(axes: Axes, x: str, y: str, title: str) -> None:
    axes.set(xlabel=x, ylabel=y, title=title)


def frequency_axis(axis: Any) -> None:
    axis.set_major_locator(mpl.ticker.FixedLocator(TICKS_HZ))
    axis.set_minor_locator(mpl.ticker.NullLocator())
    axis.set_major_formatter(lambda hz, _: f"{hz / 1000:g}k" if hz >= 1000 else f"{hz:g}")


def spectrogram(sound: Tensor, smooth: int = 1) -> Tensor:
    """Level in dB, ``(96, frame)``; each frame is the mean of `smooth` shorter steps."""
    n_fft, hop = 4096, RATE // 90 // smooth
    window = torch.hann_window(n_fft)
    power = torch.stft(sound.float(), n_fft, hop, window=window, return_complex=True).abs().square()
    edges = (BANDS_HZ * n_fft / RATE).tolist()
    bands = torch.stack(
        [power[int(low) : max(int(high), int(low) + 1)].mean(0) for low, high in pairwise(edges)]
    )
    bands = torch.nn.functional.avg_pool1d(bands[None], smooth)[0]
    return 10 * bands.clamp_min(1e-12).log10()


def picture(axes: Axes, level_db: Tensor, seconds: float, top_db: float, span_db: float) -> None:
    t = torch.linspace(0, seconds, level_db.shape[1] + 1)
    axes.pcolormesh(t, BANDS_HZ, level_db, vmin=top_db - span_db, vmax=top_db, cmap=MAP)
    axes.set_yscale("log")
    frequency_axis(axes.yaxis)
    axes.grid(False)
    axes.set_xlabel("s")


# the panels


def response(axes: Axes, effect: Effect, *variants: Variant, size: float = 1.0) -> None:
    sound = impulse(1.5, size=size)
    hz = torch.fft.rfftfreq(sound.shape[-1], 1 / RATE)
    for variant, label in zip(variants, labels(variants), strict=True):
        gain = torch.fft.rfft(run(effect, sound, **variant)[0]).abs() / size
        axes.semilogx(hz[1:], decibels(gain[1:]), label=label)
    axes.set_xlim(20, 20000)
    axes.set_ylim(bottom=max(axes.get_ylim()[0], -40))
    frequency_axis(axes.xaxis)
    name_axes(axes, "Hz", "dB", "response")


def static(
    axes: Axes, effect: Effect, *variants: Variant, hz: tuple[float, ...] = (1000.0,)
) -> None:
    level_db = torch.linspace(-60, 0, 31, dtype=torch.float64)
    texts = labels(variants) if len(hz) == 1 else [f"{each:g} Hz" for each in hz]
    for text, (variant, each) in zip(texts, product(variants, hz), strict=True):
        sound = sine(each, 1.0) * 10 ** (level_db / 20).view(-1, 1, 1)
        out = run(effect, sound, **variant)[..., RATE // 2 : -RATE // 8].abs().amax((1, 2))
        axes.plot(level_db, decibels(out), label=text)
    dotted(axes, level_db, level_db)
    axes.set_ylim(-80, 14)
    name_axes(axes, "peak in, dBFS", "out", "steady levels")


def transfer(axes: Axes, effect: Effect, *variants: Variant) -> None:
    sound = sine(20.0, 0.2)
    cycle = slice(RATE // 20, RATE // 10)
    for variant, label in zip(variants, labels(variants), strict=True):
        axes.plot(sound[0, cycle], run(effect, sound, **variant)[0, cycle], label=label)
    name_axes(axes, "in", "out", "transfer curve")


def waveform(axes: Axes, effect: Effect, *variants: Variant, size: float = 1.0) -> None:
    sound = sine(200.0, 0.2) * size
    shown = slice(RATE // 10, RATE // 10 + RATE // 100)
    ms = 1000 * time(0.01)
    for variant, label in zip(variants, labels(variants), strict=True):
        axes.plot(ms, run(effect, sound, **variant)[0, shown], label=label, lw=1)
    dotted(axes, ms, sound[0, shown])
    axes.set_ylim(top=2.0 * size)  # room for the legend
    name_axes(axes, "ms", "", "a sine of 200 Hz")


def burst(axes: Axes, effect: Effect, *variants: Variant) -> None:
    t = time(1.0)
    sound = (sine(1000.0, 1.0) * (t >= 0.1) * 10 ** (-3 * (t - 0.1) - 1)).float()
    for variant, label in zip(variants, labels(variants), strict=True):
        axes.plot(t, decibels(envelope(run(effect, sound, **variant)[0])), label=label)
    dotted(axes, t, decibels(envelope(sound[0])))
    axes.set(ylim=(-80, 10), xlim=(0, 1))
    name_axes(axes, "s", "dB", "a note that dies away")


def envelope(sound: Tensor) -> Tensor:
    return torch.nn.functional.max_pool1d(sound.abs()[None], 89, 1, 44)[0]


def echogram(axes: Axes, effect: Effect, seconds: float, *variants: Variant) -> None:
    pool = RATE // 100
    for variant, label in zip(variants, labels(variants), strict=True):
        sound = run(effect, impulse(seconds), **variant, mix=1.0)
        energy = sound[0].unfold(0, pool, pool).square().sum(-1)
        level_db = 10 * energy.clamp_min(1e-12).log10()
        axes.plot(torch.arange(len(energy)) / 100, level_db, label=label)
    axes.set(ylim=(-90, 0), xlim=(0, seconds))
    name_axes(axes, "s", "dB in 10 ms", "answer to an impulse")


def echoes(axes: Axes, effect: Effect, channels: int) -> None:
    sound = run(effect, impulse(2.2, channels), mix=1.0)
    pool = RATE // 100
    pooled = torch.nn.functional.pad(sound.abs(), (pool // 2, 0)).unfold(1, pool, pool).amax(-1)
    for side, peak in enumerate(pooled):
        (at,) = torch.nonzero(peak > 1e-3, as_tuple=True)
        label = SIDES[side] if channels > 1 else None
        axes.vlines(at / 100, -60, decibels(peak[at]), lw=3, label=label, color=f"C{side}")
    axes.set(ylim=(-60, 5), xlim=(0, 2.2))
    name_axes(axes, "s", "peak, dB", "answer to an impulse")


def swing(axes: Axes, effect: Effect, seconds: float, what: str, hz: float, **knobs: float) -> None:
    """Delay (ms), pitch (cents) or level (dB) of a sine over time, on both channels."""
    t = time(seconds + 0.04)
    turning = torch.polar(torch.ones_like(t), 2 * torch.pi * hz * t)
    parts = (run(effect, part.expand(2, -1), **knobs) for part in (turning.real, turning.imag))
    ratio = (torch.complex(*parts) / turning)[:, len(t) - round(seconds * RATE) :]
    t = t[-ratio.shape[1] :]
    phase = torch.from_numpy(np.unwrap(ratio.angle().numpy()))
    if what == "level":
        curves, unit = decibels(ratio.abs()), "dB"
    elif what == "delay":
        curves, unit = -phase / (2 * torch.pi * hz) * 1000, "ms"
    else:
        change = torch.gradient(phase, dim=-1)[0] * RATE / (2 * torch.pi * hz)
        curves, unit = 1200 * torch.log2(1 + change), "cents"
    same = torch.allclose(curves[0], curves[1], atol=1e-6)
    for side, curve in enumerate(curves[:1] if same else curves):
        axes.plot(t, curve, label=None if same else SIDES[side])
    axes.set_xlim(left=0)
    axes.margins(y=0.3)
    name_axes(axes, "s", unit, f"{what} over time")


def noise(axes: Axes, effect: Effect) -> None:
    sound = torch.randn(1, RATE * 4, generator=torch.Generator().manual_seed(0)) * 0.1
    level_db = spectrogram(run(effect, sound)[0], smooth=16)
    picture(axes, level_db, 4.0, float(level_db.max()), 40.0)
    axes.set_title("white noise, after")


def partials(axes: Axes, effect: Effect) -> None:
    sound = sine(1000.0, 1.0)[0]
    hz = torch.fft.rfftfreq(len(sound), 1 / RATE)
    for wave, text, colour in (
        (sound, "before", "0.7"),
        (run(effect, sound[None])[0], "after", "C0"),
    ):
        gain = decibels(torch.fft.rfft(wave).abs() * 2 / len(sound))
        (at,) = torch.nonzero(gain > -60, as_tuple=True)
        axes.vlines(hz[at], -60, gain[at], lw=3, color=colour, label=text)
    axes.set(xlim=(0, 2000), ylim=(-60, 15))
    name_axes(axes, "Hz", "dB", "a sine of 1 kHz")


def sweep(axes: Axes, effect: Effect, knob: str, inputs: dict[str, tuple[float, float]]) -> None:
    """Level of what comes out against a knob, for constant inputs on two channels."""
    param = next(param for param in effect.params if param.name == knob)
    values = torch.linspace(param.minimum, param.maximum, 101, dtype=torch.float64)
    for text, (left, right) in inputs.items():
        sound = torch.tensor([left, right], dtype=torch.float64).view(1, 2, 1).expand(101, 2, 8)
        out = run(effect, sound, **{knob: values})[:, 0 if left else 1, 0]
        axes.plot(values, decibels(out.abs()), label=text if len(inputs) > 1 else None)
    axes.set_ylim(bottom=max(axes.get_ylim()[0], -61))
    name_axes(axes, knob, "dB", "gain")


DECAYS = ({"decay_s": 0.5}, {"decay_s": 1.0}, {"decay_s": 3.0})

PANELS: dict[str, Callable[[Axes, Effect], None]] = {
    "eq": lambda a, e: response(a, e, {}),
    "graphic_eq": lambda a, e: response(a, e, {}),
    "tilt": lambda a, e: response(a, e, *({"tilt_db": db} for db in (12, 6, -6, -12))),
    "bass_boost": lambda a, e: response(
        a, e, *({"gain_db": db, "q": q} for db, q in ((6, 0.7), (12, 0.7), (12, 2)))
    ),
    "compressor": lambda a, e: static(a, e, *({"ratio": r, "makeup_db": 0} for r in (2, 4, 20))),
    "multiband_compressor": lambda a, e: static(a, e, {}, hz=(60.0, 800.0, 8000.0)),
    "limiter": lambda a, e: static(a, e, *({"gain_db": db} for db in (0, 12, 24))),
    "gate": lambda a, e: static(
        a, e, *({"ratio": r, "range_db": db} for r, db in ((2, 60), (4, 60), (20, 20)))
    ),
    "transient_shaper": lambda a, e: burst(
        a, e, {"attack_db": 12, "sustain_db": 0}, {"attack_db": 0, "sustain_db": -12}
    ),
    "overdrive": lambda a, e: transfer(
        a, e, *({"drive_db": db, "bias": bias} for db, bias in ((6, 0), (24, 0), (24, 0.5)))
    ),
    "distortion": lambda a, e: waveform(
        a, e, *({"drive_db": 12, "hardness": h, "fuzz": f} for h, f in ((0, 0), (1, 0), (1, 1))),
        size=0.5,
    ),
    "amplifier": lambda a, e: response(
        a, e, {"treble": 0}, {"treble": 10}, {"bass": 0}, {"mid": 0}, size=1e-6
    ),
    "bit_crusher": lambda a, e: waveform(
        a, e, {"bits": 3, "rate_hz": 48000}, {"bits": 16, "rate_hz": 2500}
    ),
    "chorus": lambda a, e: swing(a, e, 2.5, "delay", 20.0, mix=1.0),
    "flanger": noise,
    "phaser": noise,
    "tremolo": lambda a, e: swing(a, e, 0.6, "level", 1000.0),
    "vibrato": lambda a, e: swing(a, e, 0.6, "pitch", 1000.0),
    "rotary": lambda a, e: swing(a, e, 0.6, "level", 8000.0),
    "ring_modulator": partials,
    "delay": partial(echoes, channels=1),
    "ping_pong_delay": partial(echoes, channels=2),
    "dual_delay": partial(echoes, channels=2),
    "reverb": lambda a, e: echogram(a, e, 3.0, *DECAYS),
    "room": lambda a, e: echogram(a, e, 3.0, *DECAYS),
    "freeverb": lambda a, e: echogram(a, e, 3.0, *DECAYS),
    "sox_reverb": lambda a, e: echogram(
        a, e, 1.0, *({"decay_s": 1.0, "room_scale": scale} for scale in (0, 50, 100))
    ),
    "width": lambda a, e: sweep(a, e, "width", {"mid": (1.0, 1.0), "side": (1.0, -1.0)}),
    "pan": lambda a, e: sweep(a, e, "position", {"left": (1.0, 0.0), "right": (0.0, 1.0)}),
    "gain": lambda a, e: sweep(a, e, "gain_db", {"": (1.0, 1.0)}),
}  # fmt: skip
