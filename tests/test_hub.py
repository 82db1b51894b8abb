"""Weights are found or missed with one clear sentence, and have to fit exactly."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import numpy as np
import pytest
import torch
from huggingface_hub import errors

from afxvae import default_chain, hub
from afxvae.models import storage
from afxvae.types import WeightsError

CHAIN = default_chain().to_dict()


def state() -> dict[str, torch.Tensor]:
    return {"a.weight": torch.arange(6.0).reshape(2, 3), "b": torch.tensor(1.5).half()}


def folder(path: Path, **config: object) -> Path:
    path.mkdir()
    values = {"name": "afxvae-test", "sha256": "c0ffee", **config}
    (path / "config.json").write_text(json.dumps(values), encoding="utf-8")
    (path / "model.safetensors").write_bytes(b"weights")
    return path


def test_the_checksum_depends_on_names_shapes_types_and_values_alone() -> None:
    checksum = storage.weights_checksum(state())
    assert len(checksum) == 64
    assert storage.weights_checksum(dict(reversed(state().items()))) == checksum
    assert storage.weights_checksum({n: t.numpy() for n, t in state().items()}) == checksum
    strided = {**state(), "a.weight": state()["a.weight"].T.contiguous().T}
    assert storage.weights_checksum(strided) == checksum
    changes = [
        {"a.weight": state()["a.weight"] + 1e-6},
        {"a.weight": state()["a.weight"].reshape(3, 2)},
        {"a.weight": state()["a.weight"].double()},
        {"c": torch.zeros(1)},
    ]
    others = {storage.weights_checksum({**state(), **change}) for change in changes}
    assert len(others | {checksum}) == 5


def test_a_state_that_fits_passes_in_tensors_arrays_or_shapes() -> None:
    storage.check_state(state(), state())
    storage.check_state({"a.weight": (2, 3), "b": ()}, state())
    storage.check_state({"x": [4]}, {"x": np.zeros(4)})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"b": None}, "The weights do not fit the model: missing b."),
        ({"c": torch.zeros(1)}, "The weights do not fit the model: left over c."),
        (
            {"a.weight": torch.zeros(3, 2)},
            "The weights do not fit the model: a.weight has the shape (3, 2) instead of (2, 3).",
        ),
        (
            {"b": None, "c": torch.zeros(1)},
            "The weights do not fit the model: missing b; left over c.",
        ),
    ],
)
def test_a_state_that_does_not_fit_is_named(change: dict, message: str) -> None:
    found = {name: tensor for name, tensor in {**state(), **change}.items() if tensor is not None}
    with pytest.raises(WeightsError) as caught:
        storage.check_state(state(), found)
    assert str(caught.value) == message
    assert caught.value.exit_code == 4


def test_many_missing_tensors_are_counted() -> None:
    with pytest.raises(WeightsError, match="missing t0, t1, t2, t3, t4, t5, and 4 more"):
        storage.check_state({f"t{index}": (1,) for index in range(10)}, {})


def test_the_same_chain_passes_and_help_may_differ() -> None:
    stored = json.loads(json.dumps(CHAIN))
    stored[0]["params"][0]["help"] = "Other words."
    storage.check_chain(stored, CHAIN)


def changed_chain(effect: int, param: int, **changes: object) -> list:
    stored = copy.deepcopy(CHAIN)
    stored[effect]["params"][param].update(changes)
    return stored


def test_a_chain_with_other_ranges_is_refused_and_its_rows_shown() -> None:
    stored = changed_chain(1, 1, maximum=10.0)
    stored[6]["params"][0]["scale"] = "log"
    with pytest.raises(WeightsError) as caught:
        storage.check_chain(stored, CHAIN)
    assert str(caught.value) == (
        "The weights were trained with other knobs: compressor.ratio maximum 10.0 (here 20.0); "
        "width.width scale 'log' (here 'linear')."
    )


def test_a_chain_with_other_knobs_is_refused() -> None:
    with pytest.raises(
        WeightsError, match=r"compressor\.pull is not known here; .*ratio is not kn"
    ):
        storage.check_chain(changed_chain(1, 1, name="pull"), CHAIN)
    with pytest.raises(WeightsError, match=r"gain\.gain_db is not known to them"):
        storage.check_chain(CHAIN[:-1], CHAIN)
    with pytest.raises(WeightsError, match="their order is gain"):
        storage.check_chain(CHAIN[::-1], CHAIN)
    for broken in (None, [3], [{"name": "eq"}], {"eq": 1}):
        with pytest.raises(WeightsError, match="no valid chain"):
            storage.check_chain(broken, CHAIN)  # type: ignore[arg-type]


def test_a_folder_on_disk_is_taken(tmp_path: Path) -> None:
    there = folder(tmp_path / "model")
    assert storage.resolve_folder(there) == there
    assert storage.resolve_folder(str(there)) == there


def test_the_bundled_folder_is_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "BUNDLED_FOLDER", folder(tmp_path / "weights"))
    assert storage.resolve_folder() == tmp_path / "weights"
    (tmp_path / "weights" / "model.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"The bundled model has no model\.safetensors\."):
        storage.resolve_folder()


def test_a_folder_without_its_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"has no config\.json and no model\.safetensors"):
        storage.resolve_folder(tmp_path)


@pytest.mark.parametrize("name", ["nowhere", "/no/such/folder", "./a/b", "a/b/c", "-x/..//y"])
def test_what_is_neither_folder_nor_name_is_refused_without_asking_the_hub(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub, "snapshot_download", None)
    with pytest.raises(WeightsError, match="it is no owner/name on the Hugging Face Hub"):
        storage.resolve_folder(name)


def test_a_model_of_the_hub_is_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {}

    def download(name: str, **options: object) -> str:
        asked.update(options, name=name)
        return str(folder(tmp_path / "snapshot"))

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    found = storage.resolve_folder("owner/name", revision="v1", local_files_only=True)
    assert found == tmp_path / "snapshot"
    assert asked == {
        "name": "owner/name",
        "revision": "v1",
        "local_files_only": True,
        "allow_patterns": ["config.json", "model.safetensors", "README.md"],
    }


ANSWER = SimpleNamespace(headers={}, request=None)
FAILURES = {
    "no such model": (
        errors.RepositoryNotFoundError("404", response=ANSWER),
        "There is no model folder owner/name and no model owner/name on the Hugging Face Hub",
    ),
    "no such revision": (errors.RevisionNotFoundError("404", response=ANSWER), "but not at v9"),
    "not cached, offline": (errors.LocalEntryNotFoundError("x"), "no network, and not cached"),
    "offline mode": (errors.OfflineModeIsEnabled("Offline.\nReally"), "cannot be fetched: Offline"),
    "no connection": (ConnectionError("refused"), "cannot be fetched: refused"),
    "a silent error": (TimeoutError(), "cannot be fetched: TimeoutError"),
}


@pytest.mark.parametrize(("error", "message"), FAILURES.values(), ids=FAILURES)
def test_what_cannot_be_fetched_is_said_in_one_sentence(
    error: Exception, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(name: str, **options: object) -> str:
        raise error

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    with pytest.raises(WeightsError, match=message) as caught:
        storage.resolve_folder("owner/name", revision="v9")
    assert "owner/name" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_not_cached_is_not_looked_for_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(WeightsError, match="it is not in the cache"):
        storage.resolve_folder("owner/name", local_files_only=True)


def test_a_configuration_is_read_or_refused(tmp_path: Path) -> None:
    there = folder(tmp_path / "model")
    assert storage.read_config(there)["name"] == "afxvae-test"
    (there / "config.json").write_text("{", encoding="utf-8")
    with pytest.raises(WeightsError, match="it is not JSON"):
        storage.read_config(there)
    (there / "config.json").write_text("[]", encoding="utf-8")
    with pytest.raises(WeightsError, match="it is not a JSON object"):
        storage.read_config(there)
    (there / "config.json").unlink()
    with pytest.raises(WeightsError, match="cannot be read"):
        storage.read_config(there)


def test_a_model_says_what_it_is_without_being_loaded(tmp_path: Path) -> None:
    there = folder(tmp_path / "model", version="1.2.3", licence="CC0-1.0")
    assert hub.model_info(there) == hub.ModelInfo(
        "afxvae-test", "1.2.3", "c0ffee", len(b"weights"), "CC0-1.0", there
    )
    with pytest.raises(WeightsError, match="no name or no sha256"):
        hub.model_info(folder(tmp_path / "other", sha256=None))


def test_a_card_names_sources_results_and_the_checksum() -> None:
    card = hub.model_card(
        identifier="afxvae-test",
        version="0.1.0",
        checksum="c0ffee",
        parameters=1234567,
        sources=[("some-voices", "CC0-1.0", "speech, 3 h")],
        results="| row | closure |\n|---|---|\n| ours | .50 |",
        training="For an hour.",
    )
    assert card.startswith("---\nlicense: apache-2.0\n")
    for text in (
        "# afxvae-test",
        "1,234,567 parameters, checksum `c0ffee`",
        "| some-voices | CC0-1.0 | speech, 3 h |",
        "## Evaluation\n\n| row | closure |",
        "For an hour.",
    ):
        assert text in card
    bare = hub.model_card(identifier="x", version="1", checksum="y", parameters=1)
    assert "## Evaluation" not in bare
    assert "| source |" not in bare
