"""A fitted linear map, and a network that learns what the map leaves over."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from ..clockwork_core.cut import Seam
from .affine import Affine, AffineConfig, require_solutions
from .inputs import Features
from .layers import scaled_width, size_of_change
from .resnet import ResNet, ResNetConfig

SD15_WIDTH = 160


@dataclass(frozen=True, kw_only=True)
class RefinedConfig(ResNetConfig):
    """solutions: how many linear maps there are, as in `AffineConfig`."""

    solutions: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        require_solutions(self.solutions)

    @classmethod
    def scaled_to(cls, seam: Seam) -> RefinedConfig:
        return cls(width=scaled_width(SD15_WIDTH, seam), stride=1, past=2, past_r_in=True)

    def on(self, solutions: int) -> RefinedConfig:
        """The same with so many maps."""
        return replace(self, solutions=solutions)


class Refined(ResNet):
    """The change of r_out that the maps of `Affine` give, and what the network of "trend" adds.

    The network's unit, `change_size`, is the size of what the maps leave over.
    """

    def __init__(self, config: RefinedConfig, seam: Seam, **where: Any) -> None:
        super().__init__(config, seam, **where)
        self.fitted = Affine(AffineConfig.of(config.solutions), seam, **where)

    def forward(self, features: Tensor, given: Features) -> Tensor:
        log_snr, gap = given.log_snr.float(), given.gaps[:, 0].float()
        unit = size_of_change(self.change_size.to(log_snr), log_snr, gap) * self.fitted.r_out_scale.to(log_snr)
        fitted = self.fitted(features, given).float() / unit.view(-1, 1, 1, 1)
        return fitted.to(features) + super().forward(features, given)

    def begin_with(self, fitted: Affine) -> None:
        """Take on maps of as many solutions, and the scales that they were fitted for."""
        self.fitted.load_state_dict(fitted.state_dict())
        super().set_scales(fitted.r_in_scale, fitted.r_out_scale, self.change_size)

    def set_scales(self, r_in_scale: Tensor, r_out_scale: Tensor, change_size: Tensor) -> None:  # noqa: ARG002
        """The maps see the same features as the network, in the scales that they were fitted for."""
        self.change_size.copy_(change_size)

    def start_as_identity(self) -> None:
        super().start_as_identity()
        self.fitted.start_as_identity()
