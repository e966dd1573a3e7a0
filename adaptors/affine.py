"""A linear map of what is known, one for each evaluation of a run: fitted in closed form (see `training.fit`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..clockwork_core.cut import Seam
from .inputs import Features, NetworkConfig
from .layers import AdaptorNetwork

MOST_SOLUTIONS = 1000


@dataclass(frozen=True, kw_only=True)
class AffineConfig(NetworkConfig):
    """solutions: how many maps there are, each for one lambda; a run takes the nearest."""

    solutions: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.prompt or self.gaps:
            raise ValueError("prompt and gaps must be false: a linear map of the features sees neither.")
        require_solutions(self.solutions)

    @classmethod
    def scaled_to(cls, seam: Seam) -> AffineConfig:  # noqa: ARG003
        return cls.of(solutions=1)

    @classmethod
    def of(cls, solutions: int) -> AffineConfig:
        """With all inputs that help: r_in, two past passes, and how both changed since."""
        return cls(past=2, past_r_in=True, solutions=solutions)


def require_solutions(solutions: int) -> None:
    """Raise ValueError unless there can be this many maps."""
    if not 1 <= solutions <= MOST_SOLUTIONS:
        raise ValueError(f"solutions is {solutions}, but must lie between 1 and {MOST_SOLUTIONS}.")


class Affine(AdaptorNetwork):
    """The change of r_out as weight @ features + bias at each place of the picture, by the solution nearest in lambda.

    Cond and uncond share the map, so it commutes with classifier-free guidance.
    log_snr: (solutions,). weight: (solutions, C of r_out, `config.channels`). bias: (solutions, C of r_out).
    """

    multiple_of = 1
    log_snr: Tensor
    weight: Tensor
    bias: Tensor

    def __init__(self, config: AffineConfig, seam: Seam, **where: Any) -> None:
        super().__init__(**where)
        shape = (config.solutions, seam.r_out)
        self.register_buffer("log_snr", torch.zeros(config.solutions, **where))
        # Buffers, for they are solved for, not trained.
        self.register_buffer("weight", torch.empty(*shape, config.channels(seam), **where))
        self.register_buffer("bias", torch.empty(*shape, **where))

    def forward(self, features: Tensor, given: Features) -> Tensor:
        distance = (given.log_snr[:, None] - self.log_snr.to(given.log_snr)).abs()  # (B, solutions)
        nearest = distance.argmin(dim=1).to(self.weight.device)
        weight, bias = self.weight[nearest].to(features), self.bias[nearest].to(features)
        change = torch.baddbmm(bias[:, :, None], weight, features.flatten(2))  # (B, C, h * w)
        return change.unflatten(2, features.shape[2:])

    def start_as_identity(self) -> None:
        nn.init.zeros_(self.weight)
        nn.init.zeros_(self.bias)
