from __future__ import annotations

import json
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from afxvae import audio
from afxvae.data import clips, phrases, sources
from afxvae.data.corpus import (
    Recording,
    configured_split,
    folder_corpus,
    load_config,
    load_manifest,
    prepare_corpus,
    split_of,
)

RATE = 8000
EXAMPLE = Path(__file__).parents[2] / "examples" / "train_base_model" / "corpus.toml"


def tone(hz: float, seconds: float, rate: int = RATE) -> clips.Signal:
    return np.asarray(0.5 * np.sin(2 * np.pi * hz * np.arange(int(seconds * rate)) / rate))


def write(path: Path, signal: clips.Signal) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    audio.write(path, torch.from_numpy(signal.astype(np.float32))[None], RATE)


@pytest.fixture
def corpus(tmp_path: Path) -> Callable[..., Path]:
    """A small corpus of speakers and an instrument, prepared into a named folder."""
    unpacked = tmp_path / "downloads" / "unpacked" / "toy"
    rng = np.random.default_rng(0)
    for speaker in ("ann", "bob", "cid"):
        for index in range(5):
            burst = tone(100 + 50 * index, 0.9) * rng.uniform(0.1, 1) + 1e-4 * rng.normal(size=7200)
            write(unpacked / "speech" / speaker / f"{index}.wav", burst)
    write(unpacked / "speech" / "cid" / "9.wav", tone(100, 0.9))
    (unpacked / "speech" / "cid" / "broken.wav").write_bytes(b"RIFF no audio")
    for note, hz in (("A3", 220), ("C4", 261.6), ("Fs4", 370)):
        write(unpacked / "notes" / f"{note}.wav", tone(hz, 1.5))
    config = tmp_path / "corpus.toml"
    config.write_text(
        """
        seed = 1
        sample_rate = 8000
        seconds = 5.0
        min_seconds = 4.0
        loudness_lufs = -23.0
        [splits]
        test = ["speech-cid"]
        valid = ["speech-b*"]
        [[package]]
        name = "toy"
        version = "1"
        registry = "apt"
        licence = "CC0-1.0"
        [[source]]
        package = "toy"
        method = "speech"
        kind = "speech"
        include = 'speech/(?P<id>\\w+)/.*\\.wav$'
        group = "speech-{id}"
        max_minutes = 1
        min_group_s = 1.0
        [[source]]
        package = "toy"
        method = "notes"
        kind = "guitar"
        include = 'notes/.*\\.wav$'
        group = "guitar"
        styles = ["poly", "mono"]
        count = 2
        """
    )

    def prepare(name: str, workers: int = 1) -> Path:
        downloads = tmp_path / "downloads"
        return prepare_corpus(config, tmp_path / name, downloads_dir=downloads, workers=workers)

    return prepare


def test_prepared_corpus_keeps_its_promises(corpus: Callable[..., Path]) -> None:
    recordings = load_manifest(corpus("first"))
    splits = {recording.group: recording.split for recording in recordings}
    assert splits == {
        "speech-ann": "train",
        "speech-bob": "valid",
        "speech-cid": "test",
        "guitar": "train",
    }
    assert sum(recording.kind == "guitar" for recording in recordings) == 2
    for recording in recordings:
        signal, info = audio.read(recording.path)
        assert (info.sample_rate, info.channels, info.subtype) == (RATE, 1, "PCM_16")
        assert info.duration_s == pytest.approx(recording.seconds, abs=1e-3)
        assert info.duration_s >= 4
        assert float(audio.loudness_lufs(signal[None], RATE)) == pytest.approx(-23, abs=0.1)
        assert (recording.licence, recording.source, recording.dry) == ("CC0-1.0", "toy", True)


def test_preparing_twice_gives_the_same_bytes(corpus: Callable[..., Path]) -> None:
    first, second = corpus("first"), corpus("second", workers=2)
    assert first.read_bytes() == second.read_bytes()
    for one, other in zip(load_manifest(first), load_manifest(second), strict=True):
        assert one.path.read_bytes() == other.path.read_bytes()


def test_example_configuration_is_consistent() -> None:
    config = load_config(EXAMPLE)
    for source in config["source"]:
        assert source["method"] in sources.METHODS
    for group, split in {
        "tuxpaint-el": "test",
        "kit-rumpf-kit-z01-h2": "test",
        "kit-colomboacousticdrumkit": "test",
        "tonejs-harp": "test",
        "tuxpaint-da": "valid",
        "tuxpaint-bg": "train",
    }.items():
        assert configured_split(group, config["splits"]) == split


def test_folder_corpus(tmp_path: Path) -> None:
    for index in range(12):
        write(tmp_path / "guitar" / f"take{index}.wav", tone(200, 12.5))
    write(tmp_path / "loose.flac", tone(200, 13))
    write(tmp_path / "short.wav", tone(200, 3))
    (tmp_path / "notes.txt").write_text("not audio")
    recordings = folder_corpus(tmp_path)
    assert len(recordings) == 13
    assert {(r.path.stem, r.kind) for r in recordings} >= {("loose", "any"), ("take3", "guitar")}
    assert all(r.split == split_of(r.group) and r.group == r.path.stem for r in recordings)
    assert recordings == folder_corpus(tmp_path)


def test_folder_without_audio_says_so(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="No readable audio of at least 12 s"):
        folder_corpus(tmp_path)
    with pytest.raises(FileNotFoundError, match="There is no folder"):
        folder_corpus(tmp_path / "nowhere")


def test_hash_split_is_80_10_10() -> None:
    counts = {"train": 0, "valid": 0, "test": 0}
    for index in range(5000):
        counts[split_of(f"take-{index}")] += 1
    assert counts["train"] / 5000 == pytest.approx(0.8, abs=0.02)
    assert counts["valid"] / 5000 == pytest.approx(0.1, abs=0.02)


def test_manifest_names_the_bad_line(tmp_path: Path) -> None:
    text = {"path": "a.flac", "split": "train", "kind": "any", "group": "a", "source": "s"}
    good = {**text, "licence": "", "seconds": 24.0}
    lines = [json.dumps({**good, "dry": True}), json.dumps({"path": "b.flac"})]
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text(lines[0] + "\n")
    expected = Recording(tmp_path / "a.flac", "train", "any", "a", "s", "", 24.0, True)
    assert load_manifest(manifest) == [expected]
    manifest.write_text("\n".join(lines))
    with pytest.raises(ValueError, match="line 2"):
        load_manifest(manifest)


@pytest.mark.parametrize("style", ["mono", "poly", "bass", "pad"])
def test_melody_follows_its_seed_and_range(style: str) -> None:
    first, second, other = (
        phrases.melody(np.random.default_rng(seed), 20.0, 48, 72, style) for seed in (3, 3, 4)
    )
    assert first == second != other
    assert len(first) > 8
    assert all(48 <= event.sound <= 72 and 0 <= event.start_s < 20 for event in first)
    assert all(0 < event.velocity <= 1 for event in first)


def test_beat_follows_its_seed() -> None:
    first, second, other = (phrases.beat(np.random.default_rng(s), 20.0) for s in (3, 3, 4))
    assert first == second != other
    assert {"kick", "snare"} <= {phrases.ROLES[event.sound] for event in first}


def test_sampler_plays_the_pitch_that_is_written() -> None:
    event = phrases.Event(0.0, 1.5, 71, 1.0)
    played = phrases.play_notes({69: tone(440, 2)}, [event], 2.0, RATE)
    peak = np.argmax(np.abs(np.fft.rfft(played[:RATE])))
    assert peak == pytest.approx(440 * 2 ** (2 / 12), abs=1)


@pytest.mark.parametrize("ratio", [0.5, 80 / 147, 1.0, 160 / 147])
def test_change_rate_keeps_a_tone(ratio: float) -> None:
    changed = clips.change_rate(tone(440, 1), ratio)
    assert len(changed) == round(RATE * ratio)
    middle = slice(len(changed) // 4, -len(changed) // 4)
    exact = 0.5 * np.sin(2 * np.pi * 440 * np.arange(len(changed)) / (RATE * ratio))
    assert np.abs(changed - exact)[middle].max() < 1e-3


def test_join_fills_the_gaps_with_the_clips_own_floor() -> None:
    rng = np.random.default_rng(0)
    clip = tone(300, 1.0)
    clip[2000:4000] = 0
    clip = clip + 1e-3 * rng.normal(size=len(clip))
    joined = clips.join([clip, clip], RATE, rng, gap_s=(0.5, 0.5))
    assert len(joined) == 2 * len(clip) + RATE // 2
    gap = joined[len(clip) + 200 : len(clip) + RATE // 2 - 200]
    assert 20 * np.log10(gap.std() / 1e-3) == pytest.approx(0, abs=3)


def test_trim_and_level() -> None:
    clip = np.concatenate([np.zeros(RATE), tone(300, 1), np.zeros(RATE)])
    trimmed = clips.trim(clip, RATE, keep_s=0.03)
    assert len(trimmed) / RATE == pytest.approx(1.06, abs=0.04)
    assert clips.active_level_db(trimmed, RATE) == pytest.approx(-9.03, abs=0.3)
    assert len(clips.trim(np.zeros(RATE), RATE)) == 0


def test_excerpts_come_from_different_parts_of_a_long_file(tmp_path: Path) -> None:
    song = np.concatenate([tone(hz, 4.0) for hz in (200, 400, 800, 1600)])
    write(tmp_path / "song.wav", song)
    settings = {"sample_rate": RATE, "seconds": 4.0, "min_seconds": 3.0}

    def cut(count: int) -> list[clips.Signal]:
        source = {"method": "excerpts", "count": count}
        rng = np.random.default_rng(0)
        return list(sources.signals(source, [tmp_path / "song.wav"], settings, rng))

    assert [len(cut(count)) for count in (1, 2, 4, 9)] == [1, 2, 4, 4]
    pitches = [np.abs(np.fft.rfft(part)).argmax() / len(part) * RATE for part in cut(4)]
    assert pitches == pytest.approx([200, 400, 800, 1600], abs=1)


def test_midi_file_is_well_formed() -> None:
    data = phrases.midi_file([phrases.Event(0.5, 1.0, 60, 0.5)], program=24)
    assert data[:4] == b"MThd"
    assert data[14:18] == b"MTrk"
    assert int.from_bytes(data[18:22], "big") == len(data) - 22
    assert bytes([0xC0, 24]) in data
    assert bytes([0x90, 60, 64]) in data
    assert data.endswith(b"\xff\x2f\x00")


def test_an_archive_in_a_package_is_unpacked(tmp_path: Path) -> None:
    """A package of npm that holds a zip archive, as games keep their sounds."""
    (tmp_path / "package").mkdir()
    with zipfile.ZipFile(tmp_path / "package" / "data.pk3", "w") as inner:
        inner.writestr("sound/voice.txt", "hello")
    with tarfile.open(tmp_path / "toy-1.tgz", "w:gz") as outer:
        outer.add(tmp_path / "package", "package")
    package = {"name": "toy", "version": "1", "registry": "npm", "archive": "data.pk3"}
    folder = sources.package_folder(package, tmp_path)
    assert (folder / "archive" / "sound" / "voice.txt").read_text() == "hello"


def test_missing_client_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    package = {"name": "toy", "version": "1", "registry": "npm"}
    with pytest.raises(RuntimeError, match="npm is not installed"):
        sources.package_folder(package, tmp_path)
