"""Recordings of any kind become clips: loud, all of a short one, with what precedes them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from afxvae.analysis import analysis_clips, as_audio, clip_period, clips_with_run_in, once
from afxvae.dsp.features import CLIP_SAMPLES, RUN_IN, SAMPLE_RATE
from afxvae.types import UsageError


def ramp(clips: float) -> torch.Tensor:
    """Each sample says where it is, ``(1, time)``."""
    length = round(clips * CLIP_SAMPLES)
    return 1.0 + torch.arange(length, dtype=torch.float32).unsqueeze(0) / length


def starts(clips: torch.Tensor, length: int) -> list[int]:
    return [round((float(value) - 1.0) * length) for value in clips[:, 0]]


@pytest.mark.parametrize("clips", [1.0, 1.9, 2.0, 3.7, 4.0, 9.3])
def test_clips_stand_in_order_and_do_not_overlap_where_there_is_room(clips: float) -> None:
    audio = ramp(clips)
    found = analysis_clips(audio, SAMPLE_RATE, most=int(clips))
    assert found.shape == (int(clips), CLIP_SAMPLES)
    assert found.dtype == torch.float32
    places = starts(found, audio.shape[1])
    assert all(later - sooner >= CLIP_SAMPLES for sooner, later in itertools.pairwise(places))
    assert places[0] == 0
    assert places[-1] + CLIP_SAMPLES <= audio.shape[1]
    for clip, place in zip(found, places, strict=True):
        assert torch.equal(clip, audio[0, place : place + CLIP_SAMPLES])


@pytest.mark.parametrize(("clips", "count"), [(1.2, 1), (1.3, 2), (1.9, 3), (2.6, 4), (3.9, 4)])
def test_all_of_a_short_recording_is_heard(clips: float, count: int) -> None:
    audio = ramp(clips)
    places = starts(analysis_clips(audio, SAMPLE_RATE, most=4), audio.shape[1])
    assert len(places) == count
    ends = [place + CLIP_SAMPLES for place in places]
    assert places[0] == 0
    assert audio.shape[1] - ends[-1] <= CLIP_SAMPLES / 4
    assert all(later <= end for end, later in zip(ends, places[1:], strict=False))
    assert count == 1 or ends[-1] == audio.shape[1]


def test_what_precedes_a_clip_comes_with_it() -> None:
    audio = ramp(3.0)
    found = clips_with_run_in(audio, SAMPLE_RATE)
    assert found.shape == (4, 1, RUN_IN + CLIP_SAMPLES)
    assert torch.equal(found[:, 0, RUN_IN:], analysis_clips(audio, SAMPLE_RATE))
    assert not bool(found[0, 0, :RUN_IN].any())
    for clip in found[1:, 0]:
        place = starts(clip[None, RUN_IN:], audio.shape[1])[0]
        assert torch.equal(clip, audio[0, place - RUN_IN : place + CLIP_SAMPLES])


def test_the_loudest_are_kept_and_pauses_never() -> None:
    levels = torch.tensor([0.1, 0.4, 0.003, 0.2, 1.0, 0.3, 0.05])
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(len(levels), CLIP_SAMPLES, generator=generator)
    audio = (levels.unsqueeze(1) * noise).reshape(1, -1)
    kept = [clip.std() for clip in analysis_clips(audio, SAMPLE_RATE)]
    torch.testing.assert_close(
        torch.stack(kept), torch.tensor([0.4, 0.2, 1.0, 0.3]), rtol=0.02, atol=0
    )
    everything = analysis_clips(audio, SAMPLE_RATE, most=7)
    assert len(everything) == 5  # not those 20 dB below the loudest
    assert float(everything.std(1).min()) > 0.1 * 0.98


@pytest.mark.parametrize("seconds", [0.1, 1.0, 5.0])
def test_what_is_shorter_than_a_clip_is_repeated(seconds: float) -> None:
    length = round(seconds * SAMPLE_RATE)
    audio = torch.randn(1, length, generator=torch.Generator().manual_seed(0))
    clips = analysis_clips(audio, SAMPLE_RATE)
    assert clips.shape == (1, CLIP_SAMPLES)
    assert torch.equal(clips[0, :length], audio[0])
    again = min(length, CLIP_SAMPLES - length)
    assert torch.equal(clips[0, length : length + again], audio[0, :again])
    period = clip_period(2 * length, 2 * SAMPLE_RATE)
    assert period == length
    assert torch.equal(once(clips, period)[0, :length], audio[0])
    assert not once(clips, period)[0, length:].any()


def test_clips_of_what_is_long_do_not_begin_again() -> None:
    clips = analysis_clips(ramp(2.5), SAMPLE_RATE)
    period = clip_period(round(2.5 * CLIP_SAMPLES), SAMPLE_RATE)
    assert period == CLIP_SAMPLES
    assert torch.equal(once(clips, period), clips)


@pytest.mark.parametrize("rate", [8000, 44100, 96000])
def test_any_rate_and_any_channels_give_the_same_clips(rate: int) -> None:
    seconds = 12  # a whole number of samples at any rate
    tones = []
    for made in (SAMPLE_RATE, rate):
        time = torch.arange(round(seconds * made)) / made
        swell = 0.2 + 0.1 * torch.sin(2.0 * torch.pi * time / seconds)
        tones.append((swell * torch.sin(2.0 * torch.pi * 440.0 * time)).unsqueeze(0))
    expected = analysis_clips(tones[0], SAMPLE_RATE)
    left_and_right = torch.cat([1.5 * tones[1], 0.5 * tones[1]])
    found = analysis_clips(left_and_right, rate)
    assert found.shape == expected.shape
    assert float((found - expected)[:, 200:-200].abs().max()) < 2e-3


def test_arrays_and_lists_are_taken_as_audio() -> None:
    samples = np.linspace(-1.0, 1.0, 50)
    for given in (samples, samples[None], torch.from_numpy(samples), samples.tolist()):
        audio = as_audio(given)
        assert audio.shape == (1, 50)
        assert audio.dtype == torch.float32
    with pytest.raises(UsageError, match="audio must have the shape"):
        as_audio(np.zeros((1, 2, 50)))
