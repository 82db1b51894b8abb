"""Reports show what was done, whatever that was."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from afxvae import Preset, Style, audio, figures
from afxvae.cli import main
from afxvae.figures import look_at, look_at_style, match_figure, save_report
from afxvae.recordings import Recording
from afxvae.types import UsageError
from tests.sounds import sound

from .conftest import Output, QuickModel, contents, write_sound

pytest.importorskip("matplotlib")
RATE = 44100


@pytest.fixture(scope="module")
def looks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, figures.Look]:
    folder = tmp_path_factory.mktemp("report")
    made = {}
    for seed, name in enumerate(("input", "reference", "result")):
        audio.write(folder / f"{name}.wav", sound(seed, 2.0 + seed), RATE)
        made[name] = look_at(folder / f"{name}.wav")
    return made


def test_a_sine_is_seen_where_it_is(tmp_path: Path) -> None:
    time = torch.arange(3 * RATE) / RATE
    audio.write(tmp_path / "a.wav", 0.5 * torch.sin(6000.0 * time)[None], RATE)
    look = look_at(tmp_path / "a.wav")
    assert float(look.hz[look.spectrum_db.argmax()]) == pytest.approx(955.0, rel=0.04)
    assert look.seconds == pytest.approx(3.0)
    assert float(look.picture_db.max()) == 0.0
    assert int(look.picture_db.mean(0).argmax()) not in (0, look.picture_db.shape[1] - 1)


def test_a_style_looks_like_its_recording_where_it_is_heard(
    looks: dict[str, figures.Look], tmp_path: Path
) -> None:
    reference = sound(1, 3.0)  # that of `looks`, repeated to the length of a clip
    style = Style.of(Recording.of_array(reference, RATE, "reference"))
    look = look_at_style(style)
    assert look.highest_hz == 12_000.0
    heard = (look.hz > 100.0) & (look.hz < 8000.0)
    known = np.interp(look.hz.log(), looks["reference"].hz.log(), looks["reference"].spectrum_db)
    assert np.abs(known - look.spectrum_db.numpy())[heard.numpy()].mean() < 1.5


def test_even_power_is_even_however_it_is_smoothed() -> None:
    hz = torch.logspace(1.5, 4.3, 50)
    for octaves in (1 / 12, 1 / 6, 1.0):
        smooth = figures.smoothed_db(torch.full((2049,), 0.01), RATE, hz, octaves, -140.0)
        torch.testing.assert_close(smooth, torch.full((50,), -20.0), atol=1e-3, rtol=0)


def test_power_is_the_mean_of_blocks_and_channels() -> None:
    loud = sound(1, 0.5, channels=2)
    power = figures.average_power([loud], 1024)
    twice = figures.average_power([loud[:1], 0.0 * loud[:1], loud[1:], 0.0 * loud[1:]], 1024)
    torch.testing.assert_close(twice, 0.5 * power)
    assert figures.average_power([loud[:, :100]], 1024).isfinite().all()


@pytest.mark.parametrize(
    ("suffix", "on"),
    [
        (".html", ()),
        (".html", ("eq",)),
        (".html", ("compressor", "overdrive")),
        *((suffix, ("eq", "compressor", "overdrive", "reverb")) for suffix in figures.FORMATS),
    ],
)
def test_every_report_can_be_written(
    looks: dict[str, figures.Look], on: tuple[str, ...], suffix: str, tmp_path: Path
) -> None:
    preset = Preset()
    for name in on:
        preset = preset.changed(name, {})
    figure = match_figure(looks, preset, RATE)
    drawn = sum(name in on for name in ("eq", "compressor", "overdrive"))
    assert len(figure.axes) == 4 + drawn
    path = tmp_path / f"report{suffix}"
    save_report(figure, path, preset, {"input": "<a> & b.wav"})
    assert path.stat().st_size > 10_000
    if suffix == ".html":
        page = path.read_text(encoding="utf-8")
        assert "&lt;a&gt; &amp; b.wav" in page
        assert all(name in page for name in on) or "nothing was done" in page


def test_other_endings_and_no_matplotlib_are_said(
    looks: dict[str, figures.Look], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figure = match_figure(looks, Preset(), RATE)
    with pytest.raises(UsageError, match="to be a picture"):
        save_report(figure, tmp_path / "report.doc", Preset(), {})
    with pytest.raises(UsageError, match=r"must end in one of \.pdf, \.png, \.svg to be"):
        figures.check_picture(tmp_path / "plot.html", figures.PLOT_FORMATS)
    figures.check_picture(tmp_path / "plot.PNG", figures.PLOT_FORMATS)
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    with pytest.raises(UsageError, match="pip install"):
        match_figure(looks, Preset(), RATE)
    with pytest.raises(UsageError, match="pip install"):
        figures.check_picture(tmp_path / "report.png", figures.FORMATS)
    assert list(tmp_path.iterdir()) == []


def test_a_report_that_fails_leaves_nothing(
    quick_model: type[QuickModel],
    files: SimpleNamespace,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_sound(files.folder / "there.wav")
    before = contents(files.folder)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("afxvae.jobs.match.write_report", full)
    command = ["match", files.voice, files.reference, "--report", "r.html", "--overwrite"]
    for output in ("new.wav", "there.wav"):
        assert main([*command, "-o", output]) == 2
        assert contents(files.folder) == before


def test_match_draws_a_report(
    files: SimpleNamespace, quick_model: type[QuickModel], capsys: Output
) -> None:
    assert main(["match", files.voice, files.reference, "--report", "out.html"]) == 0
    assert "out.html" in capsys.readouterr().err
    assert "voice.matched.wav" in Path("out.html").read_text(encoding="utf-8")
    before = contents(files.folder)
    for wrong in ("out.doc", "out.html", "nowhere/out.png"):
        assert main(["match", files.voice, files.reference, "-o", "n.wav", "--report", wrong]) == 2
    assert contents(files.folder) == before
