"""Time our effects beside dasp-pytorch and pedalboard, and a long file through the command line.

python -m tests.benchmarks.speed [gradients] [reverb] [chain] [stream] [songs]

Needs both peers (``pip install -e .[bench]``) and a machine that does nothing else; where another
process takes turns on a core, threads wait for one another, and OMP_NUM_THREADS=1 compares better.
Each part replaces its section of docs/reference/benchmarks.md. Peer and ours take turns; medians
are given.
"""

from __future__ import annotations

import math
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pedalboard
import torch
from dasp_pytorch import functional as dasp
from torch import Tensor

from afxvae import Preset, audio
from afxvae.effects import EFFECTS

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "benchmarks.md"
DEMO = Path(__file__).parents[2] / "afxvae" / "demo"
RATE = 44100
MACHINE = f"{os.cpu_count()} cores of an {platform.machine().replace('_', '-')} CPU"
THREADS = f"torch has {torch.get_num_threads()} of {MACHINE}"
KNOBS = {
    "eq": {"low_shelf_hz": 120.0, "low_shelf_gain_db": 4.0, "peak1_hz": 200.0,
           "peak1_gain_db": -3.0, "peak2_gain_db": 2.0, "peak3_gain_db": 5.0, "peak3_q": 2.0,
           "peak4_gain_db": -4.0, "high_shelf_gain_db": 3.0},
    "compressor": {"threshold_db": -24.0, "ratio": 4.0, "knee_db": 6.0, "attack_ms": 20.0,
                   "release_ms": 100.0, "makeup_db": 6.0},
    "overdrive": {"drive_db": 12.0},
    "chorus": {"rate_hz": 0.8, "depth_ms": 2.0, "delay_ms": 12.0, "mix": 0.5},
    "delay": {"time_ms": 250.0, "feedback": 0.3, "mix": 0.3},
    "reverb": {"decay_s": 1.2, "mix": 0.3},
    "width": {"width": 1.3},
    "gain": {"gain_db": -9.0},
}  # fmt: skip


def sound(batch: int, channels: int, seconds: float, rate: int = RATE) -> Tensor:
    """Noise whose level swings by 40 dB three times a second, ``(batch, channel, time)``."""
    length = int(seconds * rate)
    white = torch.randn(batch, channels, length, generator=torch.Generator().manual_seed(0))
    swing = torch.cos(torch.arange(length) * (2.0 * math.pi * 3.0 / rate))
    return 0.1 * white * 10.0 ** (swing - 1.0)


def effect_of(
    name: str, batch: int, **changes: float
) -> tuple[Callable[..., Tensor], list[Tensor]]:
    """Our effect as a function of audio and of all its knobs, and these."""
    (effect,) = (effect for effect in EFFECTS if effect.name == name)
    values = {param.name: param.default for param in effect.params} | KNOBS[name] | changes
    knobs = [torch.full((batch,), value) for value in values.values()]

    def run(x: Tensor, *settings: Tensor) -> Tensor:
        return effect.process(x, dict(zip(values, settings, strict=True)), RATE)

    return run, knobs


def dasp_of(name: str, batch: int) -> tuple[Callable[..., Tensor], list[Tensor]]:
    """The same of dasp-pytorch, whose attack lasts from 10 to 90 %, and has no release."""
    own = KNOBS[name]
    if name == "eq":
        defaults = {param.name: param.default for param in EFFECTS[0].params} | own
        bands = ["low_shelf", "peak1", "peak2", "peak3", "peak4", "high_shelf"]
        knobs = [
            defaults.get(f"{band}_{knob}", math.sqrt(0.5))
            for band in bands
            for knob in ("gain_db", "hz", "q")
        ]
        function = dasp.parametric_eq
    elif name == "compressor":
        attack = own["attack_ms"] * math.log(9.0)
        knobs = [own["threshold_db"], own["ratio"], attack, own["release_ms"], own["knee_db"],
                 own["makeup_db"]]  # fmt: skip
        function = dasp.compressor
    else:
        knobs = [0.5] * 24 + [0.3]
        function = dasp.noise_shaped_reverberation
    settings = [torch.full((batch,), value) for value in knobs]
    return lambda x, *values: function(x, RATE, *values), settings


def seconds_of(*runs: Callable[[], object], times: int) -> list[float]:
    """Median seconds of each, taking turns, behind a run that does not count."""
    if times > 1:
        for run in runs:
            run()
    taken: list[list[float]] = [[] for _ in runs]
    for _ in range(times):
        for run, own in zip(runs, taken, strict=True):
            start = time.perf_counter()
            run()
            own.append(time.perf_counter() - start)
    return [statistics.median(own) for own in taken]


def forward(run: Callable[..., Tensor], x: Tensor, knobs: list[Tensor]) -> Callable[[], object]:
    def once() -> None:
        with torch.no_grad():
            run(x, *knobs)

    return once


def both_ways(run: Callable[..., Tensor], x: Tensor, knobs: list[Tensor]) -> Callable[[], object]:
    """Forward and backward, gradients to the audio and to all knobs."""
    inputs = [v.clone().requires_grad_() for v in (x, *knobs)]

    def once() -> None:
        torch.autograd.grad(run(*inputs).square().sum(), inputs, allow_unused=True)

    return once


def null(ours: Tensor, peer: Tensor) -> str:
    """Power of the difference relative to the peer's."""
    difference = (ours - peer).double().square().mean() / peer.double().square().mean()
    return f"−{-10.0 * math.log10(float(difference) + 1e-30):.0f} dB"


def milliseconds(value: float) -> str:
    return f"{value:.1f} s" if value >= 10.0 else f"{1000.0 * value:.0f} ms"


def beside(ours: float, peer: float) -> str:
    return f"{milliseconds(ours)} | {milliseconds(peer)} | {peer / ours:.1f}"


def gradient_row(name: str, x: Tensor, times: int, error: str) -> str:
    batch = len(x)
    mine, peer = effect_of(name, batch), dasp_of(name, batch)
    one_way = seconds_of(*(forward(run, x, knobs) for run, knobs in (mine, peer)), times=times)
    ways = seconds_of(*(both_ways(run, x, knobs) for run, knobs in (mine, peer)), times=times)
    return f"| {name} | {beside(*one_way)} | {beside(*ways)} | {error} |"


HEAD = """\
| effect | forward | dasp | times as fast | forward and backward | dasp | times as fast | null |
|---|---|---|---|---|---|---|---|"""


def gradients() -> None:
    """EQ and compressor, 16 x 5 s mono."""
    x = sound(16, 1, 5.0)
    (eq, knobs), (peer, theirs) = effect_of("eq", 16), dasp_of("eq", 16)
    errors = {"eq": null(eq(x, *knobs), peer(x, *theirs))}
    (mine, knobs), (peer, theirs) = (
        effect_of("compressor", 16, release_ms=20.0),
        dasp_of("compressor", 16),
    )
    errors["compressor"] = null(mine(x, *knobs), peer(x, *theirs))
    rows = [gradient_row(name, x, 3, error) for name, error in errors.items()]
    write("Gradients", f"""\
Batches of 16 times 5 s, mono, at 44.1 kHz; gradients to the audio and to all knobs.
dasp-pytorch {version("dasp-pytorch")}, torch {torch.__version__.split("+")[0]}; {THREADS}.

{HEAD}
{chr(10).join(rows)}

The null is the power of the difference relative to the peer's output. The EQ is the same six
sections of the cookbook. dasp's compressor ignores its release; the null is taken with our release
equal to the attack, the time with another one.
""")  # fmt: skip


def reverb() -> None:
    """One item, run once."""
    row = gradient_row("reverb", sound(1, 2, 5.0), 1, "other noise")
    write("Reverb with gradients", f"""\
One item of 5 s, stereo, at 44.1 kHz, and run once, as dasp-pytorch takes so long. Its noise-shaped
reverb has twelve bands where ours has three, and a response of 1.5 s; {THREADS}.

{HEAD}
{row}
""")  # fmt: skip


BOARD = {
    "eq": [
        pedalboard.HighpassFilter(60.0),
        pedalboard.LowShelfFilter(120.0, 4.0),
        pedalboard.PeakFilter(2000.0, 5.0, 2.0),
        pedalboard.HighShelfFilter(6000.0, 3.0),
    ],
    "compressor": [pedalboard.Compressor(-24.0, 4.0, 20.0, 100.0)],
    "overdrive": [pedalboard.Distortion(12.0)],
    "chorus": [pedalboard.Chorus(0.8, 0.25, 12.0, 0.0, 0.5)],
    "delay": [pedalboard.Delay(0.25, 0.3, 0.3)],
    "reverb": [pedalboard.Reverb(wet_level=0.3)],
}
CHAIN_EQ = {"low_cut_hz": 60.0, "low_shelf_gain_db": 4.0, "peak3_gain_db": 5.0, "peak3_q": 2.0,
            "high_shelf_gain_db": 3.0}  # fmt: skip


def preset(*names: str, **changes: dict[str, float]) -> Preset:
    found = Preset()
    for name in names:
        found = found.changed(name, changes.get(name, KNOBS[name]))
    return found


def chain() -> None:
    """Six effects and each of them over a minute of stereo, forward."""
    x = sound(1, 2, 60.0)[0]
    samples = x.numpy()
    rows = []
    for names in (*((name,) for name in BOARD), tuple(BOARD)):
        ours = preset(*names, eq=CHAIN_EQ)
        board = pedalboard.Pedalboard([plugin for name in names for plugin in BOARD[name]])
        mine, peer = seconds_of(
            lambda ours=ours: ours.apply(x, RATE), lambda board=board: board(samples, RATE), times=5
        )
        what = names[0] if len(names) == 1 else "all six"
        rows.append(f"| {what} | {milliseconds(mine)} | {milliseconds(peer)} | {mine / peer:.1f} |")
    tone = pedalboard.Pedalboard(BOARD["eq"][1:])
    echoes = pedalboard.Pedalboard(BOARD["delay"])
    shelves = preset("eq", eq=CHAIN_EQ | {"low_cut_hz": 20.0}).apply(x, RATE)
    eq = null(shelves, torch.from_numpy(tone(samples, RATE)))
    delay = null(preset("delay").apply(x, RATE), torch.from_numpy(echoes(samples, RATE)))
    write("A chain of six", f"""\
`Preset.apply` on 60 s of stereo at 44.1 kHz, beside pedalboard {version("pedalboard")} (C++), which
uses one core; {THREADS}.

| effect | ours | pedalboard | times as long |
|---|---|---|---|
{chr(10).join(rows)}

The EQ is high-pass, low shelf, peak and high shelf; ours has eight sections whatever is set. Its
shelves and peak are pedalboard's with a null of {eq}, the delay with one of {delay}. The others
are defined in other ways: our overdrive is four times oversampled, theirs is not.
""")  # fmt: skip


def apply_row(minutes: int, rate: int = 48000) -> str:
    """From the start of the process to its end; the peak is that of all processes so far."""
    minute = sound(1, 2, 60.0, rate)[0]
    with tempfile.TemporaryDirectory() as folder:
        source, settings = Path(folder, "long.wav"), Path(folder, "eight.afx.json")
        preset(*KNOBS).save(settings)
        with audio.writing(source, rate, 2, subtype="PCM_16") as put:
            for _ in range(minutes):
                put(minute)
        start = time.perf_counter()
        command = [sys.executable, "-m", "afxvae", "apply", str(settings), str(source), "--quiet"]
        subprocess.run(command, check=True)
        taken = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6  # in kB, on Linux
    return f"| {minutes} min | {taken:.1f} s | {60.0 * minutes / taken:.1f} | {peak:.2f} GB |"


def stream() -> None:
    """Two minutes, ten and an hour through eight effects."""
    rows = [apply_row(minutes) for minutes in (2, 10, 60)]
    write("A long file", f"""\
`afxvae apply` with a preset of eight effects on stereo at 48 kHz, 16 bits, as a whole process with
the loading of Python and torch, run once; {THREADS}.

| recording | time | times faster than real time | peak memory |
|---|---|---|---|
{chr(10).join(rows)}
""")  # fmt: skip


def match_row(effort: str, song: Path, reference: Path) -> str:
    command = [sys.executable, "-m", "afxvae", "match", str(song), str(reference), "--quiet"]
    with tempfile.TemporaryDirectory() as folder:
        command += ["--effort", effort, "--output", f"{folder}/matched.wav", "--overwrite"]
        (taken,) = seconds_of(lambda: subprocess.run(command, check=True), times=3)
    return f"| {effort} | {taken:.1f} s |"


def songs() -> None:
    """A match of three minutes at each effort."""
    guitar, about = audio.read(DEMO / "guitar.flac")
    treated = Preset.load(DEMO / "reference.afx.json").apply(guitar, about.sample_rate)
    rate = about.sample_rate
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, name) for name in ("song.wav", "reference.wav")]
        for path, samples in zip(paths, (guitar, 0.5 * treated), strict=True):
            with audio.writing(path, rate, 2, subtype="PCM_16") as put:
                for _ in range(math.ceil(180.0 * rate / samples.shape[-1])):
                    put(samples)
        rows = [match_row(effort, *paths) for effort in ("fast", "normal", "high")]
    write("A match", f"""\
`afxvae match` of three minutes, stereo, at 44.1 kHz, as a whole process with the loading of Python
and torch, median of three; {THREADS}. It is the demonstration's guitar, repeated, and the
reference is that in the demonstration's treatment: of one source, so that nothing is left out.

| effort | time |
|---|---|
{chr(10).join(rows)}
""")  # fmt: skip


INTRODUCTION = """\
# Benchmarks

How long our effects take, and peers beside them in the same run, by `python -m
tests.benchmarks.speed`. How near the outputs are where an effect means the same stands beside the
times; [comparisons](comparisons.md) has more of that.

Each section says how many threads torch had. From one run to the next, times and ratios differed
by up to 40 %.
"""


def write(title: str, text: str) -> None:
    """Replace a section of the page, or add it behind the others."""
    print(f"## {title}\n\n{text}")
    page = PAGE.read_text(encoding="utf-8") if PAGE.exists() else INTRODUCTION
    _, *sections = page.split("\n## ")
    found = dict(section.split("\n", 1) for section in sections)
    found[title] = f"\n{text}"
    parts = [
        INTRODUCTION.rstrip(),
        *(f"## {name}\n{body.rstrip()}" for name, body in found.items()),
    ]
    PAGE.write_text("\n\n".join(parts).replace("\n\n\n", "\n\n") + "\n", encoding="utf-8")


PARTS = {"gradients": gradients, "reverb": reverb, "chain": chain, "stream": stream, "songs": songs}


if __name__ == "__main__":
    for part in sys.argv[1:] or PARTS:
        PARTS[part]()
