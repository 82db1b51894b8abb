"""The default chain runs its effects in order, each on the items for which it is switched on."""

from __future__ import annotations

import pytest
import torch

from afxvae.effects import CHORUS, FREEVERB, SOX_REVERB, Chain, Make, Stream
from afxvae.params import Param
from afxvae.types import UsageError
from tests.effects.material import CHAIN, RATE, noise


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


# blocks


def one_item(position: float = 0.4):
    knobs = CHAIN.to_settings(torch.full((1, len(CHAIN.knobs)), position))
    return knobs, {name: torch.tensor([True]) for name in CHAIN.names}


def test_blocks_equal_whole_but_for_the_latency():
    audio = noise(1, 2, 12000)
    knobs, on = one_item()
    late = CHAIN.latency(on, RATE)
    assert late == sum(effect.latency(RATE) for effect in CHAIN.effects) > 0
    state, pieces = None, []
    for block in audio.split([7, 0, 93, 4000, 7900], -1):
        piece, state = CHAIN.run(block, knobs, on, RATE, state)
        assert piece.shape == block.shape
        pieces.append(piece)
    pieces.append(CHAIN.run(audio[..., :0], knobs, on, RATE, state, last=True)[0])
    found, want = torch.cat(pieces, -1)[..., late:], CHAIN.process(audio, knobs, on, RATE)
    assert not bool(pieces[0].any())
    assert float((found - want).square().mean() / want.square().mean()) < 1e-12


def test_effects_that_are_off_have_no_latency_and_no_state():
    knobs, on = one_item()
    on["overdrive"] = torch.tensor([False])
    assert CHAIN.latency(on, RATE) == CHAIN.latency({}, RATE) == 0
    audio = noise(1, 2, 500)
    assert set(CHAIN.run(audio, knobs, on, RATE)[1]) == set(CHAIN.names) - {"overdrive"}
    result, state = CHAIN.run(audio, knobs, {}, RATE)
    assert torch.equal(result, audio)
    assert not state


def test_blocks_have_one_set_of_switches():
    knobs, switches = chain_case(4)
    with pytest.raises(ValueError, match="on for some items of the batch only"):
        CHAIN.run(noise(4, 2, 500), knobs, switches, RATE)


def test_a_stream_gives_all_that_it_took_and_begins_anew():
    audio = noise(1, 2, 5000)
    knobs, on = one_item()
    stream = Stream(CHAIN, knobs, on, RATE, channels=2, input_gain=0.5)
    for _ in range(2):
        pieces = [stream.process(block) for block in audio[0].split(777, -1)] + [stream.flush()]
        found = torch.cat(pieces, -1)[:, stream.latency :]
        want = CHAIN.process(0.5 * audio, knobs, on, RATE)[0]
        assert found.shape == want.shape
        assert float((found - want).square().mean() / want.square().mean()) < 1e-12
    with pytest.raises(UsageError, match=r"\(2, time\)"):
        stream.process(audio[0, :1])


# an effect in the place of another


def alone(effect: str, **knobs: float):
    """Settings of a batch of two with one effect, and its switch."""
    given = {**CHAIN[effect].defaults(2), **{k: torch.full((2,), v) for k, v in knobs.items()}}
    return {effect: given}, {effect: torch.ones(2, dtype=torch.bool)}


def test_a_make_shares_the_knobs_that_both_have():
    own = alone("reverb", decay_s=2.0, treble_ratio=0.3, pre_delay_ms=7.0, mix=0.4)[0]["reverb"]
    others = {"damping_hz": 3000.0, "room_scale": 40.0}
    for effect in (FREEVERB, SOX_REVERB):
        settings = Make(effect, others).settings(own)
        assert list(settings) == [param.name for param in effect.params]
        for name, value in settings.items():
            wanted = own[name] if name in own else torch.full((2,), others[name])
            torch.testing.assert_close(value, wanted)


@pytest.mark.parametrize(
    ("effect", "others"),
    [(FREEVERB, {"damping_hz": 3000.0}), (SOX_REVERB, {"damping_hz": 3000.0, "room_scale": 40.0})],
    ids=lambda value: getattr(value, "name", ""),
)
def test_a_make_runs_in_the_place_of_the_chains_effect(effect, others):
    audio = noise(2, 1, 4000)
    settings, on = alone("reverb", decay_s=0.5, mix=0.5)
    make = Make(effect, others)
    found = CHAIN.process(audio, settings, on, RATE, {"reverb": make})
    wanted = effect.process(audio, make.settings(settings["reverb"]), RATE)
    assert torch.equal(found, wanted)
    off = {"reverb": torch.tensor([True, False])}
    found = CHAIN.process(audio, settings, off, RATE, {"reverb": make})
    torch.testing.assert_close(found[0], wanted[0])
    assert torch.equal(found[1], audio[1])
    elsewhere = CHAIN.process(audio, settings, on, RATE, {"delay": make})
    assert torch.equal(elsewhere, CHAIN.process(audio, settings, on, RATE))


def test_a_swing_stands_at_its_phase_where_the_recording_begins():
    """What is heard before moves the phase at sample 0 back, by any number of turns."""
    audio, lead = noise(2, 1, 4 * RATE), RATE
    knobs = {"rate_hz": 1.3, "depth_ms": 2.0, "delay_ms": 12.0, "mix": 0.5}
    settings, on = alone("chorus", **knobs)
    makes = {"chorus": Make(CHORUS, {"phase_deg": 50.0})}
    led = CHAIN.process(audio, settings, on, RATE, makes, lead_s=1.0)[..., lead:]
    plain = CHAIN.process(audio[..., lead:], settings, on, RATE, makes)
    known = RATE // 10  # from here on both have the same past
    torch.testing.assert_close(led[..., known:], plain[..., known:], rtol=0, atol=1e-4)
    assert not torch.allclose(plain, CHAIN.process(audio[..., lead:], settings, on, RATE))


def test_an_effect_without_a_knob_is_that_with_the_knob_at_rest():
    audio = noise(1, 2, 4000)
    chain = CHAIN["chorus"]
    assert {p.name for p in CHORUS.params} - {p.name for p in chain.params} == {"phase_deg"}
    knobs = {**chain.defaults(1), "mix": torch.tensor([0.5])}
    still = {**knobs, "phase_deg": torch.zeros(1)}
    torch.testing.assert_close(
        chain.process(audio, knobs, RATE), CHORUS.process(audio, still, RATE)
    )
