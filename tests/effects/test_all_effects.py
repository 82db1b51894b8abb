"""What every effect must do: nothing at its defaults, the same in batches, finite everywhere.

All effects of the default chain run through all tests; a new effect is covered by being in it.
"""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from afxvae.effects import Chain, Effect, default_chain
from afxvae.params import Param

CHAIN = default_chain()
EFFECTS = [pytest.param(effect, id=effect.name) for effect in CHAIN.effects]
KNOBS = [
    pytest.param(effect, param, id=f"{effect.name}-{param.name}")
    for effect in CHAIN.effects
    for param in effect.params
]
RATES = [8000, 24000, 44100, 96000, 192000]
RATE = 24000
SECONDS = 0.1


def noise(*shape: int, seed: int = 0, dtype=torch.float32) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 0.2 * torch.randn(*shape, generator=generator, dtype=dtype)


def draw(effect: Effect, batch: int, seed: int, low=0.0, high=1.0, dtype=torch.float32):
    """Random settings, each ``(batch,)``, between two knob positions."""
    generator = torch.Generator().manual_seed(seed)
    return {
        param.name: param.to_setting(
            low + (high - low) * torch.rand(batch, generator=generator, dtype=dtype)
        )
        for param in effect.params
    }


def active(effect: Effect, dtype=torch.float64) -> dict[str, torch.Tensor]:
    """Settings at which every effect is audible and no knob stands at an end."""
    return draw(effect, 1, 11, 0.35, 0.65, dtype)


# nothing at the defaults, nothing when off


@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("effect", EFFECTS)
def test_defaults_are_the_identity_bit_for_bit(effect, rate, channels):
    audio = noise(2, channels, int(0.1 * rate), seed=channels)
    audio[1] *= 10.0
    assert torch.equal(effect.process(audio, effect.defaults(2), rate), audio)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_default_controls_of_the_chain_are_the_identity_bit_for_bit(dtype):
    audio = noise(1, 2, 4000, dtype=dtype)
    knobs = CHAIN.to_settings(CHAIN.default_controls()[None].to(dtype))
    on = {name: torch.tensor([True]) for name in CHAIN.names}
    assert torch.equal(CHAIN.process(audio, knobs, on, RATE), audio)


@pytest.mark.parametrize("effect", EFFECTS)
def test_amount_knobs_alone_decide_whether_anything_is_done(effect):
    """With the knobs marked `amount` at their defaults the others are free."""
    knobs = draw(effect, 2, 1)
    for param in effect.params:
        if param.amount:
            knobs[param.name] = torch.full((2,), param.default)
    audio = noise(2, 2, 4000)
    assert torch.equal(effect.process(audio, knobs, RATE), audio)


@pytest.mark.parametrize("effect", EFFECTS)
def test_other_settings_do_something(effect):
    audio = noise(1, 2, RATE)
    changed = effect.process(audio, active(effect, torch.float32), RATE)
    assert changed.shape == audio.shape
    assert changed.dtype == audio.dtype
    assert float((changed - audio).square().mean() / audio.square().mean()) > 1e-3


@pytest.mark.parametrize("effect", EFFECTS)
def test_input_is_left_alone(effect):
    audio = noise(1, 2, 4000)
    before = audio.clone()
    effect.process(audio, active(effect, torch.float32), RATE)
    assert torch.equal(audio, before)


# batches and channels


@pytest.mark.parametrize("rate", [8000, 44100])
@pytest.mark.parametrize("effect", EFFECTS)
def test_batch_item_equals_single_item(effect, rate):
    """White noise, also where different settings make the rest of the batch take longer."""
    audio = noise(4, 2, int(0.4 * rate), seed=2)
    for seed in range(3):
        knobs = draw(effect, 4, seed)
        together = effect.process(audio, knobs, rate)
        scale = max(1.0, float(together.abs().max()))
        for item in range(4):
            own = {name: value[item : item + 1] for name, value in knobs.items()}
            alone = effect.process(audio[item : item + 1], own, rate)
            assert float((alone - together[item : item + 1]).abs().max()) <= 1e-5 * scale


@pytest.mark.parametrize("effect", EFFECTS)
def test_silent_channels_stay_silent(effect):
    """Channels do not leak (but for the width, which is about two channels)."""
    audio = noise(1, 3, 8000)
    audio[:, 1] = 0.0
    result = effect.process(audio, active(effect, torch.float32), RATE)
    assert torch.equal(result[:, 1], audio[:, 1])


# robustness


def signals(rate: int) -> torch.Tensor:
    """Noise, DC, silence, a full-scale square, denormals, a click: ``(6, 2, time)``."""
    length = int(SECONDS * rate)
    time = torch.arange(length) / rate
    square = torch.sign(torch.sin(2.0 * math.pi * 217.0 * time + 0.1))
    white = noise(2, length, seed=5).clamp(-1.0, 1.0)
    denormal = white * 1e-40
    click = torch.zeros(2, length)
    click[:, length // 3] = 1.0
    one = torch.ones(2, length)
    return torch.stack([white, one, 0.0 * one, square * one, denormal, click])


@pytest.mark.parametrize("effect", EFFECTS)
@given(seed=st.integers(0, 10**6), rate=st.sampled_from([8000, 44100, 192000]), ends=st.booleans())
@settings(deadline=None, derandomize=True, max_examples=20)
def test_output_is_finite_for_any_settings(effect, seed, rate, ends):
    audio = signals(rate)
    generator = torch.Generator().manual_seed(seed)
    controls = torch.rand(len(effect.params), generator=generator)
    controls = controls.round() if ends else controls
    knobs = {
        param.name: param.to_setting(control.expand(len(audio)))
        for param, control in zip(effect.params, controls, strict=True)
    }
    result = effect.process(audio, knobs, rate)
    assert result.shape == audio.shape
    assert bool(result.isfinite().all())
    assert not bool(result[2].any())  # silence stays silence
    if effect.name != "gain":
        assert float(result.abs().max()) < 1000.0


@pytest.mark.parametrize("length", [1, 2, 10, 500])
@pytest.mark.parametrize("effect", EFFECTS)
def test_any_length(effect, length):
    audio = noise(1, 2, length)
    result = effect.process(audio, active(effect, torch.float32), RATE)
    assert result.shape == audio.shape
    assert bool(result.isfinite().all())


# gradients


@pytest.mark.parametrize("end", ["minimum", "maximum", "default"])
@pytest.mark.parametrize(("effect", "param"), KNOBS)
def test_gradients_are_finite_at_both_ends(effect, param: Param, end):
    """With one knob at its end: in the audio and in every setting, for all awkward signals."""
    audio = signals(8000)[..., :600].clone().requires_grad_()
    knobs = {name: value.expand(len(audio)).clone() for name, value in active(effect).items()}
    knobs[param.name] = torch.full((len(audio),), getattr(param, end))
    knobs = {name: value.float().requires_grad_() for name, value in knobs.items()}
    result = effect.process(audio, knobs, 8000)
    weights = noise(*result.shape, seed=6)
    gradients = torch.autograd.grad((result * weights).sum(), [audio, *knobs.values()])
    assert all(bool(gradient.isfinite().all()) for gradient in gradients)


@pytest.mark.parametrize("effect", EFFECTS)
def test_gradients_are_finite_with_all_knobs_at_one_end(effect):
    for end in (0.0, 1.0):
        audio = signals(8000)[..., :600].clone().requires_grad_()
        knobs = draw(effect, len(audio), 0, end, end)
        knobs = {name: value.requires_grad_() for name, value in knobs.items()}
        result = effect.process(audio, knobs, 8000)
        gradients = torch.autograd.grad(result.sum(), [audio, *knobs.values()])
        assert all(bool(gradient.isfinite().all()) for gradient in gradients)


@pytest.mark.parametrize(("effect", "param"), KNOBS)
def test_gradient_agrees_with_central_differences(effect, param: Param):
    """In double precision, through the control so that steps are alike for all units."""
    audio = noise(1, 2, 2400, dtype=torch.float64)
    weights = noise(1, 2, 2400, seed=7, dtype=torch.float64)
    knobs = active(effect)
    if effect.name == "delay":
        knobs["time_ms"] = torch.tensor([23.41], dtype=torch.float64)  # echoes within the signal

    def loss(control: torch.Tensor) -> torch.Tensor:
        result = effect.process(audio, knobs | {param.name: param.to_setting(control)}, RATE)
        assert result.dtype == torch.float64
        return (result * weights).sum() + result.square().sum()

    control = param.to_control(knobs[param.name]).requires_grad_()
    (gradient,) = torch.autograd.grad(loss(control), control)
    step = 3e-8  # an interpolated delay has a kink wherever it passes a sample
    with torch.no_grad():
        difference = (loss(control + step) - loss(control - step)) / (2.0 * step)
    assert float(difference.abs()) > 1e-9
    assert float(gradient) == pytest.approx(float(difference), rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("effect", EFFECTS)
def test_gradient_in_the_audio_agrees_with_central_differences(effect):
    audio = noise(1, 2, 1200, dtype=torch.float64).requires_grad_()
    weights = noise(1, 2, 1200, seed=7, dtype=torch.float64)
    direction = noise(1, 2, 1200, seed=8, dtype=torch.float64)

    def loss(x: torch.Tensor) -> torch.Tensor:
        result = effect.process(x, active(effect), 8000)
        return (result * weights).sum() + result.square().sum()

    (gradient,) = torch.autograd.grad(loss(audio), audio)
    step = 1e-7
    with torch.no_grad():
        difference = (loss(audio + step * direction) - loss(audio - step * direction)) / (2 * step)
    assert float((gradient * direction).sum()) == pytest.approx(float(difference), rel=1e-4)


@pytest.mark.parametrize("effect", EFFECTS)
def test_single_precision_equals_double(effect):
    """To below -100 dB of the louder of input and output."""
    audio = noise(1, 2, 12000)
    for seed in range(3):
        knobs = draw(effect, 1, seed)
        exact = {name: value.double() for name, value in knobs.items()}
        want = effect.process(audio.double(), exact, RATE)
        error = effect.process(audio, knobs, RATE) - want
        louder = max(float(want.square().mean()), float(audio.square().mean()))
        assert 10.0 * math.log10(float(error.square().mean()) / louder + 1e-30) < -100.0


@pytest.mark.parametrize("effect", EFFECTS)
def test_training_works_after_inference(effect):
    """What is computed once and kept must not remember that gradients were off."""
    knobs = active(effect, torch.float32)
    with torch.inference_mode():
        effect.process(noise(1, 2, 500), knobs, 11025)
    audio = noise(1, 2, 500).requires_grad_()
    effect.process(audio, knobs, 11025).sum().backward()
    assert bool(audio.grad.isfinite().all())


# the chain


def chain_case(batch: int):
    generator = torch.Generator().manual_seed(batch)
    controls = 0.2 + 0.6 * torch.rand(batch, len(CHAIN.knobs), generator=generator)
    switches = {name: torch.rand(batch, generator=generator) < 0.5 for name in CHAIN.names}
    return CHAIN.to_settings(controls), switches


def test_chain_order_and_length():
    names = ("eq", "compressor", "overdrive", "chorus", "delay", "reverb", "width", "gain")
    assert CHAIN.names == names
    assert len(CHAIN.knobs) == len(CHAIN.params) == sum(len(e.params) for e in CHAIN.effects)


def test_round_trip_of_controls():
    controls = torch.rand(5, len(CHAIN.knobs), generator=torch.Generator().manual_seed(0))
    knobs = CHAIN.to_settings(controls)
    assert {name: tuple(values) for name, values in knobs.items()} == {
        effect.name: tuple(param.name for param in effect.params) for effect in CHAIN.effects
    }
    torch.testing.assert_close(CHAIN.to_controls(knobs), controls, rtol=0, atol=2e-6)
    again = CHAIN.to_settings(CHAIN.to_controls(knobs))
    for name, param in CHAIN.knobs:
        span = param.maximum - param.minimum
        error = (again[name][param.name] - knobs[name][param.name]).abs().max()
        assert float(error) < 1e-5 * span


def test_round_trip_of_defaults():
    defaults = {effect.name: effect.defaults(2) for effect in CHAIN.effects}
    controls = CHAIN.to_controls(defaults)
    torch.testing.assert_close(controls, CHAIN.default_controls().expand(2, -1))


@pytest.mark.parametrize("shape", [(3,), (3, 4), (1, 2, 41)])
def test_controls_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match="controls must be"):
        CHAIN.to_settings(torch.zeros(shape))


def test_switched_off_is_bit_identical():
    audio = noise(3, 2, 4000)
    knobs, _ = chain_case(3)
    off = {name: torch.zeros(3, dtype=torch.bool) for name in CHAIN.names}
    assert torch.equal(CHAIN.process(audio, knobs, off, RATE), audio)
    assert torch.equal(CHAIN.process(audio, knobs, {}, RATE), audio)


@pytest.mark.parametrize("name", CHAIN.names)
def test_one_switch_runs_one_effect_on_one_item(name):
    audio = noise(3, 2, 4000)
    knobs, _ = chain_case(3)
    on = {other: torch.zeros(3, dtype=torch.bool) for other in CHAIN.names}
    on[name][1] = True
    result = CHAIN.process(audio, knobs, on, RATE)
    assert torch.equal(result[[0, 2]], audio[[0, 2]])
    own = {knob: value[1:2] for knob, value in knobs[name].items()}
    assert torch.equal(result[1:2], CHAIN[name].process(audio[1:2], own, RATE))


def test_partial_switches_equal_single_processing():
    audio = noise(6, 2, 8000)
    before = audio.clone()
    knobs, switches = chain_case(6)
    together = CHAIN.process(audio, knobs, switches, RATE)
    assert torch.equal(audio, before)
    for item in range(6):
        result = audio[item : item + 1]
        for effect in CHAIN.effects:
            if switches[effect.name][item]:
                own = {name: value[item : item + 1] for name, value in knobs[effect.name].items()}
                result = effect.process(result, own, RATE)
        error = (together[item : item + 1] - result).abs().max()
        assert float(error) <= 1e-5 * max(1.0, float(result.abs().max()))


def test_gradients_pass_through_partial_switches():
    audio = noise(4, 2, 2000).requires_grad_()
    controls = torch.full((4, len(CHAIN.knobs)), 0.5, requires_grad=True)
    _, switches = chain_case(4)
    result = CHAIN.process(audio, CHAIN.to_settings(controls), switches, RATE)
    (result**2).sum().backward()
    assert bool(audio.grad.isfinite().all())
    assert bool(controls.grad.isfinite().all())
    for column, (name, _) in enumerate(CHAIN.knobs):
        off = ~switches[name]
        assert not bool(controls.grad[off, column].any())
    assert bool((audio.grad.abs().amax(dim=(1, 2)) > 0).all())


def test_gradient_leaves_the_defaults():
    """At the defaults nothing is done, but knobs that could do something feel a pull."""
    controls = CHAIN.default_controls()[None].requires_grad_()
    on = {name: torch.tensor([True]) for name in CHAIN.names}
    audio = noise(1, 2, 8000)
    result = CHAIN.process(audio, CHAIN.to_settings(controls), on, RATE)
    (result * noise(1, 2, 8000, seed=9)).sum().backward()
    # off is a place of its own for the cuts, and the drive's curve begins as its knob's square
    silent = {"low_cut_hz", "high_cut_hz", "drive_db"}
    for column, (name, param) in enumerate(CHAIN.knobs):
        if param.amount and param.name not in silent:
            assert float(controls.grad[0, column]) != 0.0, f"{name} {param.name}"


def test_chain_in_double_precision():
    knobs, _ = chain_case(2)
    knobs = {name: {k: v.double() for k, v in own.items()} for name, own in knobs.items()}
    on = {name: torch.tensor([True, False]) for name in CHAIN.names}
    audio = noise(2, 2, 4000, dtype=torch.float64)
    result = CHAIN.process(audio, knobs, on, RATE)
    assert result.dtype == torch.float64
    assert torch.equal(result[1], audio[1])


def test_effects_are_found_by_name_or_not_at_all():
    assert CHAIN["reverb"].name == "reverb"
    with pytest.raises(KeyError, match="phaser"):
        CHAIN["phaser"]
    with pytest.raises(ValueError, match="differ"):
        Chain((CHAIN["gain"], CHAIN["gain"]))


def test_declaration_of_the_chain_is_plain_data():
    stored = CHAIN.to_dict()
    assert [effect["name"] for effect in stored] == list(CHAIN.names)
    for effect, entry in zip(CHAIN.effects, stored, strict=True):
        assert tuple(Param(**values) for values in entry["params"]) == effect.params
