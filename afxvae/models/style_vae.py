"""`AFXStyleVAE`: the whole model, from audio to a treatment.

``embed`` makes a style embedding of one recording, ``encode`` a posterior over treatments of two,
``decode`` knob positions and switches of a latent, ``refine`` the same by moments that sound alike,
``render`` audio of those.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from huggingface_hub import PyTorchModelHubMixin
from safetensors.torch import save_file
from torch import nn

from ..analysis import analysis_clips, as_audio
from ..audio import check_usable
from ..dsp.features import ANALYSIS_LUFS, SAMPLE_RATE, Features, extract_features
from ..effects import default_chain
from ..loudness import normalize_loudness
from ..ranges import STEPS
from ..types import WeightsError
from .aligner import Aligner
from .axes import check_axes
from .encoder import Comparator, Encoder
from .pair import refined
from .refiner import Judge, Refiner
from .storage import (
    CONFIG_FILE,
    WEIGHTS_FILE,
    check_chain,
    check_state,
    check_sum,
    pack,
    read_config,
    read_state,
    resolve_folder,
    unpack,
    weights_checksum,
)
from .treatment import embed_treatment, hear_recording
from .typical import TypicalSources
from .vae import EVIDENCE, Critic, Decoded, Posterior, TreatmentVAE
from .waveform import WaveformComparator

if TYPE_CHECKING:
    from torch import Tensor

    from ..effects import Chain
    from ..fitting.fit import Fit
    from ..matching import Match
    from ..presets import Preset
    from ..styles import Style
    from .axes import Axes
    from .estimate import Estimate
    from .pair import Pair

__all__ = ["AFXStyleVAE"]


class AFXStyleVAE(
    nn.Module,
    PyTorchModelHubMixin,
    library_name="afxvae",
    license="apache-2.0",
    tags=["audio", "audio-effects", "style-transfer", "vae"],
):
    """Encoder, comparators, conditional VAE, aligner, refiner and critic over a chain of effects.

    Args:
        statistics: Number of statistics of the front end.
        embedding_dim: Size of the style embedding.
        difference_dim: Size of the difference embedding.
        latent_dim: Size of the latent, the timbre space of treatments.
        chain: The chain's declaration as stored with the weights; it must equal this version's.
        name: What the model calls itself in presets.
        axes: Named axes of the latent, see `afxvae.models.axes`.
        kinds: Number of kinds of recordings whose averages are known, see `TypicalSources`.

    Raises:
        WeightsError: `chain` has other Params than this version of the package, or `axes` are none.
    """

    def __init__(
        self,
        statistics: int,
        embedding_dim: int = 256,
        difference_dim: int = 64,
        latent_dim: int = 16,
        chain: list[dict[str, Any]] | None = None,
        name: str = "afxvae-base",
        axes: Axes | None = None,
        kinds: int = 12,
    ) -> None:
        super().__init__()
        self.chain: Chain = default_chain()
        if chain is not None:
            check_chain(chain, self.chain.to_dict())
        self.config: dict[str, Any] = {
            "name": name,
            "statistics": statistics,
            "embedding_dim": embedding_dim,
            "difference_dim": difference_dim,
            "latent_dim": latent_dim,
            "kinds": kinds,
            "axes": check_axes(axes, latent_dim),
            "chain": self.chain.to_dict(),
        }
        self.encoder = Encoder(statistics, embedding_dim)
        self.comparator = Comparator(embedding_dim, difference_dim)
        self.vae = TreatmentVAE(self.chain, embedding_dim, difference_dim, latent_dim)
        knobs = len(self.chain.knobs) + len(self.chain.effects) + EVIDENCE
        self.refiner = Refiner(self.vae.code_dim)
        self.judge = Judge()
        self.typical = TypicalSources(kinds, embedding_dim)
        self.aligner = Aligner()
        self.waveform = WaveformComparator()
        self.critic = Critic(difference_dim, knobs)

    @property
    def identifier(self) -> str:
        """Name of the model, as presets carry it."""
        return str(self.config["name"])

    @property
    def axes(self) -> Axes:
        """Named axes of the latent, those that passed the causal test."""
        return self.config["axes"]  # type: ignore[no-any-return]

    @property
    def checksum(self) -> str:
        """SHA-256 of the weights as they are stored, see `pack`."""
        return weights_checksum(pack(self.state_dict()))

    # -- the picture: audio -> embeddings -> posterior -> treatment -> audio

    def embed_clips(self, clips: Tensor) -> Tensor:
        """Style embeddings ``(batch, embedding)`` of mono clips ``(batch, 131072)`` at 24 kHz."""
        return self.embed_features(self.listen(clips))

    def listen(self, clips: Tensor) -> Features:
        """Features of mono clips ``(batch, 131072)`` at 24 kHz, brought to one loudness."""
        return extract_features(self.level(clips))

    @staticmethod
    def level(clips: Tensor) -> Tensor:
        """Mono clips ``(batch, 131072)`` at 24 kHz, brought to the loudness of the analysis."""
        levelled, _ = normalize_loudness(clips.unsqueeze(1), SAMPLE_RATE, ANALYSIS_LUFS)
        return levelled.squeeze(1)

    def embed_features(self, features: Features) -> Tensor:
        """Style embeddings ``(batch, embedding)`` of clips whose features are known."""
        return self.encoder(features)  # type: ignore[no-any-return]

    def compare(self, audio: Tensor, reference: Tensor) -> Tensor:
        """Standardised difference embedding of two style embeddings, ``(batch, difference)``."""
        return self.vae.standardize(self.comparator(audio, reference))

    def differences(
        self, audio: Tensor, reference: Tensor, candidate: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """What the critic sees of three style embeddings, each ``(batch, embedding)``."""
        return (
            self.compare(audio, reference),
            self.compare(candidate, reference),
            self.compare(audio, candidate),
        )

    def encode(self, audio: Tensor, reference: Tensor) -> Posterior:
        """Posterior over treatments from the embeddings of input and reference."""
        return self.vae.encode(audio, self.compare(audio, reference))

    def decode(self, latent: Tensor, audio: Tensor) -> Decoded:
        """Treatment and reconstructed difference from latent and the input's embedding."""
        return self.vae.decode(latent, audio)

    def refine(self, latent: Tensor, audio: Tensor, pair: Pair) -> Estimate:
        """Treatment of a latent, corrected by moments that sound alike; see `refined`.

        Args:
            latent: ``(1, latent)``.
            audio: Embedding of the input ``(1, embedding)``.
            pair: What is known of input and reference.
        """
        return refined(self, latent, audio, pair)

    def render(
        self,
        audio: Tensor,
        controls: Tensor,
        switches: Tensor,
        sample_rate: int = SAMPLE_RATE,
        **others: Any,
    ) -> Tensor:
        """Run the chain: ``(batch, channel, time)`` with knob positions and switches by item.

        See `Chain.process` for `others`.
        """
        on = dict(zip(self.chain.names, switches.unbind(1), strict=True))
        settings = self.chain.to_settings(controls)
        return self.chain.process(audio, settings, on, sample_rate, **others)

    def forward(self, audio: Tensor, reference: Tensor) -> tuple[Decoded, Posterior]:
        """Mono clips ``(batch, 131072)`` at 24 kHz to the decoded posterior mean."""
        embedded = self.embed_clips(audio)
        posterior = self.encode(embedded, self.embed_clips(reference))
        return self.decode(posterior.mean, embedded), posterior

    # -- the public doors

    @torch.no_grad()
    def embed(self, audio: Any, sample_rate: int) -> Tensor:
        """Style embedding ``(embedding,)`` of a recording ``(channel, time)`` or ``(time,)``.

        Long recordings are embedded by their loudest stretches.

        Raises:
            AudioError: The recording is silent, too short or not finite.
        """
        recording = as_audio(audio)
        check_usable(recording, sample_rate, "The recording")
        return self.embed_clips(analysis_clips(recording, sample_rate)).mean(0)

    @torch.no_grad()
    def embed_treatment(
        self, audio: Any, reference: Any, sample_rate: int, reference_rate: int | None = None
    ) -> Tensor:
        """What was done to `reference` and not to `audio`, as one vector ``(177,)``.

        For whatever compares, sorts or classifies treatments; see `afxvae.models.treatment`.

        Args:
            audio: ``(channel, time)`` or ``(time,)``.
            reference: The same; other material is best of the same voice or instrument.
            sample_rate: Of `audio`, Hz.
            reference_rate: Of `reference`, the same if omitted.

        Raises:
            AudioError: A recording is silent, too short or not finite.
        """
        mine = hear_recording(self, audio, sample_rate)
        theirs = hear_recording(self, reference, reference_rate or sample_rate, "The reference")
        return embed_treatment(self, mine, theirs)

    def match(self, audio: Any, reference: Any, **options: Any) -> Match:
        """Make `audio` sound as if it had gone through the production of `reference`.

        See `afxvae.matching.match` for the options: ``sample_rate``, ``effort`` and others.
        """
        from ..matching import match

        return match(self, audio, reference, **options)

    def style(self, audio: Any, sample_rate: int, name: str = "The reference") -> Style:
        """What a match needs of a reference ``(channel, time)`` or ``(time,)``, with any weights.

        It can be saved and used in place of the recording, which messages call `name`.

        Raises:
            AudioError: The recording is silent, shorter than 0.1 s, or not finite.
        """
        from ..recordings import Recording
        from ..styles import Style

        return Style.of(Recording.of_array(as_audio(audio), sample_rate, name))

    def fit(self, dry: Any, wet: Any, **options: Any) -> Fit:
        """Find the preset that made `wet` of `dry`, the same recording before and after.

        See `afxvae.fitting.fit` for the options: ``sample_rate``, ``seconds`` and others.
        """
        from ..fitting.fit import fit

        return fit(dry, wet, model=self, **options)

    def interpolate(self, a: Preset, b: Preset, steps: int = STEPS) -> list[Preset]:
        """Presets from one to another; see `afxvae.interpolation.interpolate`."""
        from ..interpolation import interpolate

        return interpolate(a, b, steps)

    # -- weights

    @classmethod
    def from_pretrained(  # type: ignore[override]
        cls,
        name_or_folder: str | Path | None = None,
        *,
        revision: str | None = None,
        local_files_only: bool = False,
    ) -> AFXStyleVAE:
        """Load weights: the bundled ones, a folder, or a repository of the Hugging Face Hub.

        Args:
            name_or_folder: ``None`` for the weights in this package (no network), a folder with
                ``config.json`` and ``model.safetensors``, or ``"owner/name"``.
            revision: Branch, tag or commit of a Hub repository.
            local_files_only: Use the local cache of the Hub only.

        Raises:
            WeightsError: They are not to be had, a tensor is missing, left over or altered, or the
                chain's Params differ.
        """
        folder = resolve_folder(name_or_folder, revision, local_files_only)
        return cls.from_folder(folder)

    @classmethod
    def from_folder(cls, folder: Path) -> AFXStyleVAE:
        """Load ``config.json`` and ``model.safetensors`` of a folder, strictly.

        Raises:
            WeightsError: See `from_pretrained`.
        """
        config, packed = read_config(folder), read_state(folder)
        try:
            stored, chain = str(config["sha256"]), config["chain"]
            keys = ("statistics", "embedding_dim", "difference_dim", "latent_dim", "kinds")
            known: dict[str, Any] = {key: int(config[key]) for key in keys}
            known |= {"name": str(config["name"]), "axes": config.get("axes")}
        except KeyError as error:
            raise WeightsError(f"{folder / CONFIG_FILE} is damaged: it has no {error}.") from error
        except (ValueError, TypeError) as error:
            raise WeightsError(f"The weights in {folder} cannot be read: {error}.") from error
        check_chain(chain, default_chain().to_dict())
        model = cls(**known)
        state = unpack(packed)
        check_state(model.state_dict(), state)
        check_sum(folder, packed, stored)
        model.load_state_dict(state)
        return model.eval()

    def _save_pretrained(self, save_directory: Path) -> None:
        state = pack(self.state_dict())
        save_file(state, save_directory / WEIGHTS_FILE)
        config = {**self.config, "sha256": weights_checksum(state)}
        text = json.dumps(config, indent=1) + "\n"
        (save_directory / CONFIG_FILE).write_text(text, encoding="utf-8")
