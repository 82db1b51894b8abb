"""Write docs/reference/effects.md and a page for each effect beside it, from their declarations.

python docs/make_effects_page.py
python docs/make_effect_plots.py    # the figures, when an effect or its example changes

The text comes from Params and docstrings alone; nothing is computed.
"""

from __future__ import annotations

from pathlib import Path

from afxvae import Param, default_chain, manual
from afxvae.effects import EFFECTS, Chain, Effect

REFERENCE = Path(__file__).resolve().parent / "reference"

FAMILIES = {
    "Equalisers": ("eq", "graphic_eq", "tilt", "bass_boost"),
    "Dynamics": ("compressor", "multiband_compressor", "limiter", "gate", "transient_shaper"),
    "Distortion": ("overdrive", "distortion", "amplifier", "bit_crusher"),
    "Modulation": (
        "chorus", "flanger", "phaser", "tremolo", "vibrato", "rotary", "ring_modulator",
    ),
    "Echo and room": (
        "delay", "ping_pong_delay", "dual_delay", "reverb", "room", "freeverb", "sox_reverb",
    ),
    "Stereo and level": ("width", "pan", "gain"),
}  # fmt: skip

EXAMPLES: dict[str, dict[str, float]] = {
    "eq": {"low_cut_hz": 80, "low_shelf_gain_db": 4, "peak2_gain_db": -8, "peak2_q": 2,
           "peak3_gain_db": 6, "high_cut_hz": 9000},
    "graphic_eq": {"gain_63hz_db": 9, "gain_125hz_db": 6, "gain_500hz_db": -6, "gain_1khz_db": -9,
                   "gain_8khz_db": 9},
    "tilt": {"tilt_db": 12},
    "bass_boost": {"gain_db": 12},
    "compressor": {"threshold_db": -40, "ratio": 4, "makeup_db": 12},
    "multiband_compressor": {"low_threshold_db": -40, "low_ratio": 4, "mid_threshold_db": -40,
                             "mid_ratio": 2, "high_makeup_db": 12},
    "limiter": {"gain_db": 12, "ceiling_db": -12},
    "gate": {"threshold_db": -15, "range_db": 60},
    "transient_shaper": {"attack_db": 12, "sustain_db": -12},
    "overdrive": {"drive_db": 24},
    "distortion": {"drive_db": 30, "mix": 1},
    "amplifier": {"drive_db": 30, "mix": 1},
    "bit_crusher": {"bits": 6, "rate_hz": 6000, "mix": 1},
    "chorus": {"depth_ms": 3, "mix": 0.5},
    "flanger": {"rate_hz": 0.5, "depth_ms": 2, "delay_ms": 2.2, "feedback": 0.5, "mix": 0.5},
    "phaser": {"rate_hz": 0.5, "feedback": 0.5, "mix": 0.5},
    "tremolo": {"depth": 0.9, "stereo_phase_deg": 90},
    "vibrato": {"depth_cents": 50},
    "rotary": {"rate_hz": 6.7, "mix": 1},
    "ring_modulator": {"mix": 1},
    "delay": {"time_ms": 300, "feedback": 0.6, "mix": 0.5},
    "ping_pong_delay": {"time_ms": 300, "feedback": 0.7, "tone_hz": 3000, "mix": 0.5},
    "dual_delay": {"left_ms": 300, "right_ms": 450, "feedback": 0.6, "tone_db": -9, "mix": 0.5},
    "reverb": {"decay_s": 2, "mix": 0.4},
    "room": {"decay_s": 2, "mix": 0.5},
    "freeverb": {"decay_s": 2, "mix": 0.5},
    "sox_reverb": {"decay_s": 2, "room_scale": 50, "mix": 0.5},
    "width": {"width": 2},
    "pan": {"position": 0.9},
    "gain": {"gain_db": 12},
}  # fmt: skip
"""What the figures show; the other knobs are at their defaults."""

INTRODUCTION = """# Effects

Every effect gives back its input bit for bit when it is switched off or at its defaults. All of
them take any sample rate and any number of channels, run on a whole recording or block after block
with the same result, and are differentiable in the audio and in every knob. `afxvae effects` lists
them in a terminal, `afxvae effects NAME` shows what is on the page of one, and
`afxvae effects --json` gives all knobs as data.
"""

OUTRO = """The effects marked \\* are those of the default chain, which the model sets, in the order
{order}.
Ranges belong to a trained model: weights refuse to load into a chain with others.
"""


def pages() -> dict[Path, str]:
    """Every page as Markdown, by its place."""
    found = {REFERENCE / "effects.md": overview()}
    for effect in EFFECTS:
        found[REFERENCE / "effects" / f"{effect.name}.md"] = page(effect)
    return found


def overview() -> str:
    """All effects by family, in a sentence each."""
    every, chosen = Chain(EFFECTS), default_chain().names
    parts = [INTRODUCTION]
    for family, names in FAMILIES.items():
        rows = ["| effect | does | knobs |", "|---|---|---|"]
        for name in names:
            link = f"[`{name}`](effects/{name}.md)" + (" \\*" if name in chosen else "")
            rows.append(f"| {link} | {every[name].help} | {len(every[name].params)} |")
        parts.append(f"## {family}\n\n" + "\n".join(rows) + "\n")
    parts.append(OUTRO.format(order=", ".join(f"`{name}`" for name in chosen)))
    return "\n".join(parts)


def page(effect: Effect) -> str:
    """One effect: figure, knobs, latency, how it is computed."""
    example = ", ".join(
        f"`{knob}` {number(value)}" for knob, value in EXAMPLES[effect.name].items()
    )
    parts = [
        f"# `{effect.name}`\n\n{effect.help}\n",
        f"![What {effect.name} does to sound]({effect.name}.png)\n",
        f"Left: measured on test signals. Right: a guitar, before and after, with {example}.\n",
        f"## Knobs\n\n{table(effect.params)}",
        amounts(effect),
        f"{manual.latency(effect)}\n",
    ]
    if passages := manual.computation(effect):
        parts.append("## How it is computed\n")
    for passage in passages:
        parts.append("\n\n".join((f"**`{passage.subject}`**", *passage.paragraphs)) + "\n")
    return "\n".join(parts)


def amounts(effect: Effect) -> str:
    """What the asterisks say."""
    marked = sum(param.amount for param in effect.params)
    text = "Knobs marked \\* are amounts: with all of them at their defaults"
    if marked == 1:
        text = "The knob marked \\* is an amount: with it at its default"
    text += " the effect does nothing"
    if marked < len(effect.params):
        text += ", wherever its other knobs stand"
    if any(param.scale == "log" for param in effect.params):
        text += ". The middle of a logarithmic knob is the geometric mean of its ends"
    return f"{text}.\n"


def table(params: tuple[Param, ...]) -> str:
    """One row a knob."""
    rows = ["| knob | unit | range | default | scale | does |", "|---|---|---|---|---|---|"]
    for param in params:
        name = f"`{param.name}`" + (" \\*" if param.amount else "")
        span = f"{number(param.minimum)} to {number(param.maximum)}"
        cells = [name, param.unit, span, number(param.default), param.scale, param.help]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def number(value: float) -> str:
    """As short as it can be, with a minus sign that does not break."""
    return f"{value:g}".replace("-", "−")


if __name__ == "__main__":
    for path, text in pages().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
