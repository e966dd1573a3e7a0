"""The paper's other adaptors: UNet (C = 640, N = 4; 152 M parameters on SD 1.5), UNet-light (C = 96, N = 2; 3 M)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from ..clockwork_core.cut import Seam
from .host import operations
from .inputs import Features, NetworkConfig
from .layers import AdaptorNetwork, ConditionedBlocks, require_blocks, require_width, scaled_width, zero

SD15_WIDTH = 640
SD15_LIGHT_WIDTH = 96


@dataclass(frozen=True, kw_only=True)
class UNetConfig(NetworkConfig):
    """width: C of the paper, channels after the first down module; the middle has twice as many.

    blocks: N of the paper, ResBlocks in the middle.
    """

    width: int
    blocks: int

    def __post_init__(self) -> None:
        super().__post_init__()
        require_width(self.width)
        require_blocks(self.blocks)

    @classmethod
    def scaled_to(cls, seam: Seam) -> UNetConfig:
        return cls(width=scaled_width(SD15_WIDTH, seam), blocks=4)

    @classmethod
    def light(cls, seam: Seam) -> UNetConfig:
        return cls(width=scaled_width(SD15_LIGHT_WIDTH, seam), blocks=2)


class UNet(AdaptorNetwork):
    """Two down modules, ResBlocks, two up modules: the change from the previous r_out to this one."""

    multiple_of = 4

    def __init__(self, config: UNetConfig, seam: Seam, **where: Any) -> None:
        super().__init__(**where)
        width, inner = config.width, 2 * config.width
        self.down = nn.Sequential(
            operations.Conv2d(config.channels(seam), width, 3, stride=2, padding=1, **where),
            nn.SiLU(),
            operations.Conv2d(width, inner, 3, stride=2, padding=1, **where),
        )
        self.middle = ConditionedBlocks(inner, config.blocks, config, seam, **where)
        self.up = nn.Sequential(
            operations.ConvTranspose2d(inner, width, 2, stride=2, **where),
            nn.SiLU(),
            operations.ConvTranspose2d(width, seam.r_out, 2, stride=2, **where),
        )

    def forward(self, features: Tensor, given: Features) -> Tensor:
        return self.up(self.middle(self.down(features), given))

    def start_as_identity(self) -> None:
        zero(self.up[-1])
