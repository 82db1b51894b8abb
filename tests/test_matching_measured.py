"""What `match` measures, whatever the weights are: loudness, peaks, width and the room."""

from __future__ import annotations

import pytest
import torch

from afxvae.dsp.features import SAMPLE_RATE
from afxvae.effects import EFFECTS, Chain, default_chain
from afxvae.loudness import normalize_loudness, true_peak
from afxvae.models.estimate import ESTIMATED
from afxvae.models.style_vae import AFXStyleVAE
from tests.sounds import lufs, sound, untrained

# loudness and peaks


@pytest.mark.parametrize("policy", ["reference", "keep", -16.0, -30.0])
@pytest.mark.parametrize("daring", [True, False])
def test_loudness_is_what_was_asked_for_unless_peaks_forbid_it(
    policy: str | float, daring: bool, bold: AFXStyleVAE, timid: AFXStyleVAE
) -> None:
    rate = 44100
    audio = 0.3 * sound(1, 4.0, rate, 2)
    style, _ = normalize_loudness(sound(2, 3.0).unsqueeze(0), SAMPLE_RATE, -20.0)
    model = bold if daring else timid
    match = model.match(
        audio,
        style[0],
        sample_rate=rate,
        reference_rate=SAMPLE_RATE,
        effort="fast",
        loudness=policy,
    )
    wanted = {"reference": -20.0, "keep": lufs(audio, rate)}.get(str(policy), policy)
    missing = float(wanted) - lufs(match.audio, rate)
    limited = [note for note in match.notes if "below the wanted loudness" in note]
    if limited:
        said = float(limited[0].split(" dB")[0])
        assert missing == pytest.approx(said, abs=0.3)
        assert float(true_peak(match.audio.unsqueeze(0))) > 0.9
    else:
        assert abs(missing) < 0.3
    if policy == -30.0:
        assert not limited


@pytest.mark.parametrize("level", [0.1, 0.95])
@pytest.mark.parametrize("policy", ["reference", "keep", -3.0])
def test_true_peaks_stay_below_full_scale(
    level: float, policy: str | float, bold: AFXStyleVAE, timid: AFXStyleVAE
) -> None:
    """A click in soft noise is as far as peaks can be from loudness."""
    generator = torch.Generator().manual_seed(0)
    audio = 0.01 * torch.randn(2, 2 * SAMPLE_RATE, generator=generator)
    audio[:, SAMPLE_RATE] = level
    style = torch.sign(sound(2, 2.0)) * 0.9
    for model in (bold, timid):
        match = model.match(audio, style, sample_rate=SAMPLE_RATE, effort="fast", loudness=policy)
        assert float(true_peak(match.audio.unsqueeze(0))) < 1.0
        assert torch.equal(match.preset.apply(audio, SAMPLE_RATE), match.audio)


# width and room


def stereo(width: float, seed: int) -> torch.Tensor:
    """Two channels whose side is `width` times as large as their middle, about."""
    middle, side = sound(seed, 3.0), sound(seed + 1, 3.0)
    return 0.3 * torch.cat([middle + width * side, middle - width * side])


def side_level(audio: torch.Tensor) -> float:
    return float((audio[0] - audio[1]).norm() / (audio[0] + audio[1]).norm())


@pytest.mark.parametrize(("before", "after"), [(1.0, 0.2), (0.3, 0.54), (0.2, 1.0)])
def test_width_is_measured(before: float, after: float, timid: AFXStyleVAE) -> None:
    audio, style = stereo(before, 1), 0.4 * stereo(after, 1)
    match = timid.match(audio, style, sample_rate=SAMPLE_RATE, effort="fast")
    assert match.decision == "width and loudness only"
    width = min(after / before, 2.0)
    assert match.preset.settings["width"]["width"] == pytest.approx(width, rel=1e-3)
    if width < 2.0:
        assert side_level(match.audio) == pytest.approx(side_level(style), rel=1e-2)


@pytest.mark.parametrize("form", ["alike", "mono input", "mono reference", "both channels one"])
def test_width_is_left_alone_where_there_is_nothing_to_measure(
    form: str, timid: AFXStyleVAE
) -> None:
    audio = sound(1, 3.0) if form == "mono input" else stereo(0.5, 1)
    style = sound(3, 3.0) if form == "mono reference" else stereo(0.55, 3)
    if form == "both channels one":
        style = style[:1].repeat(2, 1)
    match = timid.match(audio, style, sample_rate=SAMPLE_RATE, effort="fast")
    assert not match.preset.switches["width"]


@pytest.mark.parametrize(("channels", "seconds"), [(1, 6), (2, 6), (1, 2), (2, 2)])
def test_a_room_is_heard_in_the_reference_and_has_its_knobs_in_the_preset(
    channels: int, seconds: int
) -> None:
    """Of a stereo recording in the left channel: both have the room, with other reflections."""
    model = untrained(expectation=1.0)
    last = model.vae.head.last
    torch.nn.init.constant_(last.bias[-len(ESTIMATED) :], -6.0)  # nothing but what is measured
    generator = torch.Generator().manual_seed(0)
    audio, dry = 0.1 * torch.randn(2, channels, seconds * SAMPLE_RATE, generator=generator)
    knobs = {"decay_s": 1.2, "treble_ratio": 0.5, "pre_delay_ms": 20.0, "mix": 0.3}
    room = {name: torch.tensor([value]) for name, value in knobs.items()}
    wet = default_chain()["reverb"].process(dry.unsqueeze(0), room, SAMPLE_RATE)[0]
    match = model.match(audio, wet, sample_rate=SAMPLE_RATE, effort="fast", loudness="keep")
    assert match.decision.startswith("posterior mean")
    assert match.preset.switches["reverb"]
    assert not any(match.preset.switches[name] for name in ESTIMATED if name != "reverb")
    assert match.preset.settings["reverb"] == pytest.approx(knobs, rel=0.15)


def test_a_flanger_is_heard_in_the_reference_and_comes_in_the_place_of_the_chorus() -> None:
    model = untrained(expectation=1.0)
    last = model.vae.head.last
    torch.nn.init.constant_(last.bias[-len(ESTIMATED) :], -6.0)  # nothing but what is measured
    generator = torch.Generator().manual_seed(1)
    audio, dry = 0.1 * torch.randn(2, 1, 6 * SAMPLE_RATE, generator=generator)
    knobs = {"rate_hz": 0.6, "depth_ms": 1.2, "delay_ms": 1.5, "feedback": 0.0, "mix": 0.4}
    knobs |= {"stereo_phase_deg": 0.0, "phase_deg": 40.0, "step_us": 0.0}
    settings = {name: torch.tensor([value]) for name, value in knobs.items()}
    wet = Chain(EFFECTS)["flanger"].process(dry.unsqueeze(0), settings, SAMPLE_RATE)[0]
    match = model.match(audio, wet, sample_rate=SAMPLE_RATE, effort="fast", loudness="keep")
    assert match.preset.switches["flanger"]
    assert "chorus" not in match.preset.settings
    found = match.preset.settings["flanger"]
    assert found == pytest.approx(knobs, rel=0.1, abs=0.05)
    assert torch.equal(match.preset.apply(audio, SAMPLE_RATE), match.audio)
    refused = model.match(audio, wet, sample_rate=SAMPLE_RATE, effort="fast", without=["chorus"])
    assert not refused.preset.switches.get("flanger", False)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(
    ("room", "others"),
    [("freeverb", {}), ("sox_reverb", {"room_scale": 60.0})],
)
def test_freeverb_is_heard_in_the_reference_and_comes_in_the_place_of_the_reverb(
    room: str, others: dict[str, float], channels: int
) -> None:
    model = untrained(expectation=1.0)
    last = model.vae.head.last
    torch.nn.init.constant_(last.bias[-len(ESTIMATED) :], -6.0)  # nothing but what is measured
    generator = torch.Generator().manual_seed(1)
    audio, dry = 0.1 * torch.randn(2, channels, 6 * SAMPLE_RATE, generator=generator)
    knobs = {"decay_s": 1.5, "damping_hz": 6000.0, "pre_delay_ms": 10.0, "mix": 0.3} | others
    settings = {name: torch.tensor([value]) for name, value in knobs.items()}
    wet = Chain(EFFECTS)[room].process(dry.unsqueeze(0), settings, SAMPLE_RATE)[0]
    match = model.match(audio, wet, sample_rate=SAMPLE_RATE, effort="fast", loudness="keep")
    assert match.preset.switches[room]
    assert "reverb" not in match.preset.settings
    assert match.preset.settings[room] == pytest.approx(knobs, rel=0.2)
    assert torch.equal(match.preset.apply(audio, SAMPLE_RATE), match.audio)
    refused = model.match(audio, wet, sample_rate=SAMPLE_RATE, effort="fast", without=["reverb"])
    assert not refused.preset.switches.get(room, False)
