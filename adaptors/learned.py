"""Adaptors with a network, which works before the upsample as in the paper (section 3.2)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from ..clockwork_core.adaptor import Past, Present, RunConditions
from ..clockwork_core.cut import Place, Seam
from ..clockwork_core.schedule import EveryN
from .description import Description
from .host import ModelPatcher, managed
from .layers import AdaptorNetwork, initialize


class LearnedAdaptor:
    """r_out = the previous r_out + what the network makes of it, of r_in, of the embedding and of the prompt.

    The network's layers cast their weights to the dtype and device of what they are given, so a training loop may
    call `predict` as the engine does.
    """

    place = Place.BEFORE_UPSAMPLE
    depth = 1
    remembers_r_in = False

    def __init__(self, description: Description, network: AdaptorNetwork) -> None:
        self.description = description
        self.network = network
        self._managed = managed(network)

    @property
    def name(self) -> str:
        return self.description.architecture

    def predict(self, past: Sequence[Past], present: Present) -> Tensor:
        assert present.r_in is not None, "the engine gives r_in to adaptors before the upsample"
        previous = past[0].r_out
        return previous + change_of(self.network, present.r_in, previous, present)

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
        pairs = [
            ("the sampler", trained.sampler, conditions.sampler or "another one"),
            ("the number of steps", trained.steps, conditions.steps),
            ("the schedule", EveryN(trained.clock).describe(), conditions.schedule),
            ("cfg", trained.cfg, conditions.cfg),
        ]
        return [
            f"The adaptor {self.name!r} was trained for {what} {expected}, but this run has {found}."
            for what, expected, found in pairs
            if expected != found
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


def change_of(network: AdaptorNetwork, r_in: Tensor, previous: Tensor, present: Present) -> Tensor:
    """What the network adds to the previous r_out (B, C, h, w), of any size: padded, and cropped again."""
    height, width = previous.shape[2:]
    padding = (0, -width % network.multiple_of, 0, -height % network.multiple_of)
    r_in, r_out = (F.pad(features, padding, mode="replicate") for features in (r_in, previous))
    change = network(r_in, r_out, present.emb, _pooled(present.context))
    return change[:, :, :height, :width]


def _pooled(context: Tensor | None) -> Tensor | None:
    """One vector for a prompt (B, width): the mean of its tokens (B, tokens, width)."""
    return None if context is None else context.mean(dim=1)


@lru_cache(maxsize=64)
def flops_of(description: Description, r_out: tuple[int, ...]) -> int:
    """FLOPs of one `predict` that gives an r_out of this shape (B, C, h, w); counted without weights."""
    batch, _, height, width = r_out
    seam = description.seam

    def empty(*shape: int) -> Tensor:
        return torch.empty(shape, device="meta")

    # The executor runs in inference mode, where torch would not split operators into countable ones.
    with torch.inference_mode(False), torch.no_grad(), FlopCounterMode(display=False) as counter:
        network = description.network(dtype=torch.float32, device="meta")
        present = Present(
            empty(batch, seam.r_in, height, width), empty(batch, seam.embedding), empty(batch, 1, seam.context), 0.0
        )
        change_of(network, empty(batch, seam.r_in, height, width), empty(*r_out), present)
    return counter.get_total_flops()
