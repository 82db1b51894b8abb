"""Probes find what is linear in features, and no more."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from afxvae.data.corpus import Recording, load_manifest
from afxvae.effects import default_chain
from afxvae.evaluation import report
from afxvae.evaluation.linear import (
    LinearProbe,
    accuracy_interval,
    principal_components,
    random_projection,
)
from afxvae.evaluation.probe_tables import probes_markdown
from afxvae.evaluation.probes import (
    ALL_SAID,
    TASKS,
    Clips,
    gather_clips,
    probe,
    run_probes,
)
from afxvae.evaluation.styles import STYLES, style_treatments
from afxvae.types import UsageError
from tests.sounds import recording, untrained

CHAIN = default_chain()


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_what_a_line_divides_is_classified_and_noise_is_not() -> None:
    x = torch.randn(600, 5, generator=generator())
    labels = (x[:, 0] > 0).long() + (x[:, 1] > 0.3).long()
    probe = LinearProbe(x[:300], labels[:300])
    assert float((probe.predict(x[300:]) == labels[300:]).double().mean()) > 0.8
    divided = (x[:, 0] - 2 * x[:, 1] > 0.1).long()
    probe = LinearProbe(x[:300], divided[:300])
    assert float((probe.predict(x[300:]) == divided[300:]).double().mean()) > 0.98
    noise = torch.randint(4, (600,), generator=generator(1))
    probe = LinearProbe(x[:300], noise[:300], torch.arange(300) % 7)
    assert float((probe.predict(x[300:]) == noise[300:]).double().mean()) == pytest.approx(
        0.25, abs=0.08
    )


def test_a_probe_is_the_same_each_time_and_whatever_the_scale() -> None:
    x = torch.randn(200, 3, generator=generator())
    labels = (x.sum(1) > 0).long()
    first, again = (LinearProbe(x, labels) for _ in range(2))
    assert torch.equal(first.weight, again.weight)
    scaled = LinearProbe(1e3 * x + 7, labels)
    torch.testing.assert_close(scaled.weight, first.weight, rtol=1e-3, atol=1e-3)
    with pytest.raises(UsageError, match="label for each row"):
        LinearProbe(x, labels[:-1])


def test_interval_is_of_groups_that_are_drawn_together() -> None:
    right = torch.arange(400) % 10 > 0
    low, high = accuracy_interval(right, torch.arange(400))
    assert low < 0.9 < high
    assert high - low == pytest.approx(2 * 1.96 * (0.09 / 400) ** 0.5, rel=0.15)
    wide = accuracy_interval(right.sort().values, torch.arange(400) // 40)
    assert wide[1] - wide[0] > 2 * (high - low)
    assert accuracy_interval(torch.ones(8).bool(), torch.arange(8)) == (1.0, 1.0)


def test_principal_components_are_those_of_the_singular_values() -> None:
    x = torch.randn(12, 40, generator=generator(), dtype=torch.float64)
    mean, directions = principal_components(x, 4)
    torch.testing.assert_close(mean, x.mean(0))
    torch.testing.assert_close(directions.mT @ directions, torch.eye(4, dtype=x.dtype))
    _, _, wanted = np.linalg.svd((x - mean).numpy(), full_matrices=False)
    agreement = (directions.mT.numpy() * wanted[:4]).sum(1)
    np.testing.assert_allclose(np.abs(agreement), 1, atol=1e-9)
    assert principal_components(x, 99)[1].shape[1] == 11  # of 12 centred items
    assert torch.equal(random_projection(6, 3), random_projection(6, 3))


def test_styles_differ_as_their_names_say() -> None:
    controls, switches = style_treatments(CHAIN, generator(3))
    settings = CHAIN.to_settings(controls)
    names = list(STYLES)
    low, high = (settings["eq"][f"{band}_shelf_gain_db"] for band in ("low", "high"))
    bright, warm = names.index("bright"), names.index("warm")
    assert low[bright] < -11 < 11 < high[bright]
    assert high[warm] < -11 < 11 < low[warm]
    for row, ranges in enumerate(STYLES.values()):
        on = {
            name for name, state in zip(CHAIN.names, switches[row].tolist(), strict=True) if state
        }
        assert on == {effect for effect, _ in ranges}
        for (effect, knob), (least, most) in ranges.items():
            param = next(p for e, p in CHAIN.knobs if (e, p.name) == (effect, knob))
            assert param.minimum <= least < most <= param.maximum
            assert least - 1e-3 <= float(settings[effect][knob][row]) <= most * (1 + 1e-5) + 1e-3


def clips(count: int, seed: int) -> Clips:
    """Of an encoder that tells classes apart, and pictures that do not."""
    noise = generator(seed)

    def features(size: int, of_class: float, more: int = 0) -> dict[str, torch.Tensor]:
        made = {}
        for task, names in TASKS.items():
            classes = torch.eye(len(names), size)[:, :size] * of_class
            x = torch.randn(count, len(names) + more, size, generator=noise)
            x[:, more:] += classes
            made[task] = x
        return made

    change = {task: torch.rand(count, len(names), generator=noise) for task, names in TASKS.items()}
    return Clips(torch.arange(count) % 5, features(16, 40.0), features(12, 40.0), features(6, 40.0),
                 features(20, 40.0), features(128, 0.0, 1), features(64, 0.0, 1),
                 change)  # fmt: skip


def test_a_good_embedding_beats_pictures_that_say_nothing() -> None:
    for task, names in TASKS.items():
        found = probe(clips(30, 0), clips(20, 1), task)
        assert found["style embedding"]["accuracy"] == 1.0
        assert found["both: difference embedding"]["interval"] == [1.0, 1.0]
        assert found[ALL_SAID]["accuracy"] == 1.0
        assert found["random mel projection"]["dimensions"] == 16
        assert found["both: PCA of the spectrogram"]["dimensions"] == 12
        for row in ("random mel projection", "PCA of the spectrogram"):
            assert found[row]["accuracy"] < 2.5 / len(names)
        assert set(found["style embedding"]["by_class"]) == set(names)


def test_accuracies_are_told_by_how_far_clips_were_changed() -> None:
    learn, test = clips(30, 0), clips(20, 1)
    for task in TASKS:
        softest = test.change[task].argsort(0)[:5]  # what is hardly changed is like anything
        place = softest.unsqueeze(2).expand(-1, -1, 20)
        lost = test.treatment[task].scatter(0, place, 0.0)
        faint = dataclasses.replace(test, treatment={**test.treatment, task: lost})
        least, *more = probe(learn, faint, task)[ALL_SAID]["by_change"].values()
        assert least < 2.5 / len(TASKS[task])
        assert more == [1.0, 1.0, 1.0]


def test_quarters_have_a_table_of_their_own() -> None:
    learn, test = clips(30, 0), clips(20, 1)
    speech = {"crops": 20, "groups": 5, **{task: probe(learn, test, task) for task in TASKS}}
    text = probes_markdown({"split": "valid", "seed": 0, "domains": {"speech": speech}})
    assert "|  | least | second | third | most |" in text
    assert "| 6 effects, speech | 100.0 % | 100.0 % | 100.0 % | 100.0 % |" in text


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> list[Recording]:
    folder: Path = tmp_path_factory.mktemp("recordings")
    return [recording(folder, 2 * n + m, kind, f"g{n}{m}", split) for n, (kind, split) in enumerate(
            (k, s) for k in ("speech", "guitar") for s in ("train", "valid")) for m in (0, 1)]  # type: ignore[arg-type]  # fmt: skip


def test_probes_run_and_are_the_same_each_time(recordings: list[Recording]) -> None:
    model = untrained()
    said: list[str] = []
    first = run_probes(model, recordings, "valid", 1, 0, said.append)
    assert run_probes(model, recordings, "valid", 1, 0, workers=2) == first
    own = [r for r in recordings if (r.split, r.kind) == ("valid", "guitar")]
    one, again = (gather_clips(model, own, 1, [0, 1, 1]) for _ in range(2))
    assert torch.equal(one.difference["effects"], again.difference["effects"])
    assert torch.equal(one.picture["styles"], again.picture["styles"])
    assert said[0] == "P5: 2 crops of speech, train"
    assert set(first["domains"]) == {"speech", "music"}
    assert first["domains"]["music"]["crops"] == 1
    text = probes_markdown(first)
    assert "| least |" not in text  # of one crop there are no quarters
    accuracy = first["domains"]["music"]["styles"]["style embedding"]
    low, high = (f"{100 * end:.1f}" for end in accuracy["interval"])
    assert f"{100 * accuracy['accuracy']:.1f} % ({low} to {high}) |\n" in text
    assert "| both: difference embedding | 64 |" in text
    assert "| style embedding | 256 |" in text
    with pytest.raises(UsageError, match="test split has no speech"):
        run_probes(model, recordings, "test", 2)


def test_a_split_that_lacks_something_is_refused_before_any_item(
    recordings: list[Recording], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = recordings[0].path.parent
    lines = [json.dumps({**vars(r), "path": r.path.name}) for r in recordings
             if (r.split, r.kind) != ("valid", "speech")]  # fmt: skip
    manifest = folder / "lacking.jsonl"
    manifest.write_text("\n".join(lines), encoding="utf-8")
    read: list[Path] = []

    def counted(path: Path) -> list[Recording]:
        read.append(path)
        return load_manifest(path)

    monkeypatch.setattr(report, "load_manifest", counted)
    said: list[str] = []
    with pytest.raises(UsageError, match="valid split has no speech"):
        report.run(untrained(), manifest, tmp_path / "out", items=1, protocols=("P1", "P5"),
                   workers=1, rows=("oracle",), split="valid", log=said.append)  # fmt: skip
    assert said == []
    assert read == [manifest]
    assert not (tmp_path / "out").exists()
