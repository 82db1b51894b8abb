"""What evaluating in several processes takes: a model on its way to them, and the same digits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor

from ..models.style_vae import AFXStyleVAE

__all__ = ["CarriedModel", "as_bytes", "one_thread"]


@dataclass(frozen=True)
class CarriedModel:
    """A model as plain data; weights as bytes, so that they are not shared by file handle."""

    config: dict[str, Any]
    weights: bytes

    @classmethod
    def of(cls, model: AFXStyleVAE) -> CarriedModel:
        """Pack a model."""
        return cls(model.config, as_bytes(model.state_dict()))

    def model(self) -> AFXStyleVAE:
        """The same model, in this process."""
        model = AFXStyleVAE(**self.config)
        model.load_state_dict(load(self.weights))
        return model.eval()


def as_bytes(tensors: Mapping[str, Tensor]) -> bytes:
    """Tensors as `safetensors.torch.load` reads them."""
    return save({name: value.detach().cpu().contiguous() for name, value in tensors.items()})


@contextmanager
def one_thread() -> Iterator[None]:
    """As in a worker: the last digits depend on the number of threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
