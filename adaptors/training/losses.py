"""What an adaptor is trained to make small; each loss gives one mean squared error for each sample.

The paper minimises the error of r_out (section 3.2). Under classifier-free guidance g the picture sees
g * e_cond - (g - 1) * e_uncond: the identity's two errors are nearly the same vector, so guidance cancels most of them,
while an adaptor that makes each smaller, but less equal, makes the picture worse. The guided output tells them apart.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from .pairs import Batch


def guided(output: Tensor, streams: int, cfg: float) -> Tensor:
    """Outputs (S * B, …), cond before uncond, put together as the host's samplers do (B, …)."""
    if streams == 1:
        return output
    cond, uncond = output.chunk(2)
    return uncond + cfg * (cond - uncond)


def guided_output(batch: Batch, r_out: Tensor, output: Tensor, cfg: float) -> Tensor:  # noqa: ARG001
    """The error of what the sampler gets (B,); without guidance, of the UNet's output."""
    return _mean_square(guided(output - batch.output, batch.streams, cfg), batch.size)


def plain_output(batch: Batch, r_out: Tensor, output: Tensor, cfg: float) -> Tensor:  # noqa: ARG001
    """The mean error of the UNet's outputs (B,), cond and uncond by themselves."""
    return _mean_square(output - batch.output, batch.size)


def features(batch: Batch, r_out: Tensor, output: Tensor, cfg: float) -> Tensor:  # noqa: ARG001
    """The error of r_out (B,), the paper's."""
    assert batch.r_out is not None, "kept where this loss is in use"
    return _mean_square(r_out - batch.r_out, batch.size)


def _mean_square(error: Tensor, size: int) -> Tensor:
    """(S * B, …) to (B,): the mean over streams and all else."""
    return error.float().square().unflatten(0, (-1, size)).transpose(0, 1).flatten(1).mean(1)


def needs_r_out(loss: str) -> bool:
    """Whether the loss looks at the features themselves, not at what the UNet makes of them."""
    return LOSSES[loss] is features


# The order is that of Pair.identity_errors.
LOSSES: dict[str, Callable[[Batch, Tensor, Tensor, float], Tensor]] = {
    "guided output": guided_output,
    "output": plain_output,
    "features": features,
}
DEFAULT_LOSS = "guided output"
SMALLEST_ERROR = 1e-8


def relative(error: Tensor, identity_error: Tensor, evenness: float, typical: float) -> Tensor:
    """Errors (B,) on the scale of the identity's (B,).

    evenness: 1 weighs each evaluation alike, 0 each by how far the identity is off there.
    typical: the identity's mean error, which keeps the size of the loss the same for each evenness.
    """
    own = identity_error.clamp(min=SMALLEST_ERROR)
    return error / (own**evenness * max(typical, SMALLEST_ERROR) ** (1.0 - evenness))
