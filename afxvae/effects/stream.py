"""A chain with fixed settings, one block of a recording after another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ..types import check_shape

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from torch import Tensor

    from .base import Chain, ChainSettings, ChainState, Switches

__all__ = ["Stream"]


class Stream:
    """Processes audio as it comes, with what the effects remember from block to block.

    Attributes:
        latency: Samples by which `process` is late.
    """

    def __init__(
        self,
        chain: Chain,
        settings: ChainSettings,
        switches: Switches,
        sample_rate: int,
        channels: int,
        input_gain: float = 1.0,
    ) -> None:
        self.latency = chain.latency(switches, sample_rate)
        self._chain, self._settings, self._switches = chain, settings, switches
        self._sample_rate, self._channels, self._input_gain = sample_rate, channels, input_gain
        self._state: ChainState | None = None

    def process(self, block: Tensor, last: bool = False) -> Tensor:
        """Take the next block and give as much back, late by `latency`.

        Args:
            block: `(channel, time)` float32 of any length, on the device of the settings. Blocks of
                a second or more cost the least.
            last: Whether the recording ends here; the next block then begins a new one.

        Returns:
            `(channel, time)`, without gradients; at the last block, `latency` samples more.

        Raises:
            UsageError: not `(channel, time)`, or another number of channels than was said.
        """
        check_shape("block", block, f"{self._channels} time")
        with torch.no_grad():
            louder = block * self._input_gain if self._input_gain != 1.0 else block
            done, self._state = self._chain.run(
                louder[None], self._settings, self._switches, self._sample_rate, self._state, last
            )
        if last:
            self._state = None
        return done[0]

    def render(self, blocks: Iterable[Tensor]) -> Iterator[Tensor]:
        """Process a whole recording without latency.

        Yields blocks that together are as long as those that came in, though not each of them is.
        """
        early = self.latency
        remaining = iter(blocks)
        block = next(remaining, None)
        while block is not None:
            following = next(remaining, None)
            done = self.process(block, last=following is None)
            yield done[:, early:]
            early = max(0, early - done.shape[1])
            block = following

    def flush(self) -> Tensor:
        """The last `latency` samples, `(channel, latency)`; the next block begins a new recording.

        Echoes and reverberation beyond the end of the input are not part of it.
        """
        device = next((on.device for on in self._switches.values()), None)
        return self.process(torch.empty(self._channels, 0, device=device), last=True)
