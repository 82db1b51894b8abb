"""What every effect must do: nothing at its defaults, the same in batches and in blocks.

All effects there are run through all tests; a new effect is covered by being in `EFFECTS`. What
must hold at any settings is in test_draws.py.
"""

from __future__ import annotations

import math
from functools import lru_cache

import pytest
import torch

from afxvae import effects
from afxvae.effects import Chain, Effect
from afxvae.params import Param
from tests.effects.material import RATE, noise, signals

EFFECTS = [pytest.param(effect, id=effect.name) for effect in effects.EFFECTS]
KNOBS = [
    pytest.param(effect, param, id=f"{effect.name}-{param.name}")
    for effect in effects.EFFECTS
    for param in effect.params
]
# their gradients go straight through
STAIRS = ("bit_crusher-bits", "bit_crusher-rate_hz", "sox_reverb-room_scale", "flanger-step_us")
MIXING = ("freeverb", "sox_reverb", "dual_delay")  # every channel hears the mean of all
RATES = [8000, 24000, 44100, 96000, 192000]
WIDE_RATE = 44100  # has the bands of all equalisers


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


def lively(rate: int, seconds: float, dtype=torch.float32, channels: int = 2) -> torch.Tensor:
    """Noise in ten steps from -70 to -10 dB and back, ``(1, channel, time)``: levels and jumps."""
    audio = 5.0 * noise(1, channels, int(seconds * rate), seed=3, dtype=dtype)
    step = torch.arange(audio.shape[-1]) * 10 // audio.shape[-1]
    return audio * 10.0 ** ((-70.0 + 60.0 * (step * 3 % 10) / 9.0) / 20.0).to(dtype)


def named(name: str) -> Effect:
    return next(effect for effect in effects.EFFECTS if effect.name == name)


# nothing at the defaults, nothing when off


@pytest.mark.parametrize(("rate", "channels"), list(zip(RATES, (6, 1, 2, 1, 2), strict=True)))
@pytest.mark.parametrize("effect", EFFECTS)
def test_defaults_are_the_identity_bit_for_bit(effect, rate, channels):
    audio = noise(2, channels, int(0.1 * rate), seed=channels)
    audio[1] *= 10.0
    assert torch.equal(effect.process(audio, effect.defaults(2), rate), audio)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_default_controls_of_a_chain_of_all_are_the_identity_bit_for_bit(dtype):
    chain = Chain(effects.EFFECTS)
    audio = noise(1, 2, 4000, dtype=dtype)
    knobs = chain.to_settings(chain.default_controls()[None].to(dtype))
    on = {name: torch.tensor([True]) for name in chain.names}
    assert torch.equal(chain.process(audio, knobs, on, RATE), audio)


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
    """Somewhere in a sound of many levels the change is above -30 dB of the sound."""
    audio = lively(RATE, 1.0)
    changed = effect.process(audio, active(effect, torch.float32), RATE)
    assert changed.shape == audio.shape
    assert changed.dtype == audio.dtype
    power = [x.unflatten(-1, (10, -1)).square().mean((0, 1, 3)) for x in (changed - audio, audio)]
    assert float((power[0] / power[1]).max()) > 1e-3


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


@pytest.mark.parametrize("effect", [one for one in EFFECTS if one.id not in MIXING])
def test_silent_channels_stay_silent(effect):
    """Channels do not leak; an effect on the stereo image acts on two channels, not on three."""
    audio = noise(1, 3, 8000)
    audio[:, 1] = 0.0
    result = effect.process(audio, active(effect, torch.float32), RATE)
    assert torch.equal(result[:, 1], audio[:, 1])


# blocks

PARTITIONS = ["1", "7", "64", "1000", "random"]


def partition(kind: str, length: int) -> list[int]:
    """Block lengths that sum to `length`: two long ones around thirty short ones, or at random."""
    if kind != "random":
        size = int(kind)
        count = min(30, length // (3 * size))
        return [length // 3, *[size] * count, length - length // 3 - count * size]
    generator = torch.Generator().manual_seed(length)
    cuts = torch.randint(0, length + 1, (12,), generator=generator).sort().values.tolist()
    return [end - start for start, end in zip([0, *cuts], [*cuts, length], strict=True)] + [0]


def in_blocks(effect: Effect, audio: torch.Tensor, knobs, rate: int, kind: str) -> torch.Tensor:
    state, pieces = None, []
    for block in audio.split(partition(kind, audio.shape[-1]), dim=-1):
        piece, state = effect.run(block, knobs, rate, state)
        assert piece.shape == block.shape
        pieces.append(piece)
    return torch.cat(pieces, -1)


@lru_cache(1)  # kinds of partition follow each other
def in_one(name: str, rate: int, channels: int):
    """Audio, settings, and what an effect makes of them."""
    effect = named(name)
    audio = lively(rate, 0.3, channels=channels).repeat(2, 1, 1)
    knobs = draw(effect, 2, 4)
    return audio, knobs, effect.run(audio, knobs, rate, None)[0]


@pytest.mark.parametrize(
    ("rate", "channels", "kind"),
    [
        *((8000, 6, kind) for kind in ("1", "random")),
        *((44100, 2, kind) for kind in PARTITIONS),
        *((192000, 1, kind) for kind in ("7", "random")),
    ],
)
@pytest.mark.parametrize("effect", EFFECTS)
def test_blocks_equal_whole(effect, rate, channels, kind):
    """To below -120 dB of the louder of input and output, for two items with settings each."""
    audio, knobs, want = in_one(effect.name, rate, channels)
    error = (in_blocks(effect, audio, knobs, rate, kind) - want).square().mean((1, 2))
    louder = torch.maximum(audio.square().mean((1, 2)), want.square().mean((1, 2)))
    assert float(10.0 * torch.log10(error / louder + 1e-30).max()) < -120.0


@pytest.mark.parametrize("kind", ["7", "random"])
@pytest.mark.parametrize("effect", EFFECTS)
def test_blocks_at_the_defaults_are_the_input_late_by_the_latency(effect, kind):
    audio = noise(2, 2, 3000)
    late = effect.latency(RATE)
    result = in_blocks(effect, audio, effect.defaults(2), RATE, kind)
    assert torch.equal(result[..., late:], audio[..., : 3000 - late])
    assert not bool(result[..., :late].any())


@pytest.mark.parametrize("effect", EFFECTS)
def test_a_state_is_left_alone(effect):
    """Going on from the same state twice gives the same samples twice."""
    audio = lively(RATE, 0.3)
    knobs = draw(effect, 1, 9)
    _, state = effect.run(audio, knobs, RATE, None)
    assert isinstance(state, tuple)
    assert all(isinstance(part, torch.Tensor) for part in state)
    first, second = (effect.run(audio, knobs, RATE, state)[0] for _ in range(2))
    assert torch.equal(first, second)


@pytest.mark.parametrize("effect", EFFECTS)
def test_latency_is_a_small_number_of_samples(effect):
    for rate in RATES:
        late = effect.latency(rate)
        assert isinstance(late, int)
        assert 0 <= late <= 0.035 * rate


# robustness


@pytest.mark.parametrize("length", [1, 2, 10, 500])
@pytest.mark.parametrize("effect", EFFECTS)
def test_any_length(effect, length):
    audio = noise(1, 2, length)
    result = effect.process(audio, active(effect, torch.float32), RATE)
    assert result.shape == audio.shape
    assert bool(result.isfinite().all())


# gradients


@pytest.mark.parametrize(("effect", "param"), KNOBS)
def test_gradients_are_finite_at_both_ends(effect, param: Param):
    """And at the default of a knob: in audio and every setting, for all awkward signals."""
    places = torch.tensor([param.minimum, param.maximum, param.default])
    plain = signals(8000, 600)
    audio = plain.repeat(3, 1, 1).requires_grad_()
    knobs = {name: value.expand(len(audio)).clone() for name, value in active(effect).items()}
    knobs[param.name] = places.repeat_interleave(len(plain))
    knobs = {name: value.float().requires_grad_() for name, value in knobs.items()}
    result = effect.process(audio, knobs, 8000)
    weights = noise(*plain.shape, seed=6).repeat(3, 1, 1)
    gradients = torch.autograd.grad((result * weights).sum(), [audio, *knobs.values()])
    assert all(bool(gradient.isfinite().all()) for gradient in gradients)


@pytest.mark.parametrize("effect", EFFECTS)
def test_gradients_are_finite_with_all_knobs_at_one_end(effect):
    for end in (0.0, 1.0):
        audio = signals(8000, 600).clone().requires_grad_()
        knobs = draw(effect, len(audio), 0, end, end)
        knobs = {name: value.requires_grad_() for name, value in knobs.items()}
        result = effect.process(audio, knobs, 8000)
        gradients = torch.autograd.grad(result.sum(), [audio, *knobs.values()])
        assert all(bool(gradient.isfinite().all()) for gradient in gradients)


def loss_of(effect: Effect, controls: dict[str, torch.Tensor]) -> torch.Tensor:
    """Of 0.4 s, long enough for an echo, in double precision: one value for all items."""
    audio = lively(WIDE_RATE, 0.4, torch.float64)
    weights = noise(1, 2, audio.shape[-1], seed=7, dtype=torch.float64)
    knobs = {param.name: param.to_setting(controls[param.name]) for param in effect.params}
    result = effect.process(audio, knobs, WIDE_RATE)
    assert result.dtype == torch.float64
    return (result * weights).sum() + result.square().sum()


@lru_cache(1)  # the knobs of an effect follow each other
def gradients_of(name: str) -> tuple[dict[str, torch.Tensor], dict[str, float]]:
    """Controls, and the gradient of the loss in each of them."""
    effect = named(name)
    settings = active(effect)
    if "step_us" in settings:  # gradients of the other knobs are those of a smooth swing
        settings["step_us"] = torch.zeros_like(settings["step_us"])
    controls = {p.name: p.to_control(settings[p.name]).requires_grad_() for p in effect.params}
    gradients = torch.autograd.grad(loss_of(effect, controls), list(controls.values()))
    found = {knob: float(slope) for knob, slope in zip(controls, gradients, strict=True)}
    return {knob: control.detach() for knob, control in controls.items()}, found


@pytest.mark.parametrize(("effect", "param"), [knob for knob in KNOBS if knob.id not in STAIRS])
def test_gradient_agrees_with_central_differences(effect, param: Param):
    """In double precision, through the control so that steps are alike for all units."""
    controls, gradients = gradients_of(effect.name)
    step = 3e-8  # an interpolated delay has a kink wherever it passes a sample
    ends = [
        loss_of(effect, controls | {param.name: controls[param.name] + side})
        for side in (step, -step)
    ]
    difference = float(ends[0] - ends[1]) / (2.0 * step)
    assert abs(difference) > 1e-9
    assert gradients[param.name] == pytest.approx(difference, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("effect", [one for one in EFFECTS if one.id != "bit_crusher"])
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
