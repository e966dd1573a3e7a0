"""Where in the sigma list an evaluation lies. Samplers evaluate at, between and beyond the listed sigmas."""

from __future__ import annotations

import math
from collections.abc import Sequence

# Sigmas pass through float16 or float32 on their way to the denoiser and back.
RELATIVE_TOLERANCE = 1e-3
# log(0) for the last sigma of an inverted run: far below any sigma that a model was trained on.
SMALLEST_SIGMA = 1e-6


def step_of(sigma: float, sigmas: Sequence[float]) -> int:
    """Index of the interval of `sigmas` that `sigma` lies in, 0 .. len(sigmas) - 2.

    sigmas: the run's whole list, falling (generation) or rising (inversion). A sigma at a boundary belongs to
    the interval that begins there; one outside the list to the nearest interval.
    """
    intervals = max(1, len(sigmas) - 1)
    rising = len(sigmas) > 1 and sigmas[-1] > sigmas[0]
    begun = 0
    for boundary in sigmas:
        slack = RELATIVE_TOLERANCE * abs(boundary)
        reached = sigma >= boundary - slack if rising else sigma <= boundary + slack
        if not reached:
            break
        begun += 1
    return min(max(begun - 1, 0), intervals - 1)


def log_snr(sigma: float) -> float:
    """lambda = -log sigma, half the logarithm of the signal-to-noise ratio."""
    return -math.log(max(sigma, SMALLEST_SIGMA))
