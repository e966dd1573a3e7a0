"""What a user may choose of a training."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ...clockwork_core.checks import require_number, require_switch, require_text, require_whole_number, shown
from .losses import DEFAULT_LOSS, LOSSES

LARGEST_SEED = 2**32 - 1
GIGABYTE = 2**30


@dataclass(frozen=True)
class TrainingSettings:
    """All that decides the weights, beside the model, the prompts and the kind of run.

    iterations: updates. batch: pairs in each. learning_rate: Adam's, falling to zero over the iterations.
    loss: a name in `losses.LOSSES`. evenness: see `losses.relative`.
    trajectories: how many pictures the teacher draws in all; they come in during the first part of the training.
    teacher_batch: how many of them at once.
    on_policy: whether the adaptor itself, as far as it is trained, draws the trajectories that it learns from.
    average: the longest memory of the weights' moving average, which is what is kept.
    patience: how many checks on held-out prompts may bring nothing before the training stops; 0 = never stop.

    Raises ValueError, naming the bad value and the valid ones.
    """

    iterations: int = 2000
    batch: int = 16
    learning_rate: float = 1e-3
    loss: str = DEFAULT_LOSS
    evenness: float = 1.0
    trajectories: int = 256
    teacher_batch: int = 8
    on_policy: bool = False
    average: float = 0.99
    patience: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("iterations", "batch", "trajectories", "teacher_batch"):
            require_whole_number(name, getattr(self, name))
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {shown(getattr(self, name))}, but must be at least 1.")
        for name in ("seed", "patience"):
            require_whole_number(name, getattr(self, name))
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {shown(getattr(self, name))}, but must not be negative.")
        if self.seed > LARGEST_SEED:
            raise ValueError(f"seed is {shown(self.seed)}, but must be at most {LARGEST_SEED}.")
        require_switch("on_policy", self.on_policy)
        for name, low, high in (("learning_rate", 0.0, 1.0), ("evenness", 0.0, 1.0), ("average", 0.0, 1.0)):
            value = getattr(self, name)
            require_number(name, value)
            if not low <= value <= high or math.isnan(value):
                raise ValueError(f"{name} is {shown(value)}, but must lie between {low} and {high}.")
        require_text("loss", self.loss)
        if self.loss not in LOSSES:
            raise ValueError(f"loss is {shown(self.loss)}, but must be one of {', '.join(LOSSES)}.")

    def rate_at(self, iteration: int) -> float:
        """The learning rate of iteration 0, 1, …, by its number, so that a pause changes nothing."""
        warm_up = min(1.0, (iteration + 1) / (1 + self.iterations // 50))
        return self.learning_rate * warm_up * (1.0 - iteration / self.iterations)

    def trajectories_at(self, iteration: int) -> int:
        """How many trajectories must be there before this iteration: a quarter at once, all after half of the time."""
        first = max(self.teacher_batch, self.trajectories // 4)
        due = first + (self.trajectories - first) * min(1.0, 2.0 * iteration / self.iterations)
        return min(self.trajectories, math.ceil(due / self.teacher_batch) * self.teacher_batch)
