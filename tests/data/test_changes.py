"""What treatments do to attributes is measured on the same clips before and after."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from afxvae.data.changes import (
    AXES,
    HEARD_SAMPLES,
    attribute_changes,
    draw_heard,
    measure_axes,
    render_changes,
)
from afxvae.dsp.features import RUN_IN, SAMPLE_RATE
from afxvae.effects import default_chain
from afxvae.timbre import attributes
from afxvae.types import AudioError
from tests.sounds import recording, sound


def test_a_shard_is_the_same_every_time_and_nothing_changes_nothing(tmp_path: Path) -> None:
    made = [recording(tmp_path, seed) for seed in (0, 1)]
    shard, again = (render_changes(made, default_chain(), 5, 3) for _ in range(2))
    assert shard["before"].shape == shard["after"].shape == (3, 2, len(AXES))
    for name, value in shard.items():
        assert torch.equal(value, again[name]), name
    changes = attribute_changes(shard)
    assert changes.shape == (3, len(AXES))
    untouched = ~shard["switches"].any(1)
    torch.testing.assert_close(changes[untouched], torch.zeros(int(untouched.sum()), len(AXES)))
    assert bool((changes[~untouched] != 0.0).any(1).all())


def test_values_are_those_of_the_attributes_with_decay_in_doublings() -> None:
    clips = sound(0, 1.0)
    found = attributes(clips, SAMPLE_RATE, ["boominess", "decay"])
    values = measure_axes(clips, ("boominess", "decay"))
    torch.testing.assert_close(values[:, 0], found["boominess"])
    torch.testing.assert_close(values[:, 1].exp2(), found["decay"])


def test_silence_gives_no_clips(tmp_path: Path) -> None:
    made = recording(tmp_path, 0)
    clips = draw_heard([made], np.random.default_rng(0), 2)
    assert clips.shape == (2, 1, RUN_IN + HEARD_SAMPLES)
    import soundfile

    soundfile.write(made.path, np.zeros(26 * SAMPLE_RATE), SAMPLE_RATE)
    with pytest.raises(AudioError, match="too silent or too short"):
        draw_heard([made], np.random.default_rng(0), 1)
