"""Proofs of an evaluation as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..models.estimate import ESTIMATED
from .markdown import markdown_table, number, percent

__all__ = ["proofs_markdown"]

_LEVEL = 0.05  # of all tests of a protocol together


def proofs_markdown(proofs: Mapping[str, Any]) -> str:
    """Tables of what `afxvae.evaluation.proofs.prove` returns, below headings of third order."""
    parts = []
    for name, proof in proofs.items():
        parts += [
            f"### {name}: switches",
            "Expected calibration error and mean squared error of the probability that an effect "
            "is on, beside the error of always saying the share.",
            _switches(proof["switches"]),
            f"### {name}: the gate",
            "What would come of more or less caution: shares of all items. The row of 0 is the "
            "gate as it is.",
            _gate(proof["gate"]),
            _critic(proof["critic"]),
            f"### {name}: errors of settings",
            "Quantiles over the items that had the effect and, of times, in which it was found; in "
            "parentheses those of knowing nothing.",
            _settings(proof["settings"]),
            f"### {name}: knobs",
            _verdict(proof["knobs"]),
            _knobs(proof["knobs"]),
        ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _switches(switches: Mapping[str, Any]) -> str:
    lines = [
        [name, percent(row["share"]), number(row["ece"], 3), number(row["brier"], 3),
         number(row["brier_of_share"], 3)]
        for name, row in switches.items()
    ]  # fmt: skip
    return markdown_table(["effect", "on", "ECE", "Brier", "Brier of the share"], lines)


def _gate(rows: Iterable[Mapping[str, float]]) -> str:
    lines, last = [], None
    for row in rows:
        seen = (row["left_alone"], row["worse"], row["closure"])
        if seen != last or row["shift"] == 0:
            shown = percent(row["left_alone"], 1), percent(row["worse"], 1)
            lines.append([f"{row['shift']:+g}", *shown, number(row["closure"], 2)])
        last = seen
    return markdown_table(["margin, doubts", "left alone", "worse", "closure"], lines)


def _critic(critic: Mapping[str, Any]) -> str:
    if not critic["items"]:
        return "Nothing was done to any item."
    return (
        f"Of {critic['items']} items to which something was done, the critic expected a gain of "
        f"{number(critic['mean_expected'], 2)} in MR-STFT, and it was "
        f"{number(critic['mean_gained'], 2)}; it expected harm to "
        f"{percent(critic['harm_expected'], 1)}, and "
        f"{percent(critic['harmed'], 1)} were harmed."
    )


def _settings(settings: Mapping[str, Any]) -> str:
    lines = []
    for row in settings.values():
        cells = ["", "", ""]
        if row["items"]:
            places = [row["shares"].index(share) for share in (0.5, 0.8, 0.95)]
            cells = [f"{number(row['found'][at], 2)} ({number(row['blind'][at], 2)})"
                     for at in places]  # fmt: skip
        lines.append([row["label"], percent(row["share_found"]), str(row["items"]), *cells])
    head = ["quantity", "effect found", "items", "median", "80 %", "95 %"]
    return markdown_table(head, lines)


def _verdict(knobs: Mapping[str, Any]) -> str:
    """Which knobs are not calibrated, said plainly."""
    if not knobs:
        return "No effect was on and found."
    least = _LEVEL / len(knobs)
    off = {part: [name for name, knob in knobs.items()
                  if knob[part] and knob[part]["p"] < least]
           for part in ("calibrated", "latent")}  # fmt: skip
    sampled = sum(knob["latent"] is not None for knob in knobs.values())
    named = f": {', '.join(off['calibrated'])}" if off["calibrated"] else ""
    close = sum(knobs[name]["latent"]["within"]["0.8"] < 0.8 for name in off["latent"])
    which = "they" if close == len(off["latent"]) else f"of these, those of {close}"
    narrow = f": {which} lie too close together" if close else ""
    return (
        f"Of {len(knobs)} knobs the distributions of {len(off['calibrated'])} are not calibrated "
        f"(Kolmogorov and Smirnov, 5 % for all together){named}. Samples of the latent's posterior "
        f"alone are not calibrated for {len(off['latent'])} of {sampled}{narrow}. Within: how "
        "often the truth was in the central 50, 80 and 95 %."
    )


def _knobs(knobs: Mapping[str, Any]) -> str:
    if not knobs:
        return ""
    lines = []
    for effect in ESTIMATED:
        for name, knob in knobs.items():
            if knob["effect"] == effect:
                own, latent = knob["calibrated"], knob["latent"]
                within = [percent(own["within"][share]) for share in ("0.5", "0.8", "0.95")]
                p = "< .001" if own["p"] < 0.001 else number(own["p"], 3)
                lines.append([f"`{name}`", str(own["items"]), *within, number(own["largest"], 2),
                              p, percent(latent["within"]["0.8"]) if latent else ""])  # fmt: skip
    head = ["knob", "items", "within 50 %", "80 %", "95 %", "largest deviation", "p",
            "80 % of the latent"]  # fmt: skip
    return markdown_table(head, lines)
