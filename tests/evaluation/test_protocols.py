"""The truth scores 1, doing nothing 0, and the figures say what was decided."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from afxvae.data.corpus import Recording
from afxvae.dsp.features import CLIP_SAMPLES, SAMPLE_RATE
from afxvae.effects import default_chain
from afxvae.evaluation import protocols, report, rows, settings, summary
from afxvae.evaluation.items import ItemResult, ItemResults
from afxvae.evaluation.peers import matchering_installed
from afxvae.evaluation.protocols import evaluate_items, usable_recordings
from afxvae.models.style_vae import AFXStyleVAE
from afxvae.types import UsageError
from tests.sounds import phrases, recording, untrained

CHAIN = default_chain()
QUICK = ("ours (fast)", "oracle")


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> list[Recording]:
    folder = tmp_path_factory.mktemp("recordings")
    return [recording(folder, seed) for seed in (0, 1)]


def manifest(recordings: list[Recording]) -> Path:
    lines = [
        json.dumps({**vars(recording), "path": recording.path.name}) for recording in recordings
    ]
    path = recordings[0].path.with_name("list.jsonl")
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def bold() -> AFXStyleVAE:
    return untrained(1.0)


@pytest.fixture(scope="module")
def results(bold: AFXStyleVAE, recordings: list[Recording]) -> ItemResults:
    return evaluate_items(bold, recordings, "P1", 2, seed=1, untouched=1)


def test_the_truth_closes_everything_and_the_input_nothing(results: ItemResults) -> None:
    missing = {"nearest preset"} | (set() if matchering_installed() else {rows.MATCHERING})
    assert results.rows == tuple(row for row in rows.ROWS if row not in missing)
    assert results.column("oracle", "mr_stft").max() < 1e-4
    assert results.column("oracle", "mr_stft_rendered").max() < 1e-4
    assert results.column("input", "mr_stft").max() > 0.1
    figures = summary.summarize(results)
    for suffix in ("", "_rendered"):
        assert figures["rows"]["input"][f"closure{suffix}"] == 0.0
        assert figures["rows"]["input"][f"closure{suffix}_interval"] == [0.0, 0.0]
        assert figures["rows"]["input"][f"worse{suffix}"] == 0.0
        assert figures["rows"]["oracle"][f"closure{suffix}"] == pytest.approx(1.0, abs=1e-3)
        assert figures["rows"]["oracle"][f"worse{suffix}"] == 0.0
    assert figures["rows"]["loudness only"]["worse"] == 0.0
    assert figures["rows"]["loudness only"]["closure"] == pytest.approx(0.0, abs=1e-4)


def test_what_was_decided_is_reported(results: ItemResults) -> None:
    figures = summary.summarize(results)
    assert figures["final"] == "ours (normal)"
    verdicts = [item.verdicts["ours (normal)"] for item in results.items]
    assert not any(verdict.left_alone for verdict in verdicts)
    assert sum(figures["choices"].values()) == figures["items"] == 2
    assert sum(group["items"] for group in figures["by_kind"].values()) == 2
    assert sum(group["items"] for group in figures["by_effects_on"].values()) == 2
    assert figures["left_alone"]["ours (normal)"]["of_all"] == 0.0
    judged = list(zip(results.items, verdicts, strict=True))
    for effect, row in figures["switches"].items():
        right = [item.switches[effect] == found.switches[effect] for item, found in judged]
        assert row["decision"] == pytest.approx(sum(right) / 2)
        assert row["on"] + row["always_off"] == pytest.approx(1.0)


def test_our_output_is_as_loud_as_the_reference(
    bold: AFXStyleVAE, recordings: list[Recording]
) -> None:
    generator = torch.Generator().manual_seed(0)
    dry = torch.from_numpy(phrases(0)).float()[: SAMPLE_RATE + CLIP_SAMPLES].view(1, 1, -1)
    item = rows.Item(
        dry,
        0.1 * dry[:, 0, -CLIP_SAMPLES:],
        dry[:, 0, -CLIP_SAMPLES:],
        CHAIN.default_controls(),
        torch.zeros(len(CHAIN.effects), dtype=torch.bool),
    )
    with torch.no_grad():
        made, decisions = rows.render_rows(bold, item, ("ours (fast)", "oracle"), None, generator)
        left, _ = rows.render_rows(untrained(-1.0), item, ("ours (fast)",), None, generator)
    assert torch.equal(made["oracle"].output, made["input"].output)
    assert decisions["ours (fast)"].best.switches.any()
    level = rows.measure(rows.Rendering(made["input"].shape, made["ours (fast)"].output),
                         item.reference)  # fmt: skip
    assert level["lufs"] < 0.05
    # left alone but for the level, and before that exactly the input
    assert torch.equal(left["ours (fast)"].shape, made["input"].shape)
    torch.testing.assert_close(left["ours (fast)"].output, item.reference, atol=1e-5, rtol=1e-3)


def test_the_number_of_processes_changes_nothing(
    bold: AFXStyleVAE, recordings: list[Recording], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocols, "_CHUNK", 1)
    said: list[str] = []
    options = {"rows": ("random", "ours (fast)"), "untouched": 1, "log": said.append}
    alone, shared = (
        evaluate_items(bold, recordings, "P2", 2, 2, workers=workers, **options)
        for workers in (1, 2)
    )
    assert alone == shared
    assert said[:3] == said[3:] == [f"P2: {done} of 3 items" for done in (1, 2, 3)]
    assert len({item.distances["input"]["mr_stft"] for item in alone.items}) == 2
    other = evaluate_items(bold, recordings, "P2", 1, 3, **options)
    assert other.items[0] != alone.items[0]


@pytest.mark.parametrize(("expectation", "share"), [(-1.0, 1.0), (1.0, 0.0)])
def test_untouched_items_are_counted(
    recordings: list[Recording], expectation: float, share: float
) -> None:
    model = untrained(expectation)
    results = evaluate_items(model, recordings, "P1", 1, rows=("ours (fast)",), untouched=2)
    assert len(results.untouched) == 2
    for item in results.untouched:
        assert item.effects_on == 0
        assert set(item.distances["input"].values()) == {0.0}
    alone = summary.summarize(results)["left_alone"]["ours (fast)"]
    assert alone["of_additional"] == alone["of_untouched"] == share
    assert alone["untouched"] == 2 + alone["among_items"]


def test_report_is_written_and_says_what_it_is(
    bold: AFXStyleVAE, recordings: list[Recording], tmp_path: Path
) -> None:
    out = tmp_path / "new" / "report"
    result = report.run(
        bold, manifest(recordings), out, items=2, workers=1, untouched=2, rows=QUICK
    )
    markdown = result.pop("markdown")
    assert json.loads((out / "evaluation.json").read_text(encoding="utf-8")) == result
    assert (out / "evaluation.md").read_text(encoding="utf-8") == markdown
    assert report.to_markdown(result) == markdown
    assert len((out / "items.csv").read_text(encoding="utf-8").splitlines()) == 1 + 2 * 2 * 3
    assert result["model"] == {"name": bold.identifier, "checksum": bold.checksum}
    assert bold.checksum[:16] in markdown
    for protocol in ("P1", "P2"):
        assert f"### {protocol}" in markdown
        assert list(result["protocols"][protocol]["rows"]) == ["input", *QUICK]
        assert result["protocols"][protocol]["untouched_items"] == 1
    assert markdown.count("| oracle | 0.000 | 1.00 (1.00 to 1.00) | 0.0 % |") == 2
    lines = markdown.splitlines()
    tables = [line for line in lines if line.startswith("|")]
    assert all(line.endswith("|") for line in tables)
    for before, after in itertools.pairwise(lines):
        if before.startswith("|") and after.startswith("|"):
            assert before.count("|") == after.count("|")


def test_recordings_are_found_or_an_error_says_why(
    recordings: list[Recording], tmp_path: Path
) -> None:
    folder = recordings[0].path.parent
    assert report.find_recordings(manifest(recordings)) == recordings
    stems = [recording.path.stem for recording in recordings]
    assert [r.group for r in report.find_recordings(folder, None)] == stems
    songs = [replace(recordings[0], kind="mix", dry=False), recordings[1]]
    assert report.find_recordings(manifest(songs)) == songs[1:]
    assert report.find_recordings(manifest(songs), kind="mix") == songs[:1]
    with pytest.raises(UsageError, match="of the kind 'choir' in its test split among 2"):
        report.find_recordings(manifest(songs), kind="choir")
    with pytest.raises(UsageError, match="no manifest and no folder"):
        report.find_recordings(tmp_path / "missing")
    with pytest.raises(UsageError, match="valid split among 2 recordings"):
        report.find_recordings(manifest(recordings), "valid")
    bad = tmp_path / "bad.jsonl"
    bad.write_text("{}", encoding="utf-8")
    with pytest.raises(UsageError, match="not a recording"):
        report.find_recordings(bad)
    with pytest.raises(UsageError, match="two recordings of the same kind"):
        usable_recordings(recordings[:1], "P2")


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"rows": ("winner",)}, "no row 'winner'"),
        ({"rows": ("nearest preset",)}, "needs a pool"),
        ({"protocols": ()}, "at least one protocol"),
        ({"protocols": ("P3",)}, "one of P1, P2, P5"),
        ({"protocols": ("P5",)}, "The train split has no speech"),
        ({"items": 0}, "must be positive"),
    ],
)
def test_wrong_arguments(
    bold: AFXStyleVAE, recordings: list[Recording], wrong: dict[str, object], says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        report.run(bold, manifest(recordings), **wrong)


def test_settings_are_judged_by_what_they_do() -> None:
    controls = rows.mean_preset(CHAIN)
    assert ((controls >= 0) & (controls <= 1)).all()
    on = torch.ones(len(CHAIN.effects), dtype=torch.bool)
    random, _ = rows.random_treatments(CHAIN, 1, torch.Generator().manual_seed(3))
    true = (random[0], on)
    same = settings.settings_errors(CHAIN, true, true, controls)
    assert set(same) == set(settings.QUANTITIES)
    for name, error in same.items():
        assert error.found == (1.0 if name == "rt60_ratio" else 0.0)
        assert error.blind > error.found
    nothing = settings.settings_errors(CHAIN, (random[0], ~on), true, controls)
    assert all(error.found == error.blind for error in nothing.values())
    assert {name for name, quantity in settings.QUANTITIES.items() if quantity.curve} == set(
        nothing
    )
    decay = [(e, p.name) for e, p in CHAIN.knobs].index(("reverb", "decay_s"))
    param = CHAIN.params[decay]
    longer, shorter = (random[0].clone() for _ in range(2))
    longer[decay], shorter[decay] = param.to_control(2.0), param.to_control(1.0)
    error = settings.settings_errors(CHAIN, (longer, on), (shorter, on), controls)["rt60_ratio"]
    assert error.found == pytest.approx(2.0, rel=1e-4)


def test_mean_preset_shrinks_amounts_by_how_often_an_effect_is_on() -> None:
    mean = CHAIN.to_settings(rows.mean_preset(CHAIN).unsqueeze(0))
    assert float(mean["delay"]["mix"]) == pytest.approx(0.38 * 0.3, abs=0.02)
    assert float(mean["eq"]["peak1_gain_db"]) == pytest.approx(0.0, abs=0.3)
    assert float(mean["overdrive"]["mix"]) == pytest.approx(0.7, abs=0.02)


def test_nearest_preset_is_the_nearest() -> None:
    table = rows.PresetTable(
        torch.tensor([[0.0, 0.0], [1.0, 2.0]]),
        torch.tensor([[0.1], [0.2]]),
        torch.tensor([[False], [True]]),
    )
    controls, switches = table.nearest(torch.tensor([[0.9, 1.0]]))
    assert float(controls) == pytest.approx(0.2)
    assert bool(switches)


def test_paired_p_value_sees_a_difference_only_where_there_is_one() -> None:
    generator = np.random.default_rng(0)
    first = generator.random(200)
    assert summary.paired_p_value(first, first + 1e-6) == 1.0
    assert summary.paired_p_value(first, first + 0.2) < 0.001
    noise = 0.2 * generator.standard_normal(200)
    assert summary.paired_p_value(first, first + noise - noise.mean() * 0.9) > 0.2


def test_groups_without_a_way_to_go_have_no_closure() -> None:
    distances = dict.fromkeys(rows.COLUMNS, 0.0)
    switches = dict.fromkeys(settings.ESTIMATED, False)
    item = ItemResult("speech", switches, dict.fromkeys(("input", "oracle"), distances), {})
    figures = summary.summarize(ItemResults("P1", 0, ("input", "oracle"), [item] * 2, []))
    assert figures["rows"]["oracle"]["closure"] is None
    assert figures["final"] is None
