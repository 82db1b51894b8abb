"""Weights come back as they were saved, or not at all; and the whole way from clip to treatment."""

from __future__ import annotations

import copy
import json
import operator
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from afxvae.dsp.features import CLIP_SAMPLES, SAMPLE_RATE
from afxvae.models.storage import BUNDLED_FOLDER, pack, read_config, unpack
from afxvae.models.style_vae import AFXStyleVAE
from afxvae.types import AudioError, UsageError, WeightsError
from tests.sounds import sound, untrained

MOST_BYTES = 12_000_000


@pytest.fixture(scope="module")
def model() -> AFXStyleVAE:
    made = untrained()
    made.critic.margin.fill_(0.7)
    return made


@pytest.fixture(scope="module")
def saved(model: AFXStyleVAE, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    model.save_pretrained(folder)
    return folder


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    """A copy of the saved model to be damaged."""
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((saved / name).read_bytes())
    return tmp_path


@pytest.fixture(scope="module")
def clips() -> tuple[torch.Tensor, torch.Tensor]:
    seconds = CLIP_SAMPLES / SAMPLE_RATE + 0.1
    first, second = (sound(seed, seconds)[:, :CLIP_SAMPLES] for seed in (1, 2))
    return first, second.clamp(-0.05, 0.05)


@torch.no_grad()
def outputs(model: AFXStyleVAE, clips: tuple[torch.Tensor, torch.Tensor]) -> list[torch.Tensor]:
    decoded, posterior = model(*clips)
    estimate = decoded.estimate
    return [
        decoded.difference,
        estimate.controls,
        estimate.logits,
        posterior.mean,
        posterior.log_var,
        model.critic.margin,
    ]


def test_what_was_saved_gives_nearly_the_same(
    model: AFXStyleVAE, saved: Path, clips: tuple[torch.Tensor, torch.Tensor]
) -> None:
    packed = copy.deepcopy(model)
    packed.load_state_dict(unpack(pack(model.state_dict())))
    loaded = AFXStyleVAE.from_pretrained(saved)
    assert not loaded.training
    assert loaded.identifier == model.identifier
    found = outputs(loaded, clips)
    for mine, theirs in zip(found, outputs(packed, clips), strict=True):
        assert mine.dtype == torch.float32
        assert torch.equal(mine, theirs)
    for mine, original in zip(found, outputs(model, clips), strict=True):
        torch.testing.assert_close(mine, original, atol=0.02, rtol=0.02)


def test_saving_what_was_loaded_changes_nothing(saved: Path, tmp_path: Path) -> None:
    AFXStyleVAE.from_pretrained(saved).save_pretrained(tmp_path)
    for name in ("config.json", "model.safetensors"):
        assert (tmp_path / name).read_bytes() == (saved / name).read_bytes()


def test_a_folder_holds_configuration_weights_and_card(saved: Path) -> None:
    assert {path.name for path in saved.iterdir()} == {
        "config.json",
        "model.safetensors",
        "README.md",
    }
    assert (saved / "model.safetensors").stat().st_size < MOST_BYTES
    state = load_file(saved / "model.safetensors")
    assert {value.dtype for value in state.values()} == {torch.float16, torch.int8}


def test_weights_are_packed_to_within_half_a_step(model: AFXStyleVAE) -> None:
    state = model.state_dict()
    packed = pack(state)
    found = unpack(packed)
    assert found.keys() == state.keys()
    for name, value in state.items():
        assert found[name].shape == value.shape
        if packed[name].dtype == torch.int8:
            step = value.flatten(1).abs().amax(1) / 127.0
            error = (found[name] - value).flatten(1).abs().amax(1)
            assert bool((error <= 0.51 * step).all())
        else:
            torch.testing.assert_close(found[name], value, atol=1e-4, rtol=1e-3)
    again = pack(found)
    assert all(torch.equal(again[name], value) for name, value in packed.items())


def test_the_checksum_is_stable(model: AFXStyleVAE, saved: Path) -> None:
    checksum = model.checksum
    assert checksum == read_config(saved)["sha256"]
    assert checksum == AFXStyleVAE.from_pretrained(saved).checksum
    other = copy.deepcopy(model)
    assert other.checksum == checksum
    weight = other.comparator.layers[0].weight
    with torch.no_grad():
        weight[0, 0] += 0.1
    assert other.checksum != checksum


# what does not fit is refused


def change_state(folder: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> None:
    state = load_file(folder / "model.safetensors")
    change(state)
    save_file(state, folder / "model.safetensors")


def change_config(folder: Path, change: Callable[[dict], None]) -> None:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    change(config)
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")


def refused(folder: Path, match: str) -> None:
    with pytest.raises(WeightsError, match=match) as caught:
        AFXStyleVAE.from_pretrained(folder)
    assert caught.value.exit_code == 4
    assert "\n" not in str(caught.value)


def test_a_missing_tensor_is_refused(folder: Path) -> None:
    change_state(folder, lambda state: operator.delitem(state, "encoder.direct.bias"))
    refused(folder, r"missing encoder\.direct\.bias\.")


def test_packed_weights_without_their_steps_are_refused(folder: Path) -> None:
    change_state(folder, lambda state: operator.delitem(state, "encoder.direct.weight_step"))
    refused(folder, r"encoder\.direct\.weight has no steps\.")


def test_a_tensor_left_over_is_refused(folder: Path) -> None:
    change_state(folder, lambda state: state.update({"vae.more": torch.zeros(1).half()}))
    refused(folder, r"left over vae\.more\.")


def test_a_tensor_of_another_shape_is_refused(folder: Path) -> None:
    change_state(folder, lambda state: state.update({"critic.margin": torch.zeros(2).half()}))
    refused(folder, r"critic\.margin has the shape \(2,\) instead of \(\)")


def test_an_altered_tensor_is_refused(folder: Path) -> None:
    def alter(state: dict[str, torch.Tensor]) -> None:
        state["encoder.direct.bias"][3] += 0.25

    change_state(folder, alter)
    refused(folder, "have been altered: their checksum is")


def test_a_tensor_in_another_precision_is_refused(folder: Path) -> None:
    name = "encoder.direct.bias"
    change_state(folder, lambda state: state.update({name: state[name].float()}))
    refused(folder, "have been altered")


def test_a_changed_range_is_refused_and_shown(folder: Path) -> None:
    def widen(config: dict) -> None:
        (delay,) = (effect for effect in config["chain"] if effect["name"] == "delay")
        delay["params"][0]["maximum"] = 2000.0

    change_config(folder, widen)
    refused(folder, r"delay\.time_ms maximum 2000\.0 \(here 1000\.0\)")


@pytest.mark.parametrize("key", ["sha256", "chain", "name", "statistics", "latent_dim"])
def test_a_configuration_without_a_key_is_refused(folder: Path, key: str) -> None:
    change_config(folder, lambda config: operator.delitem(config, key))
    refused(folder, f"damaged: it has no '{key}'")


@pytest.mark.parametrize(
    ("key", "value", "match"),
    [
        ("chain", None, "no valid chain"),
        ("statistics", "many", "cannot be read"),
        ("latent_dim", None, "cannot be read"),
        ("latent_dim", 4, "The weights do not fit the model"),
        ("sha256", None, "have been altered"),
    ],
)
def test_a_configuration_with_a_wrong_value_is_refused(
    folder: Path, key: str, value: object, match: str
) -> None:
    change_config(folder, lambda config: config.update({key: value}))
    refused(folder, match)


@pytest.mark.parametrize("size", [0, 5, 1000, -20])
def test_damaged_safetensors_are_refused(folder: Path, size: int) -> None:
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[:size])
    refused(folder, "cannot be read")


@pytest.mark.parametrize("text", ["", "{", "[]", "3"])
def test_a_damaged_configuration_is_refused(folder: Path, text: str) -> None:
    (folder / "config.json").write_text(text, encoding="utf-8")
    refused(folder, "is damaged")


# the public doors


@pytest.mark.parametrize("shape", [(), (1, 2, 3000), (1, 1, 1, 3000)])
def test_audio_of_another_shape_is_a_usage_error(
    model: AFXStyleVAE, shape: tuple[int, ...]
) -> None:
    with pytest.raises(UsageError, match=r"audio must have the shape \(channel, time\)"):
        model.embed(torch.ones(shape), SAMPLE_RATE)


def test_what_cannot_be_heard_is_not_embedded(model: AFXStyleVAE) -> None:
    for audio, match in (
        (torch.zeros(1, SAMPLE_RATE), "silent"),
        (torch.full((2, SAMPLE_RATE), torch.nan), "not finite"),
        (torch.ones(1, 100), "too short"),
    ):
        with pytest.raises(AudioError, match=match):
            model.embed(audio, SAMPLE_RATE)


@torch.no_grad()
def test_rendering_at_the_defaults_is_the_identity(model: AFXStyleVAE) -> None:
    audio = sound(3, 1.0, channels=2).unsqueeze(0)
    controls = model.chain.default_controls().unsqueeze(0)
    switches = torch.ones(1, len(model.chain.effects), dtype=torch.bool)
    assert torch.equal(model.render(audio, controls, switches), audio)


@torch.no_grad()
def test_samples_of_the_posterior_follow_their_generator(
    model: AFXStyleVAE, clips: tuple[torch.Tensor, torch.Tensor]
) -> None:
    _, posterior = model(*clips)
    first, second, other = (
        posterior.sample(torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    wide = posterior.sample(torch.Generator().manual_seed(0), least=10.0)
    noise = torch.randn(posterior.mean.shape, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(wide, posterior.mean + 10.0 * noise)


# the weights in the package


def test_the_bundled_weights_are_there_small_and_load() -> None:
    """Needs afxvae/weights/model.safetensors, which every checkout and every wheel has."""
    weights = BUNDLED_FOLDER / "model.safetensors"
    assert weights.is_file()
    assert weights.stat().st_size <= MOST_BYTES
    model = AFXStyleVAE.from_pretrained()
    assert model.checksum == read_config(BUNDLED_FOLDER)["sha256"]
    card = (BUNDLED_FOLDER / "README.md").read_text(encoding="utf-8")
    assert model.checksum in card
    assert "license: apache-2.0" in card
    assert float(model.critic.margin) >= 0.0
