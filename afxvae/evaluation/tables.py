"""An evaluation as Markdown, from the plain values of its JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .markdown import markdown_table, number, percent
from .probe_tables import probes_markdown
from .settings import QUANTITIES
from .summary import TOLERANCE

__all__ = ["to_markdown"]

_OTHER_COLUMNS = {
    "msd": ("MSD", 2),
    "sce_hz": ("SCE, Hz", 0),
    "cfe_db": ("CFE, dB", 2),
    "mfcc": ("MFCC", 2),
    "rms_db": ("RMS, dB", 2),
    "lufs": ("LUFS, LU", 2),
}


def to_markdown(result: Mapping[str, Any]) -> str:
    """Tables of what `afxvae.evaluation.report.run` returned, below a heading of second order."""
    data, model = result["data"], result["model"]
    kinds = ", ".join(f"{kind} {count}" for kind, count in data["kinds"].items())
    parts = [
        "## Results",
        f"Model `{model['name']}`, checksum `{model['checksum'][:16]}`, afxvae "
        f"{result['version']}. {data['recordings']} recordings ({kinds}) of {data['groups']} "
        f"speakers, instruments or tracks, {data['minutes']:.0f} minutes, split: {data['split']}. "
        f"Seed {result['seed']}.",
        _overview(result["protocols"].values()),
    ]
    for protocol in result["protocols"].values():
        parts += _protocol(protocol)
    if result.get("latent"):
        parts += _latent(result["latent"])
    if result.get("probes"):
        parts.append(probes_markdown(result["probes"]).strip())
    return "\n\n".join(part for part in parts if part) + "\n"


def _overview(protocols: Iterable[Mapping[str, Any]]) -> str:
    lines = []
    for protocol in protocols:
        final = protocol["final"]
        if final is None:
            continue
        row, alone = protocol["rows"][final], protocol["left_alone"][final]
        lines.append(
            [
                protocol["protocol"],
                str(protocol["items"]),
                _closure(row, ""),
                percent(row["worse"], 1),
                _share_of(alone["of_untouched"], alone["untouched"]),
            ]
        )
    head = ["protocol", "items", "closure at matched loudness (95 %)", "worse than input",
            "untouched items left alone"]  # fmt: skip
    return markdown_table(head, lines) if lines else ""


def _protocol(protocol: Mapping[str, Any]) -> list[str]:
    final, name = protocol["final"], protocol["protocol"]
    tested = f" p: paired bootstrap test against *{final}* at matched loudness." if final else ""
    parts = [
        f"### {name}: {_TITLES[name]}",
        f"{protocol['items']} items, seed {protocol['seed']}. Worse: the MR-STFT grew by more than "
        f"{TOLERANCE:g}.{tested}",
        _main_table(protocol),
        "Of the other metrics, MSD, SCE, CFE and MFCC are at matched loudness; RMS and LUFS are "
        "the errors of level, as rendered.",
        _other_table(protocol),
    ]
    if final is None:
        return parts
    return [
        *parts,
        f"#### {name}: where *{final}* works",
        "Closure at matched loudness by the number of effects that were on, and by the kind of "
        "recording.",
        _breakdown("effects on", protocol["by_effects_on"]),
        _breakdown("kind", protocol["by_kind"]),
        f"#### {name}: left alone",
        "How often nothing was done, apart from the level: to all items, to those without any "
        "effect but gain, and to additional ones without a treatment.",
        _left_alone(protocol["left_alone"]),
        f"#### {name}: effects found on or off",
        "Share of items judged rightly, beside the share if no effect were ever on. Missed: on, "
        "and not found; false: off, and switched on.",
        _switches(protocol["switches"]),
        f"#### {name}: settings",
        "Mean errors of what settings do. Of a curve or a mix, an effect that is absent has zeros, "
        "and the error beside is that of doing nothing. Of a level or a time, items count whose "
        "effect was on and was found, and the error beside is that of the mean preset.",
        _settings(protocol["settings"]),
    ]


_TITLES = {"P1": "same recording", "P2": "other recording"}


def _main_table(protocol: Mapping[str, Any]) -> str:
    head = ["row", "MR-STFT", "closure (95 %)", "worse", "p", "MR-STFT as rendered",
            "closure (95 %)", "worse"]  # fmt: skip
    lines = [
        [
            _named(name, protocol["final"]),
            number(row["mr_stft"], 3),
            _closure(row, ""),
            percent(row["worse"], 1),
            _p_value(row.get("p")),
            number(row["mr_stft_rendered"], 3),
            _closure(row, "_rendered"),
            percent(row["worse_rendered"], 1),
        ]
        for name, row in protocol["rows"].items()
    ]
    return markdown_table(head, lines)


def _other_table(protocol: Mapping[str, Any]) -> str:
    lines = [
        [
            _named(name, protocol["final"]),
            *(number(row[key], digits) for key, (_, digits) in _OTHER_COLUMNS.items()),
        ]
        for name, row in protocol["rows"].items()
    ]
    return markdown_table(["row", *(label for label, _ in _OTHER_COLUMNS.values())], lines)


def _breakdown(label: str, groups: Mapping[str, Mapping[str, Any]]) -> str:
    lines = [
        [
            name,
            str(group["items"]),
            number(group["input"], 3),
            number(group["closure"], 2),
            percent(group["worse"], 1),
            percent(group["left_alone"]),
        ]
        for name, group in groups.items()
    ]
    head = [label, "items", "MR-STFT of the input", "closure", "worse", "left alone"]
    return markdown_table(head, lines)


def _left_alone(rows: Mapping[str, Mapping[str, Any]]) -> str:
    lines = [
        [
            name,
            percent(row["of_all"]),
            _share_of(row["of_those_among_items"], row["among_items"]),
            _share_of(row["of_additional"], row["untouched"] - row["among_items"]),
        ]
        for name, row in rows.items()
    ]
    return markdown_table(["row", "all items", "without effect", "additional, untouched"], lines)


def _switches(effects: Mapping[str, Mapping[str, Any]]) -> str:
    keys = ("on", "always_off", "posterior_mean", "decision", "missed", "false")
    lines = [[name, *(percent(row[key]) for key in keys)] for name, row in effects.items()]
    head = ["effect", "on", "never on", "posterior mean", "decision", "missed", "false"]
    return markdown_table(head, lines)


def _settings(quantities: Mapping[str, Mapping[str, Any]]) -> str:
    lines = []
    for name, row in quantities.items():
        curve = QUANTITIES[name].curve
        cells = [(row[f"{key}{suffix}"]) for suffix in ("", "_on") for key in ("found", "blind")]
        shown = [number(value, 2) for value in cells]
        lines.append(
            [
                QUANTITIES[name].label,
                *(shown[:2] if curve else ["", ""]),
                str(row["items_on"]),
                *shown[2:],
            ]
        )
    head = ["quantity", "all items", "nothing", "items with it", "error", "nothing or mean preset"]
    return markdown_table(head, lines)


def _latent(latent: Mapping[str, Any]) -> list[str]:
    head = ["R2", f"R2 of PCA, {latent['latent_dim']} dimensions", "share of it", "active units",
            "KL, nats"]  # fmt: skip
    cells = [
        number(latent["r2"], 3),
        number(latent["pca_r2"], 3),
        number(latent["r2"] / latent["pca_r2"], 3) if latent["pca_r2"] else "",
        f"{latent['active_units']} of {latent['latent_dim']}",
        number(latent["kl_nats"], 1),
    ]
    right, off = latent["switch_accuracy"], latent["always_off"]
    switches = [[name, percent(off[name]), percent(value)] for name, value in right.items()]
    return [
        "### The VAE on held-out pairs",
        f"Reconstruction of the difference embedding on pairs of {latent['crops']} held-out crops; "
        "the PCA was fitted to these pairs themselves, which favours it.",
        markdown_table(head, [cells]),
        "Effects rightly found on or off by the posterior mean:",
        markdown_table(["effect", "never on", "posterior mean"], switches),
    ]


def _named(row: str, final: str | None) -> str:
    return f"**{row}**" if row == final else row


def _closure(row: Mapping[str, Any], suffix: str) -> str:
    interval = row[f"closure{suffix}_interval"]
    if interval is None:
        return ""
    low, high = (number(value, 2) for value in interval)
    return f"{number(row[f'closure{suffix}'], 2)} ({low} to {high})"


def _share_of(share: float | None, count: int) -> str:
    return f"{percent(share)} of {count}" if count else "none"


def _p_value(p: float | None) -> str:
    return "" if p is None else "< .001" if p < 0.001 else f"{p:.3f}".removeprefix("0")
