"""Recordings are the same in files and in memory, and never held as a whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from afxvae import audio, jobs
from afxvae.analysis import CLIP_SAMPLES, RUN_IN, SAMPLE_RATE, Cutter, Profile, clips_with_run_in
from afxvae.loudness import loudness_lufs
from afxvae.models.style_vae import AFXStyleVAE
from afxvae.presets import BLOCK, Preset
from afxvae.recordings import Recording, SideMeter, Spool
from afxvae.types import AudioError
from afxvae.wishes import Wishes
from tests.sounds import sound, untrained


@pytest.fixture(scope="module")
def model() -> AFXStyleVAE:
    """Sure of an equaliser, and expects it to help."""
    made = untrained(expectation=1.0)
    made.vae.head.last.bias.data[-1] = 9.0
    return made


@pytest.mark.parametrize("size", [7000, 50_000, 10**9])
@pytest.mark.parametrize(
    ("rate", "seconds"), [(24000, 23.0), (44100, 12.0), (96000, 7.0), (8000, 0.3)]
)
def test_clips_in_blocks_are_those_of_the_whole(rate: int, seconds: float, size: int) -> None:
    whole = sound(1, seconds, rate)
    if seconds < 1.0:
        size = min(size, 100)
    profile = Profile(rate)
    for block in whole.split(size, 1):
        profile.add(block)
    (places,) = profile.places()
    cutter = Cutter(places)
    for block in whole[0].split(size):
        cutter.add(block)
    resampled = audio.resample(whole[0], rate, SAMPLE_RATE)
    clips = cutter.clips()
    torch.testing.assert_close(clips, clips_with_run_in(whole, rate), rtol=0, atol=1e-6)
    for start, clip in zip(places.starts, clips[:, 0, RUN_IN:], strict=True):
        expected = resampled[start : start + CLIP_SAMPLES]
        torch.testing.assert_close(clip[: len(expected)], expected, rtol=0, atol=1e-6)


def test_every_part_of_a_long_recording_is_heard() -> None:
    """Of eight parts each gives its loudest clip, though one part is louder than all others."""
    rate, clips = 8000, 32
    noise = torch.randn(clips, CLIP_SAMPLES // 3 + 1, generator=torch.Generator().manual_seed(0))
    levels = 0.3 * torch.ones(clips)
    levels[4:8] = 1.0
    levels[[2, 9, 15, 16, 23, 24, 30]] = 0.5
    levels[12:16] = 0.01  # a pause
    places = {}
    for name, those in (("long", slice(None)), ("short", slice(0, 20))):
        profile = Profile(rate)
        profile.add((levels[those, None] * noise[those]).reshape(1, -1))
        (found,) = profile.places()
        places[name] = [round(start / CLIP_SAMPLES) for start in found.starts]
    assert len(places["long"]) == 7
    assert set(places["long"]) >= {2, 9, 16, 23, 24, 30}
    assert places["short"] == [4, 5, 6, 7]


@pytest.mark.parametrize(
    ("suffix", "channels"), [("wav", 1), ("flac", 2), ("ogg", 6), ("ogg", 1), ("mp3", 2)]
)
def test_a_file_is_surveyed_like_an_array(suffix: str, channels: int, tmp_path: Path) -> None:
    rate, path = 44100, tmp_path / f"a.{suffix}"
    made = 0.3 * sound(1, 8.0, rate, channels)
    soundfile.write(path, made.T.numpy(), rate)
    there, info = audio.read(path)
    mine, theirs = Recording.of_array(there, rate, "mine"), Recording.of_file(path)
    assert (theirs.name, theirs.channels, theirs.frames) == (str(path), channels, info.frames)
    for name in ("lufs", "side_db", "mixed", "first", "frames"):
        assert getattr(mine, name) == getattr(theirs, name)
    assert mine.lufs == pytest.approx(float(loudness_lufs(there[None], rate)), abs=1e-3)
    assert mine.same_samples(theirs)
    assert all(torch.equal(*clips) for clips in zip(mine.clips(), theirs.clips(), strict=True))


def test_one_sample_makes_another_recording() -> None:
    one = sound(1, 2.0)
    other = one.clone()
    other[0, -1] += 1e-4
    first = Recording.of_array(one, SAMPLE_RATE, "one")
    assert first.same_samples(Recording.of_array(one.clone(), SAMPLE_RATE, "copy"))
    for different in (
        Recording.of_array(other, SAMPLE_RATE, "other"),
        Recording.of_array(one, 2 * SAMPLE_RATE, "faster"),
        Recording.of_array(one[:, :-1], SAMPLE_RATE, "shorter"),
        Recording.of_array(one.repeat(2, 1), SAMPLE_RATE, "stereo"),
    ):
        assert not first.same_samples(different)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_found_anywhere(value: float) -> None:
    bad = sound(1, 1.0).repeat(1, 12)
    bad[0, BLOCK + 7] = value
    with pytest.raises(AudioError, match="It has samples that are not finite"):
        Recording.of_array(bad, SAMPLE_RATE, "It")


def test_the_side_is_measured_in_blocks() -> None:
    middle, side = sound(1, 2.0), 0.1 * sound(2, 2.0)
    meter = SideMeter()
    for block in torch.cat([middle + side, middle - side]).split(777, 1):
        meter.add(block)
    expected = 20.0 * torch.log10(side.norm() / middle.norm())
    assert meter.side_db() == pytest.approx(float(expected), abs=1e-4)


@pytest.mark.parametrize("on_disk", [True, False])
def test_what_is_put_aside_comes_back_bit_for_bit(on_disk: bool, tmp_path: Path) -> None:
    made = torch.randn(3, BLOCK + 100, generator=torch.Generator().manual_seed(0))
    with Spool(tmp_path if on_disk else None) as spool:
        spool.fill(made.split(1001, 1))
        for _ in range(2):
            blocks = list(spool.blocks())
            assert max(block.shape[1] for block in blocks) <= BLOCK
            assert torch.equal(torch.cat(blocks, 1), made)
        spool.fill([made[:1, :100]])  # in place of it
        assert torch.equal(torch.cat(list(spool.blocks()), 1), made[:1, :100])
    assert not list(tmp_path.iterdir())


# matching files


def write_pair(folder: Path, rate: int, channels: int, seconds: float) -> None:
    voice = 0.3 * sound(3, seconds, rate, channels)
    soundfile.write(folder / "voice.wav", voice.T.numpy(), rate, subtype="FLOAT")
    reference = 0.2 * sound(6, 4.0, 22050, 2).mul(4.0).tanh()
    soundfile.write(folder / "reference.flac", reference.T.numpy(), 22050, subtype="PCM_24")


@pytest.mark.parametrize(
    ("rate", "channels", "seconds", "loudness"),
    [
        (44100, 2, 14.0, "reference"),
        (48000, 6, 2.0, "keep"),
        (24000, 1, 6.0, -14.0),
        (8000, 1, 0.1, "reference"),
        (192000, 2, 2.0, "reference"),
        (44101, 2, 0.5, "reference"),
    ],
)
def test_files_match_as_arrays_do_and_apply_gives_the_same(
    rate: int,
    channels: int,
    seconds: float,
    loudness: str | float,
    model: AFXStyleVAE,
    tmp_path: Path,
) -> None:
    write_pair(tmp_path, rate, channels, seconds)
    done = jobs.match_files(
        tmp_path / "voice.wav",
        tmp_path / "reference.flac",
        model=lambda: model,
        wishes=Wishes(effort="fast", loudness=loudness),
    )
    voice, _ = audio.read(tmp_path / "voice.wav")
    reference, info = audio.read(tmp_path / "reference.flac")
    match = model.match(
        voice,
        reference,
        sample_rate=rate,
        reference_rate=info.sample_rate,
        effort="fast",
        loudness=loudness,
    )
    written, form = audio.read(tmp_path / "voice.matched.wav")
    assert form.subtype == "FLOAT"
    assert torch.equal(written, match.audio)
    assert done.match.preset == match.preset == Preset.load(done.preset)
    assert (done.match.report, done.match.candidates) == (match.report, match.candidates)
    assert torch.equal(match.preset.apply(voice, rate), written)
    again = tmp_path / "again.wav"
    jobs.apply_file(done.preset, tmp_path / "voice.wav", output=again)
    assert torch.equal(audio.read(again)[0], written)


def test_no_block_is_longer_than_a_block(
    model: AFXStyleVAE, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither read nor written; and all the work is counted."""
    write_pair(tmp_path, 48000, 2, 12.0)
    sizes: list[int] = []
    read, writing = audio._read, audio._quantize

    def spy(*arguments: object) -> np.ndarray:
        samples = read(*arguments)  # type: ignore[arg-type]
        sizes.append(len(samples))
        return samples

    def spy_on_writing(samples: np.ndarray, subtype: str) -> np.ndarray:
        sizes.append(len(samples))
        return writing(samples, subtype)

    monkeypatch.setattr(audio, "_read", spy)
    monkeypatch.setattr(audio, "_quantize", spy_on_writing)
    monkeypatch.setattr(audio, "read", None)
    told: list[tuple[int, int]] = []
    jobs.match_files(
        tmp_path / "voice.wav",
        tmp_path / "reference.flac",
        model=lambda: model,
        wishes=Wishes(effort="fast"),
        progress=lambda *done: told.append(done),
    )
    assert max(sizes) == BLOCK
    assert told == sorted(told)
    assert told[-1][0] == told[-1][1]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device")])
@pytest.mark.parametrize("where", ["afxvae.recordings.Spool.fill", "afxvae.matching._report"])
def test_what_is_broken_off_leaves_nothing(
    error: BaseException,
    where: str,
    model: AFXStyleVAE,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_pair(tmp_path, 24000, 1, 1.0)
    before = sorted(path.name for path in tmp_path.iterdir())

    def broken(*_: object) -> None:
        raise error

    monkeypatch.setattr(where, broken)
    with pytest.raises((KeyboardInterrupt, audio.UsageError)):
        jobs.match_files(
            tmp_path / "voice.wav",
            tmp_path / "reference.flac",
            model=lambda: model,
            wishes=Wishes(effort="fast"),
        )
    assert sorted(path.name for path in tmp_path.iterdir()) == before
