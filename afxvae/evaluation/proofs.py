"""What an evaluation proves beside its distances, from the items that it leaves in its folder.

``items.jsonl`` holds what the model believed of every item and what is true of it; from there come
the reliability of switches, the risk-coverage curve of the gate, the errors of what settings do,
and the calibration of the knobs. They can be made again from the same folder, with other spreads.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..effects import default_chain
from ..files import replacing
from ..models.estimate import ESTIMATED
from ..posterior import HOW, Knob, knob_posterior, laplace_cdf, read_spreads
from ..types import UsageError
from .calibration import reliability, risk_coverage, uniformity
from .evidence import SAMPLES, SHIFTS
from .items import ItemResults
from .proof_tables import proofs_markdown
from .settings import QUANTITIES
from .summary import rounded

__all__ = [
    "EVALUATION_FILE",
    "ITEMS_FILE",
    "PROOFS_FILE",
    "item_lines",
    "knobs_of",
    "prove",
    "read_items",
    "write_proofs",
]

ITEMS_FILE = "items.jsonl"
PROOFS_FILE = "proofs.json"
EVALUATION_FILE = "evaluation.json"

_DIGITS = 5
_QUANTILES = tuple(round(0.05 * step, 2) for step in range(21))
_SHOWN = ("eq_curve_db", "compressor_curve_db", "delay_time_ms", "rt60_ratio")


def item_lines(results: ItemResults) -> list[dict[str, Any]]:
    """Evidence of the items of a protocol as plain values, one for each item that has some."""
    lines = []
    for index, item in enumerate(results.items):
        for row, verdict in item.verdicts.items():
            if verdict.evidence is not None:
                lines.append(
                    {
                        "protocol": results.protocol,
                        "item": index,
                        "kind": item.kind,
                        "row": row,
                        "on": item.switches,
                        "found": verdict.switches,
                        "choice": verdict.choice,
                        "before": item.distances["input"]["mr_stft"],
                        "after": item.distances[row]["mr_stft"],
                        "errors": {name: list(error) for name, error in verdict.errors.items()},
                        **dataclasses.asdict(verdict.evidence),
                    }
                )
    return lines


def read_items(folder: Path) -> list[dict[str, Any]]:
    """The lines of `ITEMS_FILE` in a results folder.

    Raises:
        UsageError: There is none, or it is not one.
    """
    path = folder / ITEMS_FILE
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]
    except FileNotFoundError as error:
        raise UsageError(f"There is no {path}: it comes from afxvae evaluate --out.") from error
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read: {error}.") from error


def knobs_of(lines: Iterable[Mapping[str, Any]]) -> list[Knob]:
    """Knobs with their truth, of all items."""
    return [Knob(**knob) for line in lines for knob in line["knobs"]]


def prove(
    lines: Sequence[Mapping[str, Any]], spreads: dict[str, Any] | None = None
) -> dict[str, Any]:
    """By protocol: ``switches``, ``gate``, ``critic``, ``settings`` and ``knobs``.

    Args:
        lines: See `item_lines`.
        spreads: Of the knobs, as `afxvae.posterior.read_spreads` gives them, which is the default.

    Raises:
        UsageError: There are no lines.
    """
    if not lines:
        raise UsageError("There are no items to prove anything with.")
    proofs = {}
    for protocol in dict.fromkeys(line["protocol"] for line in lines):
        own = [line for line in lines if line["protocol"] == protocol]
        proofs[protocol] = {
            "items": len(own),
            "row": own[0]["row"],
            "switches": _switches(own),
            "gate": _gate(own),
            "critic": _critic(own),
            "settings": _settings(own),
            "knobs": _knobs(own, spreads),
        }
    return proofs


def write_proofs(folder: Path) -> dict[str, Any]:
    """Make the proofs of a results folder, write `PROOFS_FILE` and ``proofs.md``, return them.

    Spreads that were fitted to other weights are ignored, which ``proofs.md`` says.

    Raises:
        UsageError: There are no items, or spreads but nothing that names the evaluated model.
    """
    spreads, note = _own_spreads(folder)
    proofs: dict[str, Any] = rounded(prove(read_items(folder), spreads), _DIGITS)
    texts = {
        PROOFS_FILE: json.dumps(proofs, indent=1) + "\n",
        "proofs.md": note + proofs_markdown(proofs),
    }
    for name, text in texts.items():
        with replacing(folder / name) as unfinished:
            unfinished.write_text(text, encoding="utf-8")
    return proofs


def _own_spreads(folder: Path) -> tuple[dict[str, Any], str]:
    """Spreads if they are of the weights that were evaluated, else none and a note."""
    spreads = read_spreads()
    if not any(spreads[how] for how in HOW):
        return spreads, ""
    path = folder / EVALUATION_FILE
    try:
        checksum = str(json.loads(path.read_text(encoding="utf-8"))["model"]["checksum"])
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise UsageError(f"{path} cannot be read: it should name the evaluated model.") from error
    fitted = spreads.get("checksum")
    if fitted == checksum:
        return spreads, ""
    note = (
        f"The fitted spreads of the knobs are of other weights (checksum `{str(fitted)[:16]}`, not "
        f"`{checksum[:16]}`) and are ignored.\n\n"
    )
    return {how: {} for how in HOW}, note


def _switches(lines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Reliability of each effect's probability, with what was measured, and of all together."""
    table, odds, truths = {}, [], []
    for effect in ESTIMATED:
        own = ([line[name][effect] for line in lines] for name in ("probability", "on"))
        probability, on = own
        table[effect] = reliability(probability, on)
        odds += probability
        truths += on
    return {**table, "all": reliability(odds, truths)}


def _gate(lines: Sequence[Mapping[str, Any]]) -> list[dict[str, float]]:
    return risk_coverage(
        [line["before"] for line in lines],
        [line["distances"] for line in lines],
        [line["untouched"] for line in lines],
        SHIFTS,
    )


def _critic(lines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Whether the advantage is as expected, of items to which something was done."""
    done = [line for line in lines if line["doubt"] > 0]
    if not done:
        return {"items": 0}
    expected, doubt = (np.array([line[name] for line in done]) for name in ("expected", "doubt"))
    gained = np.array([line["before"] - line["after"] for line in done])
    below, harm = (laplace_cdf(x, expected, doubt) for x in (gained, 0.0))  # as its loss has it
    return {
        "items": len(done),
        "expected": expected.tolist(),
        "gained": gained.tolist(),
        "mean_expected": float(expected.mean()),
        "mean_gained": float(gained.mean()),
        "harm_expected": float(harm.mean()),
        "harmed": float((gained < 0).mean()),
        "place": uniformity(below),
    }


def _settings(lines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Quantiles of the errors, of items that had the effect, beside those of knowing nothing."""
    table: dict[str, Any] = {}
    for name in _SHOWN:
        effect = QUANTITIES[name].effect
        errors = [line["errors"][name] for line in lines
                  if name in line["errors"] and line["on"][effect]]  # fmt: skip
        had = sum(line["on"][effect] for line in lines)
        table[name] = {
            "label": QUANTITIES[name].label,
            "items": len(errors),
            "share_found": sum(line["on"][effect] and line["found"][effect] for line in lines)
            / max(had, 1),
            "shares": list(_QUANTILES),
            "found": np.quantile([e[0] for e in errors], _QUANTILES).tolist() if errors else [],
            "blind": np.quantile([e[1] for e in errors], _QUANTILES).tolist() if errors else [],
        }
    return table


def _knobs(
    lines: Sequence[Mapping[str, Any]], spreads: dict[str, Any] | None
) -> dict[str, dict[str, Any]]:
    """Places of the truth by knob: in its distribution, and among samples of the latent."""
    places: dict[str, list[float]] = {}
    latent: dict[str, list[float]] = {}
    params = {(effect, param.name): param for effect, param in default_chain().knobs}
    for knob in knobs_of(lines):
        name, param = f"{knob.effect}.{knob.name}", params[knob.effect, knob.name]
        own = knob_posterior(knob.effect, param, knob.estimate, knob.how, spreads)
        places.setdefault(name, []).append(float(own.cdf(knob.true)))
        if knob.below is not None:
            place = (SAMPLES * knob.below + 0.5) / (SAMPLES + 1)
            latent.setdefault(name, []).append(place)
    order = [f"{effect}.{name}" for effect, name in params]
    return {
        name: {
            "effect": name.split(".")[0],
            "calibrated": uniformity(places[name]),
            "latent": uniformity(latent[name]) if name in latent else None,
        }
        for name in order
        if name in places
    }
