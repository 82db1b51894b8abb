"""The encoder: a clip's embedding is its own, finite, and of a size that fits the wheel."""

from __future__ import annotations

import pytest
import torch

from afxvae.dsp.features import (
    CLIP_SAMPLES,
    ECHO_RANGE_MS,
    N_MELS,
    SAMPLE_RATE,
    extract_features,
)
from afxvae.effects import default_chain
from afxvae.models.encoder import Comparator, Encoder
from afxvae.models.style_vae import AFXStyleVAE
from tests.sounds import extremes, sound, untrained

SECONDS = CLIP_SAMPLES / SAMPLE_RATE + 0.1


@pytest.fixture(scope="module")
def model() -> AFXStyleVAE:
    return untrained()


@pytest.fixture(scope="module")
def clips() -> torch.Tensor:
    return torch.cat([sound(seed, SECONDS)[:, :CLIP_SAMPLES] for seed in range(3)])


def borders() -> dict[str, torch.Tensor]:
    time = torch.arange(CLIP_SAMPLES) / SAMPLE_RATE
    return {**extremes(), "square": torch.sign(torch.sin(2.0 * torch.pi * 100.0 * time + 0.1))}


@pytest.mark.parametrize("name", borders())
def test_features_and_embeddings_are_finite(name: str, model: AFXStyleVAE) -> None:
    clip = borders()[name].unsqueeze(0)
    features = extract_features(clip)
    assert features.log_mel.shape[2] == N_MELS
    assert bool(torch.isfinite(features.log_mel).all())
    assert bool(torch.isfinite(features.statistics).all())
    with torch.no_grad():
        embedding = model.embed_clips(clip)
    assert embedding.shape == (1, 256)
    assert bool(torch.isfinite(embedding).all())


@torch.no_grad()
def test_batch_item_equals_single_item(model: AFXStyleVAE, clips: torch.Tensor) -> None:
    together = model.embed_clips(clips)
    assert float((together[0] - together[1]).abs().max()) > 1e-2
    for index in range(len(clips)):
        alone = model.embed_clips(clips[index : index + 1])[0]
        torch.testing.assert_close(alone, together[index], atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_an_embedding_does_not_depend_on_how_hot_a_clip_is(
    model: AFXStyleVAE, clips: torch.Tensor
) -> None:
    torch.testing.assert_close(
        model.embed_clips(0.05 * clips), model.embed_clips(clips), atol=2e-3, rtol=2e-3
    )


@torch.no_grad()
def test_a_recording_of_several_clips_has_one_embedding(model: AFXStyleVAE) -> None:
    stereo = sound(4, 12.0, 44100, channels=2)
    embedding = model.embed(stereo.numpy(), 44100)
    assert embedding.shape == (256,)
    torch.testing.assert_close(model.embed(stereo.mean(0), 44100), embedding)


def test_features_search_echoes_of_any_delay_time() -> None:
    (time_ms,) = (p for p in default_chain()["delay"].params if p.name == "time_ms")
    assert ECHO_RANGE_MS[0] <= time_ms.minimum
    assert ECHO_RANGE_MS[1] >= time_ms.maximum


def test_the_encoder_has_at_most_five_million_parameters(model: AFXStyleVAE) -> None:
    assert sum(p.numel() for p in model.encoder.parameters()) <= 5_000_000


@torch.no_grad()
def test_any_length_of_picture_will_do(model: AFXStyleVAE, clips: torch.Tensor) -> None:
    features = extract_features(clips)
    shorter = type(features)(features.log_mel[:, 50:400], features.statistics)
    embedded = model.embed_features(shorter)
    assert embedded.shape == (len(clips), 256)


def test_scaling_standardises_the_material_it_was_fitted_to(clips: torch.Tensor) -> None:
    features = extract_features(clips)
    encoder = Encoder(features.statistics.shape[1], 32, 16)
    encoder.fit_scale(features)
    scaled = (features.statistics - encoder.statistics_mean) * encoder.statistics_scale
    torch.testing.assert_close(scaled.mean(0), torch.zeros(scaled.shape[1]), atol=1e-3, rtol=0)
    assert float(scaled.std(0).max()) < 1.001
    mel = (features.log_mel - encoder.mel_mean) * encoder.mel_scale
    torch.testing.assert_close(mel.mean((0, 1)), torch.zeros(N_MELS), atol=1e-3, rtol=0)


@torch.no_grad()
def test_comparing_has_a_direction() -> None:
    torch.manual_seed(0)
    comparator = Comparator(16, 8, 32).eval()
    one, other = torch.randn(2, 4, 16)
    assert comparator(one, other).shape == (4, 8)
    assert float((comparator(one, other) - comparator(other, one)).abs().max()) > 1e-3
