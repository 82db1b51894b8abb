"""How a VAE uses its latent, and what it loses of the differences it encodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .arrays import Array, Posteriors
from .paper import COLOURS, GREY, paper, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["ACTIVE_VARIANCE", "active_units", "draw_posterior", "draw_reconstruction",
           "explained", "principal_part"]  # fmt: skip

ACTIVE_VARIANCE = 0.01
"""Variance of the posterior means above which a dimension is in use (Burda, Grosse and
Salakhutdinov 2016, *Importance weighted autoencoders*)."""


def active_units(mean: Array) -> Array:
    """Which dimensions of means ``(item, latent)`` are in use, boolean ``(latent,)``.

    >>> active_units(np.array([[0.0, 1.0], [0.01, -1.0]])).tolist()
    [False, True]
    """
    used: Array = mean.var(0) > ACTIVE_VARIANCE
    return used


def principal_part(values: Array, dimensions: int) -> Array:
    """What is left of ``(item, dimension)`` after PCA with fewer dimensions, fitted to the same."""
    centre = values.mean(0)
    directions = np.linalg.svd(values - centre, full_matrices=False)[2][:dimensions]
    part: Array = centre + (values - centre) @ directions.T @ directions
    return part


def explained(values: Array, reconstructed: Array) -> float:
    """R2: 1 for values given back, 0 for their mean."""
    total = np.square(values - values.mean(0)).sum()
    return float(1.0 - np.square(values - reconstructed).sum() / max(float(total), 1e-24))


def draw_reconstruction(found: Posteriors) -> Figure:
    """Differences and what the VAE gives back, value by value, and the error of each item."""
    figure = paper(12.5, 4.1)
    scatter, values, errors = (figure.add_subplot(1, 3, place) for place in (1, 2, 3))
    size = found.mean.shape[1]
    component = principal_part(found.difference, size)
    _draw_scatter(figure, scatter, found)
    edges = np.linspace(-4.0, 4.0, 61)
    shown = (("difference embedding", found.difference, GREY),
             ("reconstructed", found.reconstructed, COLOURS[0]))  # fmt: skip
    for label, part, colour in shown:
        heights, _ = np.histogram(part, edges, density=True)
        values.stairs(heights, edges, fill=colour == GREY, color=colour, lw=1.8,
                      alpha=0.6 if colour == GREY else 1.0, label=label)  # fmt: skip
    values.set(xlabel="value, standard deviations", ylabel="density", title="All values")
    values.set(xlim=(-4.0, 4.0), ylim=(0.0, 1.18 * values.get_ylim()[1]))
    values.legend(frameon=False, loc="upper left", fontsize=8.5)
    rivals = {
        "VAE": (found.reconstructed, COLOURS[0]),
        f"PCA, {size} dimensions, of these items": (component, COLOURS[1]),
        "the mean of all": (np.broadcast_to(found.difference.mean(0), component.shape), GREY),
    }
    _draw_errors(errors, found.difference, rivals)
    for axes in (scatter, values, errors):
        tidy(axes)
    return figure


def _draw_scatter(figure: Figure, axes: Axes, found: Posteriors) -> None:
    reach = max(1.0, float(np.quantile(np.abs(found.difference), 0.999)))
    drawn = axes.hexbin(found.difference.ravel(), found.reconstructed.ravel(), gridsize=60,
                        extent=(-reach, reach, -reach, reach), bins="log", mincnt=1,
                        cmap="viridis", lw=0)  # fmt: skip
    figure.colorbar(drawn, ax=axes, label="values in a cell", pad=0.01)
    axes.plot((-reach, reach), (-reach, reach), color="k", lw=0.8, ls="--")
    axes.set(xlabel="difference embedding, standard deviations", ylabel="reconstructed")
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
    r2 = explained(found.difference, found.reconstructed)
    axes.set_title(f"R² {r2:.3f}, {len(found.mean)} items")


def _draw_errors(axes: Axes, truth: Array, rivals: dict[str, tuple[Array, str]]) -> None:
    errors = {name: np.sqrt(np.square(part - truth).mean(1)) for name, (part, _) in rivals.items()}
    whole = np.concatenate(list(errors.values())).clip(1e-4)
    edges = np.geomspace(whole.min() / 1.1, whole.max() * 1.1, 46)
    counts = {name: np.histogram(error.clip(1e-4), edges)[0] for name, error in errors.items()}
    top = max(count.max() for count in counts.values())
    for name, error in errors.items():
        middle, colour = float(np.median(error)), rivals[name][1]
        axes.stairs(counts[name], edges, fill=True, alpha=0.35, color=colour)
        axes.vlines(middle, 0.0, 1.05 * top, color=colour, lw=1.8, label=f"{name}: {middle:.2f}")
    low, high = edges[0], edges[-1]
    ticks = [t for t in (0.001, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0) if low < t < high]
    axes.set_xscale("log")
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_xticks([], minor=True)
    axes.set(xlabel="RMS error, standard deviations", ylabel="items", title="Error of each item")
    axes.set_ylim(0.0, 1.55 * top)
    legend = axes.legend(title="median", frameon=False, loc="upper left", fontsize=8.5)
    legend.set_alignment("left")


def draw_posterior(found: Posteriors) -> Figure:
    """Nats and variance of each dimension of the latent, and all samples beside the prior."""
    figure = paper(12.5, 4.1)
    nats, spread, prior = (figure.add_subplot(1, 3, place) for place in (1, 2, 3))
    variance = np.exp(found.log_var)
    divergence = 0.5 * (found.mean**2 + variance - found.log_var - 1.0).mean(0)
    order, used = divergence.argsort()[::-1], active_units(found.mean)
    places = np.arange(len(order))
    colours = [COLOURS[0] if used[index] else GREY for index in order]
    nats.bar(places, divergence[order], color=colours)
    nats.set(ylabel="KL divergence from the prior, nats", title=f"{divergence.sum():.1f} nats")
    means, own = found.mean.var(0)[order], variance.mean(0)[order]
    spread.bar(places, means, color=colours, label="of the means, between items")
    spread.plot(places, own, "D", color=COLOURS[4], ms=6, label="of a posterior, on average")
    spread.axhline(1.0, color="k", lw=0.9, ls="--", label="of the prior")
    spread.axhline(ACTIVE_VARIANCE, color=COLOURS[1], lw=1.2, ls=":", label="least to be in use")
    low = min(float(own.min()), float(means.min()), ACTIVE_VARIANCE)
    spread.set(yscale="log", ylim=(max(1e-5, low / 3.0), 80.0 * max(1.0, float(means.max()))))
    spread.set(ylabel="variance", title=f"{int(used.sum())} of {len(used)} dimensions in use")
    spread.legend(frameon=False, fontsize=8.5, loc="upper left")
    for axes in (nats, spread):
        axes.set_xticks(places, [str(index) for index in order], fontsize=8)
        axes.set_xlabel("dimension of the latent, by divergence")
    _draw_prior(prior, found)
    for axes in (nats, spread, prior):
        tidy(axes)
    for axes in (nats, spread):
        axes.grid(False, axis="x")
    return figure


def _draw_prior(axes: Axes, found: Posteriors) -> None:
    """Means of all items, dimension by dimension and together, beside the prior."""
    edges = np.linspace(-4.0, 4.0, 33)
    for values in found.mean.T:
        axes.stairs(np.histogram(values, edges, density=True)[0], edges, color=GREY, lw=0.7,
                    alpha=0.7)  # fmt: skip
    together = np.histogram(found.mean, edges, density=True)[0]
    axes.stairs(together, edges, color=COLOURS[0], lw=2.2, label="all dimensions")
    grid = np.linspace(-4.0, 4.0, 161)
    bell = np.exp(-0.5 * grid**2) / np.sqrt(2.0 * np.pi)
    axes.plot([], [], color=GREY, lw=0.7, label="each dimension")
    axes.plot(grid, bell, color="k", lw=1.6, ls="--", label="prior")
    axes.set(xlabel="latent", ylabel="density", xlim=(-4.0, 4.0), title="Posterior means and prior")
    axes.set_ylim(0.0, 1.25 * axes.get_ylim()[1])
    axes.legend(frameon=False, fontsize=8.5, loc="upper left")
