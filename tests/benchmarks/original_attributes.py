"""Run timbral_models 0.4 on WAV files; for the interpreter that has it, see `attributes.py`.

python original_attributes.py VALUES.json CLIP.wav...

Adds to VALUES.json, for each clip that is not in it, the eight attributes and the seconds that each
took. Reverberation stands for the probability behind the original's 0 or 1.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from pathlib import Path

import librosa
import numpy as np
import soundfile


def by_position(function, *order: str):
    """`function`, which takes names only, as it was when it took positions."""

    def call(*given, **options):
        return function(**dict(zip(order, given, strict=False)), **options)

    return call


# What the original calls has changed since 2019: a name of numpy, and arguments by position.
np.lib.pad = np.pad
librosa.onset.onset_detect = by_position(librosa.onset.onset_detect, "y", "sr")
librosa.onset.onset_strength = by_position(librosa.onset.onset_strength, "y", "sr")
librosa.core.resample = by_position(librosa.core.resample, "y", "orig_sr", "target_sr")

import timbral_models  # noqa: E402 - it must see the names above


def reverberation(audio: np.ndarray, fs: int) -> float:
    """The probability that the original rounds to 0 or 1."""
    return timbral_models.timbral_reverb(audio, fs=fs, dev_output=True)[1]


MODELS = {
    "brightness": timbral_models.timbral_brightness,
    "sharpness": timbral_models.timbral_sharpness,
    "boominess": timbral_models.timbral_booming,
    "warmth": timbral_models.timbral_warmth,
    "roughness": timbral_models.timbral_roughness,
    "depth": timbral_models.timbral_depth,
    "hardness": timbral_models.timbral_hardness,
    "reverberation": reverberation,
}


def measure(audio: np.ndarray, sample_rate: int) -> dict[str, dict[str, float]]:
    values: dict[str, float] = {}
    seconds: dict[str, float] = {}
    for name, model in MODELS.items():
        start = time.process_time()
        try:
            values[name] = float(model(audio.copy(), fs=sample_rate))
            seconds[name] = time.process_time() - start
        except Exception as error:  # it fails on some clips: those are left out
            print(f"{name}: {error}", file=sys.stderr)
    return {"values": values, "seconds": seconds}


def main() -> None:
    warnings.simplefilter("ignore")
    stored = Path(sys.argv[1])
    known = json.loads(stored.read_text()) if stored.exists() else {}
    for path in map(Path, sys.argv[2:]):
        if path.stem in known:
            continue
        audio, sample_rate = soundfile.read(path)
        known[path.stem] = {"duration": len(audio) / sample_rate, **measure(audio, sample_rate)}
        stored.write_text(json.dumps(known, indent=1))


if __name__ == "__main__":
    main()
