"""How far a mean over prompts may be trusted: percentile bootstrap (Efron, 1979)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

RESAMPLES = 2000
CONFIDENCE = 0.95
_SEED = 4


class Interval(NamedTuple):
    """A mean and the interval that holds it with `CONFIDENCE`."""

    mean: float
    low: float
    high: float


def bootstrap(values: np.ndarray) -> Interval:
    """The mean of values (prompts,) with the interval of its means over prompts drawn with replacement.

    The same prompts are drawn on each call, so two variants of one set of prompts meet the same luck.
    Raises ValueError if there are no values.
    """
    if values.ndim != 1 or len(values) == 0:
        raise ValueError(f"values have the shape {values.shape}, but must be a list with at least one number.")
    draws = np.random.default_rng(_SEED).integers(len(values), size=(RESAMPLES, len(values)))
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(values[draws].mean(1), (tail, 1 - tail))
    return Interval(float(values.mean()), float(low), float(high))
