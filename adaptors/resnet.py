"""The paper's default adaptor, 14 M parameters on SD 1.5 (section 3.2; table "Adaptors": 301 GFLOPs against 287)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..clockwork_core.cut import Seam
from .host import operations
from .layers import AdaptorNetwork, ConditionedBlocks, require_blocks, require_width, scaled_width, zero

SD15_WIDTH = 384


@dataclass(frozen=True)
class ResNetConfig:
    """width: channels inside. blocks: number of ResBlocks. prompt: whether to add the pooled prompt vector.

    stride: 2 as in the paper; 1 keeps the resolution, for UNets whose features at the cut are few.
    """

    width: int
    blocks: int = 2
    stride: int = 2
    prompt: bool = False

    def __post_init__(self) -> None:
        require_width(self.width)
        require_blocks(self.blocks)
        if self.stride not in (1, 2):
            raise ValueError(f"stride is {self.stride}, but must be 1 or 2.")

    @classmethod
    def scaled_to(cls, seam: Seam) -> ResNetConfig:
        return cls(scaled_width(SD15_WIDTH, seam))


class ResNet(AdaptorNetwork):
    """Strided convolution, ResBlocks, transposed convolution: the change from the previous r_out to this one."""

    def __init__(self, config: ResNetConfig, seam: Seam, **where: Any) -> None:
        super().__init__()
        width, self.multiple_of = config.width, config.stride
        self.down = operations.Conv2d(seam.r_in + seam.r_out, width, 3, config.stride, padding=1, **where)
        self.middle = ConditionedBlocks(width, config.blocks, config.prompt, seam, **where)
        # Kernel 4 meets each place of the finer grid equally often; kernel 3 does so at stride 1.
        kernel = 4 if config.stride == 2 else 3
        self.up = operations.ConvTranspose2d(width, seam.r_out, kernel, config.stride, padding=1, **where)

    def forward(self, r_in: Tensor, r_out: Tensor, emb: Tensor, prompt: Tensor | None) -> Tensor:
        h = self.down(torch.cat([r_in, r_out], dim=1))
        return self.up(self.middle(h, emb, prompt))

    def start_as_identity(self) -> None:
        zero(self.up)
