"""Pictures of what an evaluation proves, see `afxvae.evaluation.proofs`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..files import replacing
from .needs import check_matplotlib
from .paper import GREY, as_bytes, paper, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_proofs"]

_COLOURS = {
    "eq": "#2b6cb0",
    "compressor": "#c05621",
    "overdrive": "#9b2c2c",
    "chorus": "#2f855a",
    "delay": "#6b46c1",
    "reverb": "#0f766e",
}
_PROTOCOLS = {"P1": "#2b6cb0", "P2": "#c05621"}
_TITLES = {"P1": "P1, same recording", "P2": "P2, other recording"}


def draw_proofs(proofs: Mapping[str, Any], folder: Path) -> list[Path]:
    """Draw ``switches.png``, ``gate.png``, ``settings.png`` and ``knobs-P1.png`` (``-P2``).

    Args:
        proofs: As `afxvae.evaluation.proofs.prove` returns them.
        folder: For the pictures; made if need be.

    Raises:
        UsageError: matplotlib is not installed, or a file cannot be written.
    """
    check_matplotlib()
    folder.mkdir(parents=True, exist_ok=True)
    drawn = {
        "switches": _switches_figure(proofs),
        "gate": _gate_figure(proofs),
        "settings": _settings_figure(proofs),
        **{f"knobs-{name}": _knobs_figure(proof, name) for name, proof in proofs.items()},
    }
    paths = []
    for name, figure in drawn.items():
        paths.append(folder / f"{name}.png")
        with replacing(paths[-1]) as unfinished:
            unfinished.write_bytes(as_bytes(figure, "png"))
    return paths


def _each(
    proofs: Mapping[str, Any], size: tuple[float, float], draw: Callable[[Axes, Any], None]
) -> Figure:
    """One panel for each protocol."""
    figure = paper(size[0] * len(proofs), size[1])
    for place, (name, proof) in enumerate(proofs.items()):
        axes = figure.add_subplot(1, len(proofs), place + 1)
        draw(axes, proof)
        axes.set_title(f"{_TITLES.get(name, name)} ({proof['items']} items)")
        tidy(axes)
    return figure


def _switches_figure(proofs: Mapping[str, Any]) -> Figure:
    def draw(axes: Axes, proof: Mapping[str, Any]) -> None:
        axes.plot((0, 1), (0, 1), color=GREY, lw=1, ls="--")
        for name, colour in _COLOURS.items():
            found = proof["switches"][name]
            x, y, n = (
                np.array([row[key] for row in found["bins"]])
                for key in ("predicted", "observed", "items")
            )
            axes.plot(x, y, color=colour, lw=1, alpha=0.2)
            label = f"{name}, ECE {found['ece']:.2f}"
            size = 15 + 350 * n / found["items"]
            axes.scatter(x, y, s=size, color=colour, alpha=0.75, lw=0, label=label)
        whole = proof["switches"]["all"]
        for row in whole["bins"]:
            axes.plot([row["predicted"]] * 2, row["interval"], color="k", lw=1.2, alpha=0.5)
        curve = ([row[key] for row in whole["bins"]] for key in ("predicted", "observed"))
        axes.plot(*curve, color="k", lw=2, label=f"all, ECE {whole['ece']:.2f}")
        axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), aspect="equal")
        axes.set(xlabel="probability that the effect is on", ylabel="share that was on")
        legend = axes.legend(loc="upper left", frameon=False, fontsize=8)
        for handle in legend.legend_handles[:-1]:
            handle.set_sizes([30])  # type: ignore[union-attr]

    return _each(proofs, (5.4, 6.0), draw)


def _gate_figure(proofs: Mapping[str, Any]) -> Figure:
    figure = paper(11.0, 4.4)
    left, right = (figure.add_subplot(1, 2, place) for place in (1, 2))
    for name, proof in proofs.items():
        colour, rows = _PROTOCOLS.get(name, GREY), proof["gate"]
        alone = [100 * row["left_alone"] for row in rows]
        now = next(row for row in rows if row["shift"] == 0)
        for axes, values, key, scale in (
            (left, [100 * row["worse"] for row in rows], "worse", 100),
            (right, [row["closure"] for row in rows], "closure", 1),
        ):
            axes.plot(alone, values, color=colour, lw=2, marker=".", ms=5, label=name)
            axes.plot(100 * now["left_alone"], scale * now[key], "o", color=colour, ms=10,
                      mfc="white", mew=2.5)  # fmt: skip
    left.set(xlabel="left alone, % of items", ylabel="worse than the input, % of items")
    left.set_title("What caution saves")
    right.set(xlabel="left alone, % of items", ylabel="closure at matched loudness")
    right.set_title("and what it costs")
    left.set_ylim(bottom=0)
    for axes in (left, right):
        axes.plot([], [], "o", color="k", ms=10, mfc="white", mew=2.5, ls="", label="as released")
        axes.legend(frameon=False)
        tidy(axes)
    return figure


def _settings_figure(proofs: Mapping[str, Any]) -> Figure:
    names = list(next(iter(proofs.values()))["settings"])
    figure = paper(3.4 * len(names), 3.8)
    for place, name in enumerate(names):
        axes = figure.add_subplot(1, len(names), place + 1)
        for protocol, proof in proofs.items():
            found = proof["settings"][name]
            if not found["items"]:
                continue
            colour = _PROTOCOLS.get(protocol, GREY)
            shares = 100 * np.array(found["shares"])
            label = f"{protocol}, {found['items']} items"
            axes.plot(found["found"], shares, color=colour, lw=2, label=label)
            axes.plot(found["blind"], shares, color=colour, lw=1.2, ls=":")
        label = next(iter(proofs.values()))["settings"][name]["label"]
        axes.set(ylim=(0, 101), title=label, xlabel="error is at most")
        _settings_scale(axes, name)
        if not place:
            axes.set_ylabel("% of items with the effect")
            axes.plot([], [], color="k", lw=1.2, ls=":", label="knowing nothing")
        tidy(axes)
        if not axes.get_legend_handles_labels()[1]:
            continue
        if name == "delay_time_ms":
            axes.legend(frameon=False, fontsize=8, loc="center")
        else:
            axes.legend(frameon=False, fontsize=8, loc="lower right")
    return figure


def _settings_scale(axes: Axes, name: str) -> None:
    if name == "delay_time_ms":
        axes.set_xscale("symlog", linthresh=0.1)
        axes.set_xlim(0, 1000)
    elif name == "rt60_ratio":
        axes.set_xscale("log")
        ticks = (1, 1.2, 1.5, 2, 3, 5)
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.set_xticks([], minor=True)
        axes.set_xlim(0.98, 6)
    else:
        axes.set_xlim(left=0)


def _knobs_figure(proof: Mapping[str, Any], name: str) -> Figure:
    """Histograms of the truth's place, and each knob's curve less the uniform one."""
    effects = [effect for effect in _COLOURS
               if any(knob["effect"] == effect for knob in proof["knobs"].values())]  # fmt: skip
    figure = paper(2.6 * max(len(effects), 2), 5.6)
    for place, effect in enumerate(effects):
        own = {k: v for k, v in proof["knobs"].items() if v["effect"] == effect}
        upper = figure.add_subplot(2, len(effects), place + 1)
        lower = figure.add_subplot(2, len(effects), len(effects) + place + 1)
        _draw_histograms(upper, own, _COLOURS[effect])
        upper.set(title=effect, xlim=(0, 1), xticks=(0, 0.5, 1))
        _draw_deviations(lower, own, _COLOURS[effect])
        lower.set(xlim=(0, 1), ylim=(-0.42, 0.42), xticks=(0, 0.5, 1))
        lower.set_xlabel("place of the truth")
        if not place:
            upper.set_ylabel("share of truths")
            lower.set_ylabel("cumulative share − place")
            upper.legend(frameon=False, fontsize=8)
        tidy(upper)
        tidy(lower)
    figure.suptitle(f"Where the truth lies in each knob's distribution: {_TITLES.get(name, name)}")
    return figure


def _pooled(knobs: Mapping[str, Any], which: str) -> np.ndarray[Any, Any] | None:
    found = [(knob[which]["items"], np.array(knob[which]["histogram"]))
             for knob in knobs.values() if knob[which]]  # fmt: skip
    total = sum(n for n, _ in found)
    return sum(n * histogram for n, histogram in found) / total if total else None


def _draw_histograms(axes: Axes, knobs: Mapping[str, Any], colour: str) -> None:
    own, latent = (_pooled(knobs, which) for which in ("calibrated", "latent"))
    if own is None:
        return
    edges = np.linspace(0, 1, len(own) + 1)
    axes.stairs(own, edges, fill=True, color=colour, alpha=0.65, label="knob's distribution")
    if latent is not None:
        axes.stairs(latent, edges, color="k", lw=1.2, label="latent's samples alone")
    axes.axhline(1 / len(own), color="k", lw=0.8, ls="--")
    axes.set_ylim(0, 0.62)


def _draw_deviations(axes: Axes, knobs: Mapping[str, Any], colour: str) -> None:
    fewest = min(knob["calibrated"]["items"] for knob in knobs.values())
    band = 1.358 / np.sqrt(fewest)  # of Kolmogorov and Smirnov, 95 %
    axes.axhspan(-band, band, color="0.9", zorder=0)
    for knob in knobs.values():
        if knob["latent"]:
            curve = knob["latent"]["curve"]
            axes.plot(np.linspace(0, 1, len(curve)), curve, color="k", lw=0.5, alpha=0.35)
    for knob in knobs.values():
        curve = knob["calibrated"]["curve"]
        axes.plot(np.linspace(0, 1, len(curve)), curve, color=colour, lw=1.4, alpha=0.85)
    axes.text(0.03, 0.03, f"{len(knobs)} knobs, {fewest} items or more", fontsize=7,
              transform=axes.transAxes)  # fmt: skip
