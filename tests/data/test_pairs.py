"""Training material: the truth can be reached, a seed gives the same again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from afxvae.audio import through_codec
from afxvae.data.corpus import Recording
from afxvae.data.crops import deliver, draw_crop, draw_varied
from afxvae.data.pairs import (
    Pairs,
    Protocol,
    make_pairs,
    peel_known,
    treat,
    treat_variously,
)
from afxvae.data.pools import render_pool
from afxvae.data.shards import ShardPlan, load_shard, render_shards
from afxvae.dsp.features import ANALYSIS_LUFS, CLIP_SAMPLES, RUN_IN, SAMPLE_RATE
from afxvae.dsp.units import fast_length
from afxvae.effects import Chain, default_chain
from afxvae.loudness import loudness_lufs
from afxvae.training.recipe import write_manifest
from afxvae.types import AudioError
from tests.sounds import recording

CHAIN = default_chain()
PROTOCOLS: tuple[Protocol, ...] = ("P1", "P2")


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> list[Recording]:
    """Two groups of guitars, and one drummer with two recordings."""
    folder = tmp_path_factory.mktemp("recordings")
    drums = [recording(folder, seed, "drums", "drummer") for seed in (2, 3)]
    return [recording(folder, 0), recording(folder, 1), *drums]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


# crops


def test_halves_are_neighbours_at_the_analysis_loudness(recordings: list[Recording]) -> None:
    halves = draw_crop(recordings[0], rng())
    assert halves is not None
    assert halves.shape == (2, 1, RUN_IN + CLIP_SAMPLES)
    loudness = loudness_lufs(halves[..., RUN_IN:], SAMPLE_RATE)
    torch.testing.assert_close(loudness, torch.full((2,), ANALYSIS_LUFS), atol=1e-3, rtol=0)
    before, run_in = halves[0, 0, -RUN_IN:], halves[1, 0, :RUN_IN]
    level = before.norm() / run_in.norm()
    torch.testing.assert_close(before, level * run_in, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("rate", [8000, 44100])
def test_crops_of_any_rate_have_the_same_form(rate: int, tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, 0.1 * rng().standard_normal((13 * rate, 2)), rate)
    halves = draw_crop(Recording(path, "test", "any", "a", "", "", 13.0, True), rng())
    assert halves is not None
    assert halves.shape == (2, 1, RUN_IN + CLIP_SAMPLES)


def test_a_crop_played_faster_is_higher(tmp_path: Path) -> None:
    """A tone of 500 Hz at 24 twentieths of its speed is one of 600 Hz, whatever the rate."""
    for rate in (16000, 24000):
        path = tmp_path / f"{rate}.wav"
        soundfile.write(path, 0.1 * np.sin(np.arange(16 * rate) * 2 * np.pi * 500 / rate), rate)
        halves = draw_crop(Recording(path, "test", "any", "a", "", "", 16.0, True), rng(), 24)
        assert halves is not None
        spectrum = torch.fft.rfft(halves[0, 0] * torch.hann_window(halves.shape[-1])).abs()
        found = float(spectrum.argmax()) * SAMPLE_RATE / halves.shape[-1]
        assert abs(found - 600.0) < 0.2


def test_crops_follow_the_generator(recordings: list[Recording]) -> None:
    first, again, other = (draw_crop(recordings[0], rng(seed)) for seed in (0, 0, 1))
    assert first is not None
    assert again is not None
    assert other is not None
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_sources_vary_as_if_another_had_spoken_and_both_halves_alike(tmp_path: Path) -> None:
    """White noise gets a spectrum that is no longer flat, nearly the same one in both halves."""
    path = tmp_path / "noise.wav"
    soundfile.write(path, 0.1 * rng().standard_normal(16 * SAMPLE_RATE), SAMPLE_RATE)
    noise = Recording(path, "test", "any", "a", "", "", 16.0, True)
    bent, apart = [], []
    for seed in range(12):
        generator = torch.Generator().manual_seed(seed)
        halves = draw_varied(noise, CHAIN, rng(seed), generator)
        again = draw_varied(noise, CHAIN, rng(seed), generator.manual_seed(seed))
        assert halves is not None
        assert again is not None
        assert torch.equal(halves, again)
        loudness = loudness_lufs(halves[..., RUN_IN:], SAMPLE_RATE)
        torch.testing.assert_close(loudness, torch.full((2,), ANALYSIS_LUFS), atol=1e-2, rtol=0)
        power = torch.fft.rfft(halves[:, 0]).abs().square()[:, 400:50000]
        bands_db = 10.0 * power.unflatten(1, (31, -1)).mean(2).log10()
        bent.append(bands_db[0].std())
        apart.append((bands_db[0] - bands_db[1]).std())
    assert float(torch.stack(bent).median()) > 1.0
    assert float(torch.stack(apart).max()) < 1.5


# pairs


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_true_settings_reproduce_the_truth(protocol: Protocol, recordings: list[Recording]) -> None:
    """Item by item, so nothing leaks between them: a residual below -80 dB."""
    pairs = make_pairs(recordings, CHAIN, 1, 3, protocol)
    assert pairs.audio.shape == (3, 1, RUN_IN + CLIP_SAMPLES)
    assert pairs.reference.shape == pairs.truth.shape == (3, 1, CLIP_SAMPLES)
    for index in range(3):
        item = slice(index, index + 1)
        audio, controls, switches = (
            getattr(pairs, name)[item] for name in ("audio", "controls", "switches")
        )
        again = treat(audio, CHAIN, controls, switches)
        assert float((again - pairs.truth[item]).norm() / pairs.truth[item].norm()) < 1e-4
        if bool(switches.any()):
            assert not torch.equal(audio[..., RUN_IN:], pairs.truth[item])


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_seed_gives_the_same_pairs_again(protocol: Protocol, recordings: list[Recording]) -> None:
    first, again, other = (make_pairs(recordings, CHAIN, seed, 2, protocol) for seed in (4, 4, 5))
    assert first.kinds == again.kinds
    for name in ("audio", "reference", "truth", "controls", "switches"):
        assert torch.equal(getattr(first, name), getattr(again, name)), name
    assert not torch.equal(first.audio, other.audio)
    assert not torch.equal(first.controls, other.controls)


def untreated(recordings: list[Recording], protocol: Protocol, count: int = 6) -> Pairs:
    """Pairs whose treatment is nothing, so that references can be recognised."""
    return make_pairs(recordings, Chain(()), 3, count, protocol)


def test_the_truth_of_nothing_is_the_input(recordings: list[Recording]) -> None:
    pairs = untreated(recordings, "P1")
    assert torch.equal(pairs.truth, pairs.audio[..., RUN_IN:])
    loudness = loudness_lufs(pairs.reference, SAMPLE_RATE)
    torch.testing.assert_close(loudness, torch.full((6,), ANALYSIS_LUFS), atol=1e-3, rtol=0)


def test_references_of_p1_follow_the_input_in_its_recording(
    recordings: list[Recording],
) -> None:
    for audio, reference, kind in zip(*parts(untreated(recordings, "P1")), strict=True):
        found = [places(r, audio, reference) for r in recordings if r.kind == kind]
        (starts,) = [pair for pair in found if None not in pair]
        assert abs(starts[1] - starts[0] - CLIP_SAMPLES) <= 1


def test_references_of_p2_come_from_another_recording_and_group_if_there_is_one(
    recordings: list[Recording],
) -> None:
    named = []
    for audio, reference, kind in zip(*parts(untreated(recordings, "P2")), strict=True):
        same_kind = [r for r in recordings if r.kind == kind]
        sources = [
            next(r for r in same_kind if places(r, clip)[0] is not None)
            for clip in (audio, reference)
        ]
        assert sources[0].path != sources[1].path
        assert (sources[0].group != sources[1].group) == (kind == "guitar")
        named.append((sources[0].group, sources[1].group))
    assert tuple(named) == untreated(recordings, "P2").groups


def parts(pairs: Pairs) -> tuple[torch.Tensor, torch.Tensor, tuple[str, ...]]:
    return pairs.audio[:, 0, RUN_IN:], pairs.reference[:, 0], pairs.kinds


def places(source: Recording, *clips: torch.Tensor) -> list[int | None]:
    """Where clips start in a recording, by correlation."""
    whole = torch.from_numpy(soundfile.read(source.path, dtype="float32")[0])
    found: list[int | None] = []
    n_fft = fast_length(len(whole) + CLIP_SAMPLES)
    for clip in clips:
        spectrum = torch.fft.rfft(whole, n_fft) * torch.fft.rfft(clip, n_fft).conj()
        start = int(torch.fft.irfft(spectrum, n_fft)[: len(whole)].argmax())
        there = whole[start : start + CLIP_SAMPLES]
        alike = len(there) == len(clip) and torch.cosine_similarity(there, clip, 0) > 0.999
        found.append(start if alike else None)
    return found


def test_recordings_in_which_nothing_is_heard_are_refused(tmp_path: Path) -> None:
    silent = recording(tmp_path, 0)
    soundfile.write(silent.path, np.zeros(26 * SAMPLE_RATE), SAMPLE_RATE)
    short = recording(tmp_path, 1)
    soundfile.write(short.path, rng().standard_normal(9 * SAMPLE_RATE) / 10, SAMPLE_RATE)
    for bad in (silent, short):
        assert draw_crop(bad, rng()) is None
        with pytest.raises(AudioError, match="too silent or too short to draw crops from"):
            render_pool([bad], CHAIN, 0, 1, 1)
        for protocol in PROTOCOLS:
            with pytest.raises(AudioError, match="too silent, too short or too few"):
                make_pairs([bad], CHAIN, 0, 1, protocol)


def test_a_lonely_recording_has_no_pairs_with_another(recordings: list[Recording]) -> None:
    with pytest.raises(AudioError, match="too few to draw pairs from"):
        make_pairs(recordings[:1], CHAIN, 0, 1, "P2")


def test_varied_sources_differ_and_keep_the_truth_exact(recordings: list[Recording]) -> None:
    """Speed and colour come first: the true settings still make the truth of the input."""
    plain, varied = (
        make_pairs(recordings, CHAIN, 7, 4, "P1", varied=flag) for flag in (False, True)
    )
    same = [torch.equal(*pair) for pair in zip(plain.audio, varied.audio, strict=True)]
    assert not all(same)
    makes = torch.Generator().manual_seed(7 + 1)
    again, foreign = treat_variously(varied.audio, CHAIN, varied.controls, varied.switches, makes)
    torch.testing.assert_close(again, varied.truth)
    assert foreign.any()


def test_shards_are_rendered_once_by_processes_of_their_own(
    recordings: list[Recording], tmp_path: Path
) -> None:
    """What a process renders is what `make_pairs` gives here, in half precision."""
    manifest = write_manifest(recordings, tmp_path / "manifest.jsonl")
    plan = ShardPlan(manifest, "test", tmp_path / "shards", "pairs", 2, 1, 1, 50)
    second = plan.path(1)
    second.parent.mkdir()
    second.write_bytes(b"already there")
    lines: list[str] = []
    assert render_shards(plan, 1, lines.append) == [plan.path(0), second]
    assert lines == [f"rendered {plan.path(0).name}"]
    assert second.read_bytes() == b"already there"
    found = load_shard(plan.path(0))
    expected = make_pairs(recordings, CHAIN, 50, 1, "P1", varied=True)
    for name in ("audio", "truth", "reference"):
        assert found[name].dtype == torch.float16
        torch.testing.assert_close(
            found[name].float(), getattr(expected, name), atol=2e-3, rtol=2e-3
        )
    assert torch.equal(found["controls"], expected.controls)
    assert sorted(load_shard(plan.path(0), ["controls"])) == ["controls"]
    assert render_shards(replace(plan, count=1), 1, lines.append) == [plan.path(0)]
    assert len(lines) == 1


def test_what_is_known_is_taken_off(recordings: list[Recording]) -> None:
    """A peeled reference is nearer to the one without delay; what is not taken off stays on."""
    pairs = make_pairs(recordings, CHAIN, 11, 6, "P1")
    delay = CHAIN.names.index("delay")
    switches = torch.zeros_like(pairs.switches)
    plain = treat(pairs.audio, CHAIN, pairs.controls, switches)
    switches[:, delay] = True
    wet = treat(pairs.audio, CHAIN, pairs.controls, switches)
    generator = torch.Generator().manual_seed(0)
    bare, left = peel_known(wet, CHAIN, pairs.controls, switches, generator)
    kept = left[:, delay]
    assert not bool(kept.all())
    assert torch.equal(bare[kept], wet[kept])
    before, after = ((audio - plain).norm(dim=(1, 2)) for audio in (wet, bare))
    assert bool((after < before)[~kept].all())
    same, untouched = peel_known(wet, CHAIN, pairs.controls, switches, generator, share=0.0)
    assert torch.equal(same, wet)
    assert torch.equal(untouched, switches)


def test_what_another_make_did_is_not_known(recordings: list[Recording]) -> None:
    """Its delay is ours, its room is not."""
    pairs = make_pairs(recordings, CHAIN, 11, 4, "P1")
    for effect, known in (("reverb", False), ("delay", True)):
        switches = torch.zeros_like(pairs.switches)
        switches[:, CHAIN.names.index(effect)] = True
        foreign = torch.ones(4, dtype=torch.bool)
        taken = [
            peel_known(
                pairs.reference, CHAIN, pairs.controls, switches,
                torch.Generator().manual_seed(0), foreign=which,
            )[1].any(1)
            for which in (foreign, ~foreign)
        ]  # fmt: skip
        assert bool(taken[0].all()) != known
        assert not bool(taken[1].all())


def test_deliveries_keep_the_length_and_most_of_them_the_samples():
    generator = torch.Generator().manual_seed(0)
    wet = 0.1 * torch.randn(40, 1, CLIP_SAMPLES, generator=generator)
    arrived = deliver(wet, generator)
    assert arrived.shape == wet.shape
    assert bool(arrived.isfinite().all())
    same = [torch.equal(one, other) for one, other in zip(arrived, wet, strict=True)]
    assert 20 <= sum(same) < 40
    level_db = 10.0 * torch.log10(arrived.square().mean((1, 2)) / wet.square().mean((1, 2)))
    assert float(level_db.abs().median()) < 0.1


def test_a_codec_loses_a_little():
    audio = 0.1 * torch.sin(torch.arange(24000) * 0.1)[None]
    for loss in (0.0, 0.7):
        error = (through_codec(audio, 24000, loss) - audio)[:, 2000:-2000].square().mean()
        assert 0.0 < float(error / audio.square().mean()) < 1e-2
