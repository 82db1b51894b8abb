"""What the model believed is kept, and proved or disproved from what was kept."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from afxvae.data.corpus import Recording
from afxvae.data.treatments import knob_range
from afxvae.effects import default_chain
from afxvae.evaluation import proofs, report
from afxvae.evaluation.evidence import SAMPLES, SHIFTS, knobs_that_matter
from afxvae.evaluation.items import ItemResult, ItemResults
from afxvae.evaluation.proof_tables import proofs_markdown
from afxvae.evaluation.proofs import item_lines, knobs_of, prove, read_items, write_proofs
from afxvae.evaluation.protocols import evaluate_items
from afxvae.models.estimate import ESTIMATED
from afxvae.posterior import HOW, Knob
from afxvae.types import UsageError
from tests.sounds import recording, untrained

CHAIN = default_chain()
FINAL = "ours (normal)"
PARAMS = {f"{effect}.{param.name}": (effect, param) for effect, param in CHAIN.knobs}


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> list[Recording]:
    folder = tmp_path_factory.mktemp("recordings")
    return [recording(folder, seed) for seed in (0, 1)]


@pytest.fixture(scope="module")
def results(recordings: list[Recording]) -> ItemResults:
    rows = ("ours (fast)", FINAL)
    return evaluate_items(untrained(0.5), recordings, "P1", 3, seed=4, rows=rows, untouched=1)


def test_evidence_is_of_the_last_row_and_agrees_with_it(results: ItemResults) -> None:
    for item in results.items:
        assert item.verdicts["ours (fast)"].evidence is None
        verdict = item.verdicts[FINAL]
        found = verdict.evidence
        assert found is not None
        assert len(found.distances) == len(found.untouched) == len(SHIFTS)
        now = SHIFTS.index(0.0)
        assert found.distances[now] == item.distances[FINAL]["mr_stft"]
        assert found.untouched[now] == verdict.left_alone
        for idle, distance in zip(found.untouched, found.distances, strict=True):
            if idle:
                assert distance == pytest.approx(item.distances["input"]["mr_stft"], abs=1e-3)
        if not (verdict.switches["eq"] or any(knob.how == "measured" for knob in found.knobs)):
            # a critic that expects only harm of everything leaves everything alone
            assert found.untouched[-1]
        assert set(found.probability) == set(ESTIMATED)
        for knob in found.knobs:
            assert item.switches[knob.effect]
            assert verdict.switches[knob.effect]
            assert 0 <= knob.true <= 1
            assert 0 <= knob.estimate <= 1
            assert (knob.below is None) == (knob.how == "measured")
            if knob.below is not None:
                count = 2 * SAMPLES * knob.below
                assert count == pytest.approx(round(count), abs=1e-4)
    assert all(item.verdicts[FINAL].evidence is None for item in results.untouched)


def test_a_results_folder_proves_itself(recordings: list[Recording], tmp_path: Path) -> None:
    lines = [json.dumps({**vars(r), "path": r.path.name}) for r in recordings]
    manifest = recordings[0].path.with_name("list.jsonl")
    manifest.write_text("\n".join(lines), encoding="utf-8")
    report.run(untrained(0.5), manifest, tmp_path, items=2, workers=1, untouched=0, rows=(FINAL,))
    kept = read_items(tmp_path)
    assert [(line["protocol"], line["item"]) for line in kept] == [
        ("P1", 0), ("P1", 1), ("P2", 0), ("P2", 1)
    ]  # fmt: skip
    written = json.loads((tmp_path / "proofs.json").read_text(encoding="utf-8"))
    assert set(written) == {"P1", "P2"}
    text = (tmp_path / "proofs.md").read_text(encoding="utf-8")
    (tmp_path / "proofs.md").unlink()
    assert write_proofs(tmp_path) == written
    assert (tmp_path / "proofs.md").read_text(encoding="utf-8") == text


def line(rng: np.random.Generator, spreads: dict[str, Any]) -> dict[str, Any]:
    """An item of a model that knows how much it does not know."""
    odds = {effect: float(rng.random()) for effect in ESTIMATED}
    on = {effect: bool(rng.random() < p) for effect, p in odds.items()}
    knobs = []
    for name, (effect, param) in PARAMS.items():
        if effect in ESTIMATED and on[effect]:
            low, high = knob_range(effect, param)
            estimate = float(rng.uniform(low, high))
            *_, spread, doubt = spreads["estimated"][name]
            true = -1.0
            while not low <= true <= high:
                true = float(rng.laplace(estimate, spread))
            if rng.random() < doubt:
                true = float(rng.uniform(low, high))
            below = round(SAMPLES * rng.random()) / SAMPLES
            knobs.append(vars(Knob(effect, param.name, "estimated", true, estimate, below)))
    doubt, expected = 0.1, 0.4
    after = 1.0 - float(rng.laplace(expected, doubt))
    return {
        "protocol": "P1", "item": 0, "row": FINAL, "before": 1.0, "after": after, "on": on,
        "found": on, "probability": odds, "expected": expected, "doubt": doubt, "knobs": knobs,
        "distances": [after if shift < 4 else 1.0 for shift in SHIFTS],
        "untouched": [shift >= 4 for shift in SHIFTS],
        "errors": {"eq_curve_db": [1.0, 2.0]},
    }  # fmt: skip


@pytest.fixture(scope="module")
def honest() -> tuple[list[dict[str, Any]], dict[str, Any]]:
    spreads: dict[str, Any] = {how: {} for how in HOW}
    spreads["estimated"] = dict.fromkeys(PARAMS, (0.0, 1.0, 0.1, 0.1))
    rng = np.random.default_rng(0)
    return [line(rng, spreads) for _ in range(120)], spreads


def test_a_model_that_knows_what_it_does_not_know_is_calibrated(honest) -> None:
    lines, spreads = honest
    proof = prove(lines, spreads)["P1"]
    assert proof["switches"]["all"]["ece"] < 0.06
    knobs = proof["knobs"]
    assert set(knobs) == {name for name, (effect, _) in PARAMS.items() if effect in ESTIMATED}
    assert min(knob["calibrated"]["p"] for knob in knobs.values()) > 0.05 / len(knobs)
    assert proof["critic"]["place"]["p"] > 0.01
    assert proof["critic"]["harmed"] == pytest.approx(proof["critic"]["harm_expected"], abs=0.03)
    assert proof["gate"][0]["left_alone"] == 0
    assert proof["gate"][-1] == {"shift": SHIFTS[-1], "left_alone": 1, "worse": 0, "closure": 0}
    assert proof["settings"]["eq_curve_db"]["found"] == [1.0] * 21
    assert proof["settings"]["rt60_ratio"]["items"] == 0


def test_one_that_is_too_sure_is_caught_and_named(honest) -> None:
    lines, spreads = honest
    sure = {**spreads, "estimated": dict.fromkeys(PARAMS, (0, 1, 0.02, 0.0))}
    proved = prove(lines, sure)
    assert proved["P1"]["knobs"]["eq.low_cut_hz"]["calibrated"]["p"] < 1e-6
    text = proofs_markdown(proved)
    assert "are not calibrated" in text
    assert "lie too close together" not in text
    assert ": eq.low_cut_hz, eq.low_shelf_hz" in text
    tables = [row for row in text.splitlines() if row.startswith("|")]
    assert all(row.endswith("|") for row in tables)


@pytest.mark.parametrize(
    ("within", "says"),
    [
        ((0.5, 0.6), "2 of 2: they lie too close together."),
        ((0.5, 0.9), "2 of 2: of these, those of 1 lie too close together."),
        ((0.9, 0.9), "for 2 of 2. Within"),
    ],
)
def test_only_samples_that_miss_the_truth_lie_too_close(
    honest, within: tuple[float, ...], says: str
) -> None:
    proof = prove(*honest)["P1"]
    names = ("delay.mix", "reverb.mix")
    proof["knobs"] = {
        name: {**proof["knobs"][name], "latent": {"p": 0.0, "within": {"0.8": share}}}
        for name, share in zip(names, within, strict=True)
    }
    assert says in proofs_markdown({"P1": proof})


def test_spreads_of_other_weights_are_ignored(
    honest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines, spreads = honest
    fitted = {**spreads, "checksum": "a" * 64}
    monkeypatch.setattr(proofs, "read_spreads", lambda: fitted)
    items = "".join(json.dumps(item) + "\n" for item in lines)
    (tmp_path / "items.jsonl").write_text(items, encoding="utf-8")
    with pytest.raises(UsageError, match=r"evaluation\.json cannot be read"):
        write_proofs(tmp_path)

    def written(checksum: str) -> tuple[dict[str, Any], str]:
        text = json.dumps({"model": {"checksum": checksum}})
        (tmp_path / "evaluation.json").write_text(text, encoding="utf-8")
        return write_proofs(tmp_path), (tmp_path / "proofs.md").read_text(encoding="utf-8")

    own, quiet = written("a" * 64)
    other, said = written("b" * 64)
    assert quiet.startswith("### P1")
    assert said.startswith("The fitted spreads of the knobs are of other weights")
    assert "`aaaaaaaaaaaaaaaa`, not `bbbbbbbbbbbbbbbb`" in said
    place = [found["P1"]["knobs"]["eq.low_cut_hz"]["calibrated"] for found in (own, other)]
    nothing: dict[str, Any] = {how: {} for how in HOW}
    bare = prove(lines, nothing)["P1"]["knobs"]["eq.low_cut_hz"]["calibrated"]
    assert place[1]["largest"] == pytest.approx(bare["largest"], abs=1e-5)
    assert place[0]["largest"] != place[1]["largest"]


def test_pictures_are_drawn(honest, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from afxvae.figures.proofs import draw_proofs

    proved = prove(honest[0], honest[1])
    drawn = draw_proofs({**proved, "P2": proved["P1"]}, tmp_path / "new")
    assert [path.name for path in drawn] == [
        "switches.png", "gate.png", "settings.png", "knobs-P1.png", "knobs-P2.png"
    ]  # fmt: skip
    for path in drawn:
        assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_knobs_of_which_nothing_is_heard_are_left_out() -> None:
    controls = CHAIN.default_controls()
    place = {name: index for index, name in enumerate(PARAMS)}
    named = [f"{effect}.{param.name}" for effect, param in CHAIN.knobs]

    def heard(effect: str) -> list[str]:
        return [named[index] for index in knobs_that_matter(CHAIN, effect, controls)]

    assert heard("eq") == []
    controls[place["eq.peak2_gain_db"]] = 0.9
    assert heard("eq") == ["eq.peak2_hz", "eq.peak2_gain_db", "eq.peak2_q"]
    controls[place["eq.high_cut_hz"]] = 0.5
    assert heard("eq")[-1] == "eq.high_cut_hz"
    assert "compressor.makeup_db" not in heard("compressor")
    assert "compressor.attack_ms" in heard("compressor")
    assert heard("delay") == ["delay.time_ms", "delay.feedback"]


def test_lines_are_of_items_with_evidence_and_say_when_there_are_none(tmp_path: Path) -> None:
    bare = ItemResult("speech", dict.fromkeys(ESTIMATED, False), {"input": {"mr_stft": 1.0}}, {})
    assert item_lines(ItemResults("P1", 0, ("input",), [bare], [])) == []
    with pytest.raises(UsageError, match="no items"):
        prove([])
    with pytest.raises(UsageError, match=r"no .*items\.jsonl"):
        read_items(tmp_path)
    (tmp_path / "items.jsonl").write_text("{", encoding="utf-8")
    with pytest.raises(UsageError, match="cannot be read"):
        read_items(tmp_path)
    knob = Knob("eq", "low_cut_hz", "estimated", 0.1, 0.2, 0.5)
    assert knobs_of([{"knobs": [dataclasses.asdict(knob)]}]) == [knob]
