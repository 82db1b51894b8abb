"""Match one recording to another from Python, save the preset, and apply it again.

python examples/quickstart.py voice.wav podcast_i_like.wav
"""

from __future__ import annotations

import argparse
from pathlib import Path

from afxvae import AFXStyleVAE, Preset, audio
from afxvae.types import AfxError


def match_files(input_path: Path, reference_path: Path) -> None:
    sound, info = audio.read(input_path)  # (channel, time), float32, full scale +-1
    reference, reference_info = audio.read(reference_path)
    reference = audio.resample(reference, reference_info.sample_rate, info.sample_rate)

    model = AFXStyleVAE.from_pretrained()  # the weights in the package; no network
    match = model.match(sound, reference, sample_rate=info.sample_rate, effort="normal")

    suffix, note = audio.default_output(info)
    output_path = input_path.with_suffix(f".matched{suffix}")
    preset_path = input_path.with_suffix(".afx.json")
    audio.write(output_path, match.audio, info.sample_rate, like=info)
    match.preset.save(preset_path)
    print(f"{output_path} and {preset_path}", note or "")
    print(match.report)

    again = Preset.load(preset_path).apply(sound, info.sample_rate)
    assert again.equal(match.audio), "a preset gives back what match rendered, sample for sample"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("input", type=Path, help="the recording to change")
    parser.add_argument("reference", type=Path, help="the recording whose style is wanted")
    arguments = parser.parse_args()
    try:
        match_files(arguments.input, arguments.reference)
    except AfxError as error:
        raise SystemExit(str(error)) from None
