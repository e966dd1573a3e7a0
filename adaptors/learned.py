"""Adaptors with a network, which works before the upsample as in the paper (section 3.2)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from ..clockwork_core.adaptor import Past, Present, RunConditions
from ..clockwork_core.cut import Place, Seam
from .description import Description
from .host import ModelPatcher, managed
from .inputs import Features
from .layers import AdaptorNetwork, initialize, size_of_change


class LearnedAdaptor:
    """r_out = the previous r_out + what the network makes of it, of r_in, of the embedding and of the prompt.

    The network's layers cast their weights to the dtype and device of what they are given, so a training loop may
    call `predict` as the engine does.
    """

    place = Place.BEFORE_UPSAMPLE

    def __init__(self, description: Description, network: AdaptorNetwork) -> None:
        self.description = description
        self.network = network
        self._managed = managed(network)

    @property
    def name(self) -> str:
        return self.description.architecture

    @property
    def depth(self) -> int:
        return max(1, self.description.config.past)

    @property
    def remembers_r_in(self) -> bool:
        return self.description.config.past_r_in

    def predict(self, past: Sequence[Past], present: Present) -> Tensor:
        return self.r_out(Features.of(past, present, self.depth))

    def r_out(self, features: Features, network: Callable[..., Tensor] | None = None) -> Tensor:
        """r_out (B, C, h, w) from a batch of features, as `predict`; training calls it too.

        network: what to call in place of the adaptor's own, such as the same behind a layer that trains it.
        """
        change = self._change(features, network or self.network)
        return features.r_outs[0] + change if self.description.config.past else change

    def _change(self, features: Features, network: Callable[..., Tensor]) -> Tensor:
        """What the network makes of features of any size (B, C, h, w): padded, and cropped again."""
        own, config = self.network, self.description.config
        r_in_scale, r_out_scale = own.r_in_scale.to(features.r_in), own.r_out_scale.to(features.r_in)
        inputs = features.for_network(config, r_in_scale, r_out_scale)
        height, width = inputs.shape[2:]
        padding = (0, -width % own.multiple_of, 0, -height % own.multiple_of)
        inputs = F.pad(inputs, padding, mode="replicate")
        change = network(inputs, features)
        log_snr, gap = features.log_snr.float(), features.gaps[:, 0].float()
        size = size_of_change(own.change_size.to(log_snr), log_snr, gap)
        # In float32: sizes may be smaller than half precision can tell.
        sized = change[:, :, :height, :width].float() * size.view(-1, 1, 1, 1)
        return sized.to(change)

    def require_fit(self, seam: Seam) -> None:
        fits = self.description.seam
        differences = [
            f"{words} {getattr(fits, part)}, but this model has {getattr(seam, part)}"
            for part, words in _SEAM_WORDS.items()
            if getattr(fits, part) != getattr(seam, part)
        ]
        if differences:
            raise ValueError(f"The adaptor {self.name!r} does not fit: it is made for {'; '.join(differences)}.")

    def warnings(self, conditions: RunConditions) -> list[str]:
        trained = self.description.trained_for
        if trained is None:
            return [f"The adaptor {self.name!r} is untrained and does what the identity does, for more compute."]
        return [
            f"The adaptor {self.name!r} was trained for {what} {expected}, but this run has {found}."
            for what, expected, found in trained.departures(conditions)
        ]

    def models(self) -> list[ModelPatcher]:
        return [self._managed]

    def flops(self, r_out: tuple[int, ...]) -> int:
        return flops_of(self.description, r_out)


_SEAM_WORDS = {
    "kept_blocks": "a cut with kept_blocks =",
    "r_in": "r_in channels:",
    "r_out": "r_out channels:",
    "embedding": "embedding width:",
    "context": "prompt width:",
}


def untrained(description: Description, seed: int = 0) -> LearnedAdaptor:
    """An adaptor that does exactly what the identity does, until it is trained."""
    # Weights that are made in the executor's inference mode could never be trained.
    with torch.inference_mode(False), torch.no_grad():
        network = description.network(dtype=torch.float32)
        initialize(network, seed)
        network.start_as_identity()
    return LearnedAdaptor(description, network.requires_grad_(False))


@lru_cache(maxsize=64)
def flops_of(description: Description, r_out: tuple[int, ...]) -> int:
    """FLOPs of one `predict` that gives an r_out of this shape (B, C, h, w); counted without weights."""
    batch, _, height, width = r_out
    seam = description.seam

    def empty(*shape: int) -> Tensor:
        return torch.empty(shape, device="meta")

    # The executor runs in inference mode, where torch would not split operators into countable ones.
    with torch.inference_mode(False), torch.no_grad():
        adaptor = LearnedAdaptor(description, description.network(dtype=torch.float32, device="meta"))
        r_in = empty(batch, seam.r_in, height, width)
        passes = [Past((0.0,), empty(*r_out), r_in)] * adaptor.depth
        present = Present(r_in, empty(batch, seam.embedding), empty(batch, 1, seam.context), 0.0)
        with FlopCounterMode(display=False) as counter:
            adaptor.predict(passes, present)
    return counter.get_total_flops()
