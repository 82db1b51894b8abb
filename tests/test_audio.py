"""Files come back as they were, bad files are refused in a sentence, resampling keeps tones."""

from __future__ import annotations

import math
import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from afxvae import audio as aud
from afxvae.types import (
    AfxError,
    AudioError,
    PresetError,
    UsageError,
    WeightsError,
    check_shape,
)

RATE = 24000


def noise(seconds: float = 0.5, channels: int = 2, seed: int = 0, level: float = 0.1) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return level * generator.standard_normal((round(seconds * RATE), channels))


def wav_file(folder: Path, samples: np.ndarray, subtype: str = "PCM_16", name: str = "a.wav"):
    path = folder / name
    soundfile.write(path, samples, RATE, subtype=subtype, format=aud.FORMATS[path.suffix])
    return path


def test_types_import_without_torch():
    code = "import afxvae.types, sys; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[1])


def test_exit_codes_are_those_of_the_command_line():
    codes = {UsageError: 2, PresetError: 2, AudioError: 3, WeightsError: 4}
    assert all(issubclass(kind, AfxError) and kind.exit_code == codes[kind] for kind in codes)


def test_check_shape():
    check_shape("audio", torch.zeros(2, 1, 5), "batch channel time")
    check_shape("audio", torch.zeros(2, 2, 5), "batch 2 time")
    check_shape("square", torch.zeros(3, 3), "n n")
    for shape, pattern in (((2, 5), "b c t"), ((2, 1, 5), "b 2 t"), ((2, 3), "n n")):
        with pytest.raises(UsageError, match="audio must have the shape"):
            check_shape("audio", torch.zeros(shape), pattern)


@pytest.mark.parametrize(
    ("name", "subtype"),
    [
        ("a.wav", "PCM_16"),
        ("a.wav", "PCM_24"),
        ("a.wav", "PCM_U8"),
        ("a.wav", "FLOAT"),
        ("a.flac", "PCM_16"),
        ("a.flac", "PCM_24"),
        ("a.aiff", "PCM_16"),
        ("a.aiff", "PCM_24"),
    ],
)
def test_what_is_read_is_written_bit_for_bit(tmp_path, name, subtype):
    samples = np.clip(noise(level=0.4), -1, 1 - 2**-23)
    samples[:3, 0] = (-1, 1 - 2**-23, 0)
    source = wav_file(tmp_path, samples, subtype, name)
    audio, described = aud.read(source)
    assert audio.shape == (2, len(samples))
    assert audio.dtype == torch.float32
    copy = source.with_stem("copy")
    aud.write(copy, audio, described.sample_rate, like=described)
    again = aud.info(copy)
    assert (again.format, again.subtype) == (described.format, described.subtype)
    assert (again.frames, again.channels, again.sample_rate) == (len(samples), 2, RATE)
    kind = "float32" if subtype == "FLOAT" else "int32"
    before, after = (soundfile.read(path, dtype=kind)[0] for path in (source, copy))
    assert np.array_equal(before, after)


def test_32_bit_and_lossy_formats_are_kept(tmp_path):
    for name, subtype in (("a.wav", "PCM_32"), ("a.ogg", "VORBIS"), ("b.mp3", "MPEG_LAYER_III")):
        audio, described = aud.read(wav_file(tmp_path, noise(), subtype, name))
        copy = tmp_path / f"copy{described.path.suffix}"
        aud.write(copy, audio, RATE, like=described)
        again, info = aud.read(copy)
        assert info.subtype == subtype
        assert again.shape[1] == pytest.approx(audio.shape[1], abs=2400)
        assert (aud.resample(again, RATE, RATE)[:, :9000] - audio[:, :9000]).abs().mean() < 0.05


def test_rounding_is_to_the_nearest_step(tmp_path):
    steps = torch.tensor([[0.4, 0.6, -0.4, -0.6, 3.0]]) / 32768
    aud.write(tmp_path / "a.wav", steps, RATE, subtype="PCM_16")
    assert soundfile.read(tmp_path / "a.wav", dtype="int16")[0].tolist() == [0, 1, 0, -1, 3]


def test_output_formats(tmp_path):
    def source(name, subtype, kind=None):
        return aud.AudioInfo(
            Path(name), RATE, 2, 10, kind or aud.FORMATS[Path(name).suffix], subtype
        )

    float_wav, mp3 = source("a.wav", "FLOAT"), source("a.mp3", "MPEG_LAYER_III")
    assert aud.output_format(float_wav, "b.wav") == ("WAV", "FLOAT")
    assert aud.output_format(float_wav, "b.flac") == ("FLAC", "PCM_24")
    assert aud.output_format(source("a.wav", "PCM_16", "RF64"), "b.wav") == ("RF64", "PCM_16")
    assert aud.output_format(source("a.flac", "PCM_16"), "b.aiff") == ("AIFF", "PCM_16")
    assert aud.output_format(mp3, "b.wav") == ("WAV", "PCM_24")
    assert aud.output_format(None, "b.opus") == ("OGG", "OPUS")
    suffix, note = aud.default_output(mp3)
    assert suffix == ".flac"
    assert "MP3" in note
    assert aud.default_output(float_wav) == (".wav", None)
    assert aud.default_output(source("a.AIF", "PCM_16", "AIFF")) == (".aif", None)
    assert aud.default_output(source("a.caf", "PCM_16", "CAF"))[0] == ".wav"
    with pytest.raises(AudioError, match=r"b\.xyz .* extension must be one of \.aif"):
        aud.output_format(None, "b.xyz")


def damaged(folder: Path, kind: str) -> Path:
    """A file that must be refused."""
    path = folder / ("a.flac" if kind == "truncated flac" else "a.wav")
    samples = noise()
    if kind == "missing":
        return path
    if kind == "folder":
        return folder
    if kind in ("text", "empty"):
        path.write_text("not audio " * 50 if kind == "text" else "")
        return path
    if kind == "no frames":
        samples = samples[:0]
    if kind in ("nan", "infinite"):
        samples[7, 1] = math.nan if kind == "nan" else math.inf
    wav_file(folder, samples, "FLOAT" if kind in ("nan", "infinite") else "PCM_16", path.name)
    if kind.startswith("truncated"):
        path.write_bytes(path.read_bytes()[: 44 + 20000])
    return path


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("missing", "does not exist"),
        ("folder", "is a folder"),
        ("text", "not audio"),
        ("empty", "0 bytes"),
        ("no frames", "no audio in it"),
        ("truncated wav", "promises 28000 bytes of audio more"),
        ("truncated flac", "truncated"),
        ("nan", "not finite"),
        ("infinite", "not finite"),
    ],
)
def test_bad_files_are_refused_in_one_sentence(tmp_path, kind, sentence):
    path = damaged(tmp_path, kind)
    with pytest.raises(AudioError, match=sentence) as caught:
        aud.read(path)
    assert str(path) in str(caught.value)
    assert str(caught.value).count("\n") == 0
    assert str(caught.value).endswith(".")


def test_a_wav_written_to_a_pipe_is_not_truncated(tmp_path):
    path = wav_file(tmp_path, noise())
    content = bytearray(path.read_bytes())
    at = content.index(b"data")
    content[4:8] = content[at + 4 : at + 8] = b"\xff" * 4
    path.write_bytes(content)
    assert aud.read(path)[0].shape == (2, 12000)


def test_odd_chunks_before_the_audio_are_skipped(tmp_path):
    path = wav_file(tmp_path, noise())
    content = path.read_bytes()
    extra = b"junk" + struct.pack("<I", 3) + b"abc\0"
    path.write_bytes(content[:36] + extra + content[36:])
    assert aud.read(path)[0].shape == (2, 12000)
    path.write_bytes(content[:36] + extra + content[36:-100])
    with pytest.raises(AudioError, match="promises 100 bytes"):
        aud.read(path)


def test_check_usable():
    aud.check_usable(torch.full((1, 2400), 1e-3), RATE, "a")
    for audio, sentence in (
        (torch.full((1, 1200), 0.1), r"a is too short: 0.050 s, 0.1 s"),
        (torch.zeros(2, 0), "too short"),
        (torch.full((1, 4800), 2e-5), "silent"),
        (torch.tensor([[0.1, math.nan] * 2400]), "not finite"),
        (torch.tensor([[0.1, -math.inf] * 2400]), "not finite"),
    ):
        with pytest.raises(AudioError, match=sentence):
            aud.check_usable(audio, RATE, "a")


def test_writing_never_overwrites_unasked(tmp_path):
    path = wav_file(tmp_path, noise())
    before = path.read_bytes()
    with pytest.raises(UsageError, match=r"a\.wav already exists; use --overwrite"):
        aud.write(path, torch.zeros(1, 100), RATE)
    assert path.read_bytes() == before
    aud.write(path, torch.zeros(1, 100), RATE, overwrite=True)
    assert aud.info(path).frames == 100
    assert [file.name for file in tmp_path.iterdir()] == ["a.wav"]


def test_writing_refuses_what_would_clip(tmp_path):
    hot = torch.tensor([[0.0, 1.0 + 2**-10]])
    for name in ("a.wav", "a.flac", "a.ogg"):
        with pytest.raises(AudioError, match=r"\+0\.01 dBFS would clip"):
            aud.write(tmp_path / name, hot, RATE)
    aud.write(tmp_path / "full.wav", torch.ones(1, 10), RATE, subtype="PCM_16")
    assert soundfile.read(tmp_path / "full.wav", dtype="int16")[0].max() == 32767
    aud.write(tmp_path / "float.wav", hot * 4, RATE, subtype="FLOAT")
    assert torch.equal(aud.read(tmp_path / "float.wav")[0], hot * 4)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["float.wav", "full.wav"]


def test_writing_failures_leave_nothing_behind(tmp_path, monkeypatch):
    audio = torch.zeros(1, 100)
    (tmp_path / "file").write_text("")
    cases = [
        (AudioError, "a.xyz", audio, None, "extension"),
        (AudioError, "a.flac", audio, "FLOAT", "FLAC has no sample format FLOAT"),
        (AudioError, "a.wav", audio[:, :0], None, "no audio"),
        (AudioError, "a.wav", audio * math.nan, None, "not finite"),
        (AudioError, "a.mp3", torch.zeros(7, 100), None, "7 channels at 24000 Hz as MP3"),
        (UsageError, "no/a.wav", audio, None, "no folder"),
        (UsageError, "file/a.wav", audio, None, "no folder"),
        (UsageError, ".", audio, None, "is a folder"),
    ]
    for kind, name, samples, subtype, sentence in cases:
        with pytest.raises(kind, match=sentence):
            aud.write(tmp_path / name, samples, RATE, subtype=subtype)

    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full_disk)
        with pytest.raises(UsageError, match="No space left on device"):
            aud.write(tmp_path / "a.wav", audio, RATE)
    with monkeypatch.context() as patch:
        patch.setattr(os, "access", lambda *_: False)
        with pytest.raises(UsageError, match="no permission"):
            aud.write(tmp_path / "a.wav", audio, RATE)
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_resampling_keeps_tones_and_length():
    for source, target in ((44100, 24000), (24000, 48000), (8000, 24000), (44099, 24000)):
        time = torch.arange(source // 2 + 1, dtype=torch.float64) / source
        out = aud.resample(torch.sin(2 * math.pi * 1000 * time).float()[None], source, target)
        assert out.shape[-1] == round((source // 2 + 1) * target / source)
        time = torch.arange(out.shape[-1], dtype=torch.float64) / target
        expected = torch.sin(2 * math.pi * 1000 * time).float()
        middle = slice(target // 10, -target // 10)
        assert (out[0, middle] - expected[middle]).abs().max() < 3e-4, (source, target)
    same = torch.randn(1, 10, generator=torch.Generator().manual_seed(0))
    assert torch.equal(aud.resample(same, RATE, RATE), same)


def test_resampling_stops_aliases():
    time = torch.arange(44100, dtype=torch.float64) / 44100
    alias = aud.resample(torch.sin(2 * math.pi * 13000 * time).float()[None], 44100, 24000)
    assert alias[..., 2400:-2400].abs().max() < 1e-4


@pytest.mark.parametrize(
    ("source", "target"),
    [(44100, 24000), (24000, 44100), (48000, 24000), (24000, 48000), (8000, 192000)],
)
def test_resampling_is_the_windowed_sinc(source, target):
    """At both ends and between, each sample against the sum over the whole signal in float64."""
    audio = torch.randn(2, 1000, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = aud.resample(audio, source, target).numpy()
    cutoff, crossings, beta = min(source, target) * 0.9475937167399596, 64, 14.769656459379492
    for place in np.linspace(0, found.shape[-1] - 1, 60).round().astype(int):
        passed = (place / target - np.arange(1000) / source) * cutoff
        reach = np.sqrt(np.maximum(1.0 - (passed / crossings) ** 2, 0.0))
        window = np.where(np.abs(passed) < crossings, np.i0(beta * reach) / np.i0(beta), 0.0)
        want = audio.numpy() @ (np.sinc(passed) * window) * cutoff / source
        np.testing.assert_allclose(found[:, place], want, rtol=0, atol=1e-11)


# blocks


@pytest.mark.parametrize("frames", [1, 999, 1000, 5000])
def test_blocks_are_the_file(frames: int, tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    sound = 0.1 * torch.randn(2, 1000, generator=torch.Generator().manual_seed(0))
    aud.write(path, sound, 8000)
    blocks = list(aud.read_blocks(path, frames))
    assert all(block.shape[1] == frames for block in blocks[:-1])
    assert torch.equal(torch.cat(blocks, 1), aud.read(path)[0])


def test_a_file_written_in_blocks_is_the_same_file(tmp_path: Path) -> None:
    sound = 0.1 * torch.randn(2, 1000, generator=torch.Generator().manual_seed(0))
    for suffix in (".wav", ".flac"):
        aud.write(tmp_path / f"whole{suffix}", sound, 8000)
        with aud.writing(tmp_path / f"blocks{suffix}", 8000, 2) as put:
            for block in sound.split(300, 1):
                put(block)
        whole, blocks = (
            (tmp_path / f"{name}{suffix}").read_bytes() for name in ("whole", "blocks")
        )
        assert whole == blocks


def test_writing_that_fails_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    fine = torch.zeros(1, 100)

    def write(*blocks: torch.Tensor) -> None:
        with aud.writing(path, 8000, 1) as put:
            for block in blocks:
                put(block)

    for blocks, message in (
        ([fine, fine + 2.0], "would clip"),
        ([fine, fine / 0.0], "not finite"),
        ([], "no audio to write"),
    ):
        with pytest.raises(AudioError, match=message):
            write(*blocks)
    assert list(tmp_path.iterdir()) == []
