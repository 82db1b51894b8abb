"""A filter is found from frames of like content, whatever else the recordings hold."""

from __future__ import annotations

import pytest
import torch

from afxvae.dsp.features import N_MELS
from afxvae.dsp.likeness import N_LIKENESS, likeness

FORWARDS, BACKWARDS = slice(0, N_MELS), slice(N_MELS, 2 * N_MELS)
DOUBT = slice(2 * N_MELS, 3 * N_MELS)
BAND = torch.arange(N_MELS) / N_MELS
CURVE = 9.0 * torch.sin(7.0 * BAND) - 6.0 * BAND  # dB


def frames(count: int, *shares: float, seed: int = 0) -> torch.Tensor:
    """Frames of sounds with formants of their own, in these shares, ``(1, count, 80)``."""
    generator = torch.Generator().manual_seed(seed)
    sounds = []
    for index, share in enumerate(shares):
        formants = 15.0 * torch.sin((9.0 + 4.0 * index) * BAND + index) - 50.0
        size = round(count * share)
        level = 6.0 * torch.rand(size, 1, generator=generator)
        sounds.append(formants + level + torch.randn(size, N_MELS, generator=generator))
    together = torch.cat(sounds)
    return together[torch.randperm(len(together), generator=generator)].unsqueeze(0)


def without_median(curve: torch.Tensor) -> torch.Tensor:
    return curve - curve.median()


def test_a_filter_is_found_in_the_same_frames_in_another_order() -> None:
    mine = frames(240, 0.3, 0.3, 0.4)
    theirs = mine[:, torch.randperm(240, generator=torch.Generator().manual_seed(1))] + CURVE
    found = likeness(mine, theirs)[0]
    for place in (FORWARDS, BACKWARDS):
        torch.testing.assert_close(found[place], without_median(CURVE), atol=0.3, rtol=0.0)
    assert float(found[DOUBT].max()) < -0.7  # the logarithm of .3 dB and how far they differ


def test_what_is_said_more_often_is_not_taken_for_a_filter() -> None:
    """The averages of these differ by more than the filter between them."""
    mine, theirs = frames(240, 0.7, 0.2, 0.1), frames(240, 0.1, 0.2, 0.7, seed=1) + CURVE
    averages = without_median(theirs.mean((0, 1)) - mine.mean((0, 1)))
    found = likeness(mine, theirs)[0, FORWARDS]
    errors = [(one - without_median(CURVE)).abs().mean() for one in (averages, found)]
    assert float(errors[0]) > 4.0
    assert float(errors[1]) < 0.5


def test_content_without_counterpart_leaves_doubt() -> None:
    same = likeness(frames(240, 0.5, 0.5), frames(240, 0.5, 0.5, seed=1))[0]
    other = likeness(frames(240, 0.5, 0.5), frames(240, 0.0, 0.0, 0.0, 0.5, 0.5, seed=1))[0]
    assert float(other[DOUBT].mean()) > float(same[DOUBT].mean()) + 0.5


def test_exchanged_recordings_have_the_inverse_filter() -> None:
    mine, theirs = frames(200, 0.5, 0.5), frames(200, 0.4, 0.6, seed=1) + CURVE
    there, back = likeness(mine, theirs)[0], likeness(theirs, mine)[0]
    for one, other in ((FORWARDS, BACKWARDS), (BACKWARDS, FORWARDS)):
        both = there[one] + back[other]  # but for the medians, which were taken off
        torch.testing.assert_close(both, both.mean().expand(N_MELS), atol=0.02, rtol=0.0)


def test_level_is_no_filter() -> None:
    mine, theirs = frames(200, 0.5, 0.5), frames(200, 0.5, 0.5, seed=1)
    plain, louder = likeness(mine, theirs)[0], likeness(mine, theirs + 12.0)[0]
    for place in (FORWARDS, BACKWARDS, DOUBT):
        torch.testing.assert_close(plain[place], louder[place], atol=0.02, rtol=0.0)


@pytest.mark.parametrize("count", [12, 255, 509, 2036])
def test_recordings_may_differ_in_length(count: int) -> None:
    found = likeness(frames(240, 0.5, 0.5), frames(count, 0.5, 0.5, seed=1) + CURVE)
    assert found.shape == (1, N_LIKENESS)
    error = (found[0, FORWARDS] - without_median(CURVE)).abs().mean()
    assert float(error) < 1.5


def test_an_item_of_a_batch_gives_what_it_gives_alone() -> None:
    mine = torch.cat([frames(60, 0.5, 0.5, seed=seed) for seed in range(10)])
    theirs = torch.cat([frames(60, 0.6, 0.4, seed=seed + 20) + CURVE for seed in range(10)])
    together = likeness(mine, theirs)
    for index in (0, 7, 9):
        alone = likeness(mine[index : index + 1], theirs[index : index + 1])[0]
        torch.testing.assert_close(together[index], alone, atol=1e-2, rtol=1e-3)


def test_silence_gives_numbers() -> None:
    silence = torch.full((1, 240, N_MELS), -110.0)
    for pair in ((silence, silence), (silence, frames(240, 1.0)), (frames(240, 1.0), silence)):
        assert bool(torch.isfinite(likeness(*pair)).all())
