"""Muon: momentum whose update of each weight matrix is made orthogonal (Jordan, 2024, https://kellerjordan.github.io/posts/muon).

torch's own takes matrices only and multiplies in bfloat16, which a CPU without AMX does at half the speed of float32.
This one takes convolutions too, and treats all matrices of one shape as one batch.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import torch
from torch import Tensor, nn

# The quintic that drives all singular values near 1, and how often it is applied.
QUINTIC = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5
# An orthogonal matrix times this and the root of its longer side has AdamW's usual root mean square (Liu et al., 2025,
# https://arxiv.org/abs/2502.16982), so both optimizers share one learning rate.
ADAMW_RMS = 0.2


def orthogonalize(matrices: Tensor) -> Tensor:
    """The orthogonal factors, roughly, of matrices (n, rows, columns): singular values all become about 1.

    The iteration runs on the square of the shorter side, X Xᵀ, where it costs a third.
    """
    if matrices.shape[1] > matrices.shape[2]:
        return orthogonalize(matrices.mT).mT
    scaled = matrices / (matrices.norm(dim=(1, 2), keepdim=True) + 1e-7)
    gram = scaled @ scaled.mT  # (n, rows, rows)
    identity = torch.eye(gram.shape[1], device=gram.device).expand_as(gram)
    whole = identity
    linear, cubic, quintic = QUINTIC
    for _ in range(ITERATIONS):
        step = linear * identity + cubic * gram + quintic * gram @ gram
        whole = step @ whole
        gram = step @ step @ gram
    return whole @ scaled


class Muon(torch.optim.Optimizer):
    """For weights of two and more dimensions: the first is a matrix's rows, the others together its columns."""

    def __init__(self, weights: Iterable[nn.Parameter], lr: float, momentum: float = 0.95) -> None:
        super().__init__(weights, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # noqa: ARG002 (torch's signature)
        """Move every weight that has a gradient."""
        for group in self.param_groups:
            by_shape = defaultdict(list)
            for weight in group["params"]:
                if weight.grad is not None:
                    by_shape[weight.flatten(1).shape].append(weight)
            for shape, weights in by_shape.items():
                momenta = torch.stack([self._momentum(weight, group["momentum"]) for weight in weights])
                updates = orthogonalize(momenta) * (ADAMW_RMS * max(shape) ** 0.5)
                for weight, update in zip(weights, updates, strict=True):
                    weight.sub_(update.view_as(weight), alpha=group["lr"])

    def _momentum(self, weight: nn.Parameter, decay: float) -> Tensor:
        """Nesterov's momentum of one weight, after its new gradient, as a matrix."""
        gradient = weight.grad
        assert gradient is not None
        state = self.state[weight]
        if not state:
            state["average"] = torch.zeros_like(gradient)
        state["average"].lerp_(gradient, 1 - decay)
        return gradient.lerp(state["average"], decay).flatten(1)
