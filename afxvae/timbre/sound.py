"""What several attributes look at: clips at one rate and loudness, their frames and spectra."""

from __future__ import annotations

import functools

import torch
from torch import Tensor
from torch.nn import functional

from ..dsp.resampling import change_rate
from ..loudness import normalize_loudness
from ..types import AudioError, UsageError, check_shape
from . import onsets
from .analogue import high_pass
from .zwicker import BARK_STEPS, FRAME, RATE, specific_loudness

__all__ = ["LOWEST_RATE", "Sound"]

LOWEST_RATE = 8000
"""Lowest sample rate that is taken, Hz."""

_LUFS = -24.0
_SILENCE = 10 ** (-90 / 20)
_GATE_S = 0.4  # the shortest clip that has a loudness
_ONE_GO = 1024  # frames


class Sound:
    """A batch of clips as the attributes hear them; what is shared is computed once.

    Args:
        audio: ``(batch, time)`` at any level.
        sample_rate: In Hz.

    Attributes:
        audio: ``(batch, time)`` at 44.1 kHz and -24 LUFS, or lower where that would exceed full
            scale. A silent clip has become a click.
        silent: ``(batch,)``, whether no sample is above -90 dBFS.

    Raises:
        AudioError: No samples, or some that are not finite.
        UsageError: Another shape or type, or a rate below 8 kHz.
    """

    def __init__(self, audio: Tensor, sample_rate: int) -> None:
        check_shape("audio", audio, "batch time")
        if sample_rate < LOWEST_RATE:
            floor = f"at least {LOWEST_RATE} Hz"
            raise UsageError(f"The sample rate must be {floor}, not {sample_rate} Hz.")
        if audio.dtype not in (torch.float32, torch.float64):
            raise UsageError(f"The audio must be float32 or float64, not {audio.dtype}.")
        if not audio.numel():
            raise AudioError("There is no audio to measure (0 samples).")
        peak = audio.detach().abs().amax(1, keepdim=True)
        if not bool(torch.isfinite(peak).all()):
            raise AudioError("There are samples that are not finite numbers (NaN or infinity).")
        self.silent = peak[:, 0] < _SILENCE
        click = functional.one_hot(torch.zeros_like(peak[:, 0]).long(), audio.shape[1])
        audio = torch.where(self.silent[:, None], click.to(audio), audio / peak.clamp_min(1e-30))
        missing = max(0, round(_GATE_S * sample_rate) - audio.shape[1])
        padded = functional.pad(audio, (0, missing)).unsqueeze(1)
        leveled = normalize_loudness(padded, sample_rate, _LUFS)[0][:, 0, : audio.shape[1]]
        leveled = leveled / leveled.detach().abs().amax(1, keepdim=True).clamp_min(1.0)
        self.audio = leveled if sample_rate == RATE else change_rate(leveled, sample_rate, RATE)

    @functools.cached_property
    def high_passed(self) -> Tensor:
        """The clips above 20 Hz, with slopes of 36 dB an octave, ``(batch, time)``."""
        return high_pass(self.audio, 20.0, RATE, 3)

    @functools.cached_property
    def frames(self) -> Tensor:
        """Frames of 4096 samples side by side, ``(batch, frame, 4096)``.

        The last is filled with zeros, and is nothing but zeros if the others fit the clip.
        """
        missing = FRAME - self.audio.shape[1] % FRAME
        return functional.pad(self.audio, (0, missing)).unfold(1, FRAME, FRAME)

    @functools.cached_property
    def rms(self) -> Tensor:
        """Root mean square of each of the frames, ``(batch, frame)``."""
        return self.frames.square().mean(-1).clamp_min(1e-20).sqrt()

    @functools.cached_property
    def specific_loudness(self) -> Tensor:
        """Of each of the frames, ``(batch, frame, 240)`` sone per Bark."""
        pieces = self.frames.flatten(0, 1).split(_ONE_GO)
        loudness = torch.cat([specific_loudness(piece) for piece in pieces])
        return loudness.reshape(*self.frames.shape[:2], BARK_STEPS)

    @functools.cached_property
    def led(self) -> Tensor:
        """The clips behind 4096 zeros, so that what starts with the clip has an onset."""
        return functional.pad(self.audio, (FRAME, 0))

    @functools.cached_property
    def magnitude(self) -> Tensor:
        """Magnitudes of an STFT of `led`, see `afxvae.timbre.onsets.magnitude`."""
        return onsets.magnitude(self.led)

    @functools.cached_property
    def led_mel_level(self) -> Tensor:
        """Levels of mel bands of `led`, see `afxvae.timbre.onsets.mel_level`."""
        return onsets.mel_level(self.magnitude)

    @property
    def mel_level(self) -> Tensor:
        """Those of the clips alone."""
        return self.led_mel_level[:, FRAME // onsets.HOP :]

    @functools.cached_property
    def envelope(self) -> Tensor:
        """See `afxvae.timbre.onsets.envelope`."""
        return onsets.envelope(self.audio)

    @functools.cached_property
    def onsets(self) -> list[list[int]]:
        """Onsets of each clip in samples."""
        strength = onsets.strength(self.mel_level)
        return onsets.find_onsets(strength, self.envelope)

    @functools.cached_property
    def led_strength(self) -> Tensor:
        """Onset strength of `led`, ``(batch, frame)``."""
        return onsets.strength(self.led_mel_level)

    @functools.cached_property
    def led_onsets(self) -> list[list[int]]:
        """Onsets of `led` in samples, 0 for what starts with the clip."""
        return onsets.find_onsets(self.led_strength, functional.pad(self.envelope, (FRAME, 0)))
