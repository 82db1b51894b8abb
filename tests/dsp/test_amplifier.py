"""The tone stack is the circuit, the speaker as described, the power stage sags."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from afxvae.dsp import amplifier
from afxvae.effects.drive import AMPLIFIER

FREQUENCIES = np.geomspace(20.0, 10000.0, 40)
MAKEUP_DB = 8.0


def response_db(system, rate: int, frequencies=FREQUENCIES) -> np.ndarray:
    a, b, c, d = (part[0].numpy() for part in system)
    found = []
    for hz in frequencies:
        z = np.exp(2j * math.pi * hz / rate)
        found.append(c @ np.linalg.solve(z * np.eye(len(b)) - a, b) + d)
    return 20.0 * np.log10(np.abs(found))


def circuit_db(hz: float, bass: float, mid: float, treble: float) -> float:
    """The Bassman's stack by nodal analysis, with its output open."""
    s = 2j * math.pi * hz
    top, out, below, middle, slope, wiper = range(6)
    tiny = 1e-3  # ohm, of a pot at its end
    low = math.exp(3.4 * (bass - 1.0))
    resistors = [
        (top, out, 250e3 * (1.0 - treble)), (out, below, 250e3 * treble),
        (below, middle, 1e6 * low), (middle, wiper, 25e3 * (1.0 - mid)), (wiper, None, 25e3 * mid),
    ]  # fmt: skip
    branches = [(one, two, 1.0 / (ohm + tiny)) for one, two, ohm in resistors]
    branches += [(slope, below, s * 20e-9), (slope, wiper, s * 20e-9)]
    nodes, currents = np.zeros((6, 6), complex), np.zeros(6, complex)
    for one, two, admittance in branches:
        nodes[one, one] += admittance
        if two is not None:
            nodes[two, two] += admittance
            nodes[one, two] -= admittance
            nodes[two, one] -= admittance
    for node, admittance in ((top, s * 0.25e-9), (slope, 1.0 / 56e3)):  # to the input, at 1 V
        nodes[node, node] += admittance
        currents[node] += admittance
    return 20.0 * math.log10(abs(np.linalg.solve(nodes, currents)[out]))


def knobs(**changes: float) -> dict[str, torch.Tensor]:
    values = {p.name: p.default for p in AMPLIFIER.params} | {"mix": 1.0} | changes
    return {name: torch.tensor([value], dtype=torch.float64) for name, value in values.items()}


@pytest.mark.parametrize(
    "setting",
    [(0.5, 0.5, 0.5), (0, 0, 0), (1, 1, 1), (1, 0, 0), (0, 1, 0), (0, 0, 1), (0.2, 0.9, 0.7)],
)
def test_tone_stack_is_the_circuit(setting):
    """At a rate at which the bilinear transform bends nothing."""
    positions = (torch.tensor([float(value)]) for value in setting)
    found = response_db(amplifier.tone_stack(*positions, 1_536_000), 1_536_000) - MAKEUP_DB
    want = [circuit_db(hz, *setting) for hz in FREQUENCIES]
    np.testing.assert_allclose(found, want, atol=0.01)


@pytest.mark.parametrize("rate", [44100, 96000])
def test_speaker_is_as_described(rate):
    points = [40.0, 80.0, 110.0, 450.0, 2500.0, 5000.0, 10000.0]
    low, corner, bump, dip, presence, edge, high = response_db(
        amplifier.speaker(rate), rate, points
    )
    assert low < -10.0 < corner
    assert bump == max(low, corner, bump, dip)
    assert dip == pytest.approx(-3.5, abs=0.7)
    assert presence == pytest.approx(6.0, abs=0.7)
    assert edge == pytest.approx(0.0, abs=1.5)
    assert high < -22.0


def test_power_supply_gives_way_and_recovers():
    """Two loud seconds, each after a soft one: both begin louder than they end."""
    rate = 44100
    time = torch.arange(4 * rate, dtype=torch.float64)
    tone = torch.sin(2.0 * math.pi * 500.0 * time / rate)
    x = (tone * torch.where(time // rate % 2 == 1, 0.5, 0.005)).view(1, 1, -1)
    settings = {"drive_db": 0.0, "master_db": 30.0, "cabinet": 0.0}

    def level_db(y: torch.Tensor, second: float) -> float:
        start = round(second * rate)
        return 20.0 * math.log10(float(y[..., start : start + 441].abs().max()))

    stiff, saggy = (AMPLIFIER.process(x, knobs(**settings, sag=sag), rate) for sag in (0.0, 1.0))
    assert level_db(stiff, 1.005) == pytest.approx(level_db(stiff, 1.9), abs=0.1)
    assert level_db(saggy, 1.003) - level_db(saggy, 1.9) > 1.5
    assert level_db(stiff, 1.9) - level_db(saggy, 1.9) == pytest.approx(6.0, abs=1.5)
    assert level_db(saggy, 3.003) == pytest.approx(level_db(saggy, 1.003), abs=0.3)


def test_tube_curve_is_asymmetric_and_rests_at_nothing():
    x = torch.arange(-500, 501, dtype=torch.float64) / 100.0
    y = amplifier.tube_curve(x, 0.3)
    assert float(y[500]) == 0.0
    assert float(y.diff().min()) > 0.0
    assert float(y[0] + y[-1]) < -0.5
    torch.testing.assert_close(amplifier.tube_curve(x, 0.0), x / (1.0 + x.square()).sqrt())


def test_minus_20_db_of_a_middle_tone_keeps_about_its_level():
    time = torch.arange(22050, dtype=torch.float64)
    x = 0.1 * torch.sin(2.0 * math.pi * 1000.0 * time / 44100).view(1, 1, -1)
    for drive_db in (0.0, 20.0, 40.0):
        y = AMPLIFIER.process(x, knobs(drive_db=drive_db), 44100)[..., 11025:]
        change = 10.0 * math.log10(float(y.square().mean() / x.square().mean()))
        assert abs(change) < 6.0
