"""Reads what enters the upsample that ends the low-res part, a place where the host has no patch point.

The layer is replaced, by the host's own object patches and thus on one clone of the model only, by a twin that shares
all it holds: the same weights under the same names, so LoRA, casts and offload act on it as on the original.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import cast

import torch
from torch import Tensor

from . import host

# What is read belongs to the call under way, never to the layer, which all runs of a model share.
_reader: ContextVar[Callable[[Tensor], None] | None] = ContextVar("clockwork_tap_reader", default=None)


class TappedUpsample(host.Upsample):
    """The twin of an upsample layer; tells a reader, if there is one, what enters it."""

    def __init__(self, layer: host.Upsample) -> None:
        torch.nn.Module.__init__(self)
        shared = dict(layer.__dict__)
        # Other packs hang a forward of their own on a layer; it must run, but not instead of ours.
        shared.pop("forward", None)
        self.__dict__.update(shared)
        self._forward_of_layer = layer.forward

    def forward(self, x: Tensor, output_shape: torch.Size | None = None) -> Tensor:
        read = _reader.get()
        if read is not None:
            read(x)
        return self._forward_of_layer(x, output_shape=output_shape)


@contextmanager
def reading(read: Callable[[Tensor], None] | None) -> Iterator[None]:
    """Within the block, `read` is given what enters the tapped layer; calls in other threads are not."""
    token = _reader.set(read)
    try:
        yield
    finally:
        _reader.reset(token)


def install(model: host.ModelPatcher, block: int) -> None:
    """Tap the upsample at the end of output block `block`; `model` must be a clone of ours."""
    layers = list(model.get_model_object(f"diffusion_model.output_blocks.{block}").children())
    name = f"diffusion_model.output_blocks.{block}.{len(layers) - 1}"
    model.add_object_patch(name, TappedUpsample(cast(host.Upsample, model.get_model_object(name))))


def remove(model: host.ModelPatcher) -> None:
    """Take every tap off `model`, a clone of ours; the loaded network follows when it is next loaded."""
    for name in [name for name, patch in model.object_patches.items() if isinstance(patch, TappedUpsample)]:
        del model.object_patches[name]
