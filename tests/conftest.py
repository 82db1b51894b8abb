"""What several tests need: sounds in files, what a command left, a model that answers at once."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import soundfile
import torch

from afxvae import Preset
from afxvae.models.estimate import ESTIMATED
from afxvae.types import WeightsError
from tests.sounds import untrained

if TYPE_CHECKING:
    from collections.abc import Callable

    from afxvae.matching import Alternative, Finding
    from afxvae.models.style_vae import AFXStyleVAE
    from afxvae.recordings import Recording

Output = pytest.CaptureFixture[str]
RATE = 24000
MATCH = ["match", "voice.wav", "reference.wav"]


def write_sound(
    path: Path,
    seconds: float = 1.0,
    *,
    seed: int = 0,
    channels: int = 2,
    level: float = 0.1,
    subtype: str | None = "PCM_16",
) -> Path:
    """A file of noise, as loud as `level`."""
    generator = np.random.default_rng(seed)
    samples = level * generator.uniform(-1, 1, (round(seconds * RATE), channels))
    soundfile.write(path, samples, RATE, subtype=subtype)
    return path


def listing(folder: Path) -> list[str]:
    """The names of all that is in a folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def contents(folder: Path) -> dict[str, bytes | None]:
    """All that is in a folder, with the bytes of its files."""
    paths = sorted(folder.rglob("*"))
    return {str(p): p.read_bytes() if p.is_file() else None for p in paths}


def refused(capsys: Output, *said: str) -> None:
    """Check that one line, with these words in it, is all that was printed."""
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("afxvae: ")
    assert captured.err.endswith("\n")
    assert captured.err.count("\n") == 1
    for words in said:
        assert words in captured.err


class QuickModel:
    """Answers like `AFXStyleVAE`, with a preset that is always the same, and keeps what it got."""

    identifier = "quick"
    checksum = "c0ffee"
    preset = Preset(model="quick", model_checksum="c0ffee").changed("gain", {"gain_db": -6.0})
    decision = "posterior mean"
    alternatives: tuple[Alternative, ...] = ()
    raises: BaseException | None = None
    asked: dict[str, Any]

    @classmethod
    def from_pretrained(cls, name: str | None = None, **options: Any) -> QuickModel:
        if name == "no/such":
            raise WeightsError("The model no/such is nowhere.")
        made = cls()
        made.asked = type(made).asked = {"name": name, **options}
        return made

    def to(self, device: torch.device) -> QuickModel:
        self.asked["device"] = str(device)
        return self

    def eval(self) -> QuickModel:
        return self

    def parameters(self) -> Any:
        return iter([torch.zeros(1)])

    def embed(self, audio: torch.Tensor, sample_rate: int) -> torch.Tensor:
        return torch.tensor([float(audio.shape[0]), audio.shape[1] / sample_rate, 0.5])

    def match_recordings(
        self, source: Recording, reference: Recording, put: Callable[..., None], **options: Any
    ) -> Finding:
        from afxvae.matching import Finding

        options |= {"sample_rate": source.sample_rate, "reference_rate": reference.sample_rate}
        self.asked.update(options)
        if self.raises is not None:
            raise self.raises
        for block in self.preset.stream(RATE, source.channels).render(source.blocks()):
            put(block)
        return Finding(
            preset=self.preset,
            report={"mfcc": {"before": 3.25, "after": float("nan")}},
            decision=self.decision,
            candidates=[{"name": self.decision, "chosen": True}],
            notes=["A note."],
            alternatives=list(self.alternatives[: options["alternatives"]]),
            seconds=0.5,
            real_time_factor=0.5,
        )


@pytest.fixture
def quick_model(monkeypatch: pytest.MonkeyPatch) -> type[QuickModel]:
    """The model that the command line loads, replaced by one that answers at once."""

    class Fresh(QuickModel):
        pass

    def match_recordings(model: QuickModel, *pair: Recording, **options: Any) -> Finding:
        del options["spool"], options["since"]
        options |= vars(options.pop("wishes"))
        return model.match_recordings(*pair, **options)

    monkeypatch.setattr("afxvae.models.style_vae.AFXStyleVAE", Fresh)
    monkeypatch.setattr("afxvae.matching.match_recordings", match_recordings)
    return Fresh


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A working folder with `voice.wav` and `reference.wav` in it."""
    monkeypatch.chdir(tmp_path)
    write_sound(tmp_path / "voice.wav", 1.0, seed=1)
    write_sound(tmp_path / "reference.wav", 0.8, seed=2, channels=1)
    return SimpleNamespace(folder=tmp_path, voice="voice.wav", reference="reference.wav")


@pytest.fixture(scope="session")
def bold() -> AFXStyleVAE:
    """Takes the posterior mean, in which everything is on and no knob stands at an end."""
    model = untrained(expectation=1.0)
    last = model.vae.head.last
    knobs = len(last.bias) - len(ESTIMATED)
    generator = torch.Generator().manual_seed(1)
    torch.nn.init.zeros_(last.weight)
    last.bias.data[:knobs] = 1.5 * torch.rand(knobs, generator=generator) - 0.75
    last.bias.data[knobs:] = 9.0
    return model


@pytest.fixture(scope="session")
def timid() -> AFXStyleVAE:
    """Never expects anything to help."""
    return untrained(expectation=-1.0)
