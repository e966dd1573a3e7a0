"""What the networks of learned adaptors are built of."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from ..clockwork_core.cut import Seam
from .host import ResBlock, operations
from .inputs import Features, NetworkConfig

# The groups of the ResBlock's norm: every width is a multiple.
GROUPS = 32
SD15_EMBEDDING = 1280
LARGEST_WIDTH = 8192
MOST_BLOCKS = 64


def scaled_width(at_sd15: int, seam: Seam) -> int:
    """A width that is `at_sd15` for SD 1.5 and grows with the UNet's own, a multiple of GROUPS."""
    return GROUPS * max(1, round(at_sd15 * seam.embedding / SD15_EMBEDDING / GROUPS))


def require_width(width: int) -> None:
    """Raise ValueError unless the ResBlocks can have this width."""
    if width % GROUPS or not GROUPS <= width <= LARGEST_WIDTH:
        raise ValueError(f"width is {width}, but must be a multiple of {GROUPS} between {GROUPS} and {LARGEST_WIDTH}.")


def require_blocks(blocks: int) -> None:
    """Raise ValueError unless there can be this many ResBlocks."""
    if not 1 <= blocks <= MOST_BLOCKS:
        raise ValueError(f"blocks is {blocks}, but must lie between 1 and {MOST_BLOCKS}.")


class AdaptorNetwork(nn.Module):
    """What `LearnedAdaptor` asks of a network: the change from the previous r_out to this one.

    multiple_of: what height and width of the features must be a multiple of.
    r_in_scale, r_out_scale: (1,), what the features are multiplied by on their way in, for the features of UNets
    differ in size by orders of magnitude. change_size: (4,), how large the change is, as `size_of_change` has it. All
    are kept with the weights.
    """

    multiple_of: int
    r_in_scale: Tensor
    r_out_scale: Tensor
    change_size: Tensor

    def __init__(self, **where: Any) -> None:
        super().__init__()
        self.register_buffer("r_in_scale", torch.ones(1, **where))
        self.register_buffer("r_out_scale", torch.ones(1, **where))
        self.register_buffer("change_size", torch.zeros(4, **where))

    def forward(self, features: Tensor, given: Features) -> Tensor:
        """features: (B, `NetworkConfig.channels`, h, w), scaled and padded. given: what else it may depend on.

        Returns (B, C of r_out, h, w).
        """
        raise NotImplementedError

    def start_as_identity(self) -> None:
        """Until it is trained, the change is zero."""
        raise NotImplementedError

    def set_scales(self, r_in_scale: Tensor, r_out_scale: Tensor, change_size: Tensor) -> None:
        """Take on what was measured before the training, (), () and (4,)."""
        self.r_in_scale.copy_(r_in_scale)
        self.r_out_scale.copy_(r_out_scale)
        self.change_size.copy_(change_size)


def size_terms(log_snr: Tensor, gap: Tensor) -> Tensor:
    """What the logarithm of the size of a change is a sum of (B, 4): 1, lambda, its square, and the log of the gap."""
    return torch.stack([torch.ones_like(log_snr), log_snr, log_snr.square(), gap.abs().clamp(min=1e-3).log()], dim=1)


def size_of_change(coefficients: Tensor, log_snr: Tensor, gap: Tensor) -> Tensor:
    """The typical size of r_out's change (B,) at lambda (B,) since a pass that lies `gap` (B,) of lambda back.

    A network that gives changes in this unit has the same work at each noise level, the principle of c_out in
    Karras et al. 2022 (https://arxiv.org/abs/2206.00364, table 1); features change by orders of magnitude less
    where the noise is low.
    """
    return (size_terms(log_snr, gap) @ coefficients).clamp(-20.0, 20.0).exp()


def sums_of_sizes(terms: Tensor, sizes: Tensor) -> Tensor:
    """Sums (4, 5), which add up over batches, for `solved_size` to fit sizes (B,) of known terms (B, 4)."""
    columns = torch.cat([terms, sizes.clamp(min=1e-9).log()[:, None]], dim=1).double()
    return columns[:, :-1].T @ columns


def solved_size(sums: Tensor) -> Tensor:
    """The coefficients (4,) of `size_of_change` that fit best.

    A little ridge, for one kind of run may hold fewer gaps and noise levels than there are terms.
    """
    gram, moments = sums[:, :-1], sums[:, -1]
    ridge = 1e-3 * gram[0, 0] * torch.eye(len(gram), dtype=gram.dtype)  # the first term is 1: gram[0, 0] counts
    return torch.linalg.solve(gram + ridge, moments)


class ConditionedBlocks(nn.Module):
    """ResBlocks of latent diffusion in a row, with the UNet's own embedding and, if wanted, prompt and gaps added."""

    def __init__(self, width: int, blocks: int, config: NetworkConfig, seam: Seam, **where: Any) -> None:
        super().__init__()
        self.prompt = operations.Linear(seam.context, width, **where) if config.prompt else None
        self.gaps = operations.Linear(config.past, width, **where) if config.gaps else None
        self.blocks = nn.ModuleList(
            ResBlock(width, seam.embedding, 0.0, operations=operations, **where) for _ in range(blocks)
        )

    def forward(self, h: Tensor, given: Features) -> Tensor:
        """h: (B, width, h, w)."""
        if self.prompt is not None and given.prompt is not None:
            h = h + self.prompt(given.prompt)[:, :, None, None]
        if self.gaps is not None:
            h = h + self.gaps(given.gaps.to(h.dtype))[:, :, None, None]
        for block in self.blocks:
            h = block(h, given.emb)
        return h


def initialize(network: nn.Module, seed: int) -> None:
    """Fill the weights, the same for the same seed: fan-in scaled noise, and zero for each block's last layer.

    The host's layers leave their memory as they found it.
    """
    generator = torch.Generator().manual_seed(seed)
    for layer in network.modules():
        if isinstance(layer, nn.GroupNorm):
            nn.init.ones_(layer.weight)
            nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            fan_in = layer.weight[0].numel() if not isinstance(layer, nn.ConvTranspose2d) else layer.weight.shape[0]
            nn.init.uniform_(layer.weight, -1.0 / math.sqrt(fan_in), 1.0 / math.sqrt(fan_in), generator=generator)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    for layer in network.modules():
        if isinstance(layer, ResBlock):
            zero(layer.out_layers[-1])


def zero(layer: nn.Module) -> None:
    """Make a layer give zero, whatever it is given."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
