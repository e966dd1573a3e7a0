"""The paper's default adaptor, 14 M parameters on SD 1.5 (section 3.2; table "Adaptors": 301 GFLOPs against 287)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ..clockwork_core.cut import Seam
from .host import operations
from .inputs import Features, NetworkConfig
from .layers import AdaptorNetwork, ConditionedBlocks, require_blocks, require_width, scaled_width, zero

SD15_WIDTH = 384
SD15_TREND_WIDTH = 640


@dataclass(frozen=True, kw_only=True)
class ResNetConfig(NetworkConfig):
    """width: channels inside. blocks: number of ResBlocks.

    stride: 2 as in the paper; 1 keeps the resolution, for UNets whose features at the cut are few.
    """

    width: int
    blocks: int = 2
    stride: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        require_width(self.width)
        require_blocks(self.blocks)
        if self.stride not in (1, 2):
            raise ValueError(f"stride is {self.stride}, but must be 1 or 2.")

    @classmethod
    def scaled_to(cls, seam: Seam) -> ResNetConfig:
        return cls(width=scaled_width(SD15_WIDTH, seam))

    @classmethod
    def trend(cls, seam: Seam) -> ResNetConfig:
        """Ours: at full resolution, and with the trend of the last two passes and of r_in before its eyes."""
        return cls(width=scaled_width(SD15_TREND_WIDTH, seam), stride=1, past=2, past_r_in=True)


class ResNet(AdaptorNetwork):
    """Strided convolution, ResBlocks, transposed convolution: the change from the previous r_out to this one."""

    def __init__(self, config: ResNetConfig, seam: Seam, **where: Any) -> None:
        super().__init__(**where)
        width, self.multiple_of = config.width, config.stride
        self.down = operations.Conv2d(config.channels(seam), width, 3, config.stride, padding=1, **where)
        self.middle = ConditionedBlocks(width, config.blocks, config, seam, **where)
        # Kernel 4 meets each place of the finer grid equally often; kernel 3 does so at stride 1.
        kernel = 4 if config.stride == 2 else 3
        self.up = operations.ConvTranspose2d(width, seam.r_out, kernel, config.stride, padding=1, **where)

    def forward(self, features: Tensor, given: Features) -> Tensor:
        return self.up(self.middle(self.down(features), given))

    def start_as_identity(self) -> None:
        zero(self.up)
