"""The naive reference under any schedule: which evaluations are full is spelled out here once more, from its words."""

from __future__ import annotations

from seam import SeamReference

SIGMA_TOLERANCE = 1e-3


def is_full(rule, evaluation, since_origin, step, steps, first_in_step):
    """What a schedule asks for at one evaluation. rule: the name of its kind and its value."""
    kind, value = rule
    if kind == "clock":
        clock, offset = value
        return (since_origin - offset) % clock == 0
    if kind == "list":
        return value[evaluation % len(value)] == "1"
    if kind == "full steps":
        return step in value and first_in_step
    return step in dense_early(value, steps) and first_in_step


def dense_early(passes, steps):
    """Squares, rounded down, each moved on to the next free step."""
    count, taken = min(passes, steps), []
    for index in range(count):
        step = int(steps * (index / count) ** 2 + 1e-9)
        while step in taken or (taken and step < taken[-1]):
            step += 1
        taken.append(step)
    return taken


class ScheduledReference(SeamReference):
    """rule: see `is_full`. window: start and end as shares of the steps."""

    def __init__(self, rule, window, kept):
        super().__init__(clock=None, kept=kept)
        self.rule, self.window = rule, window

    def _run(self, executor, *args, **kwargs):
        self.sigmas = [float(sigma) for sigma in args[3]]
        self.steps = len(self.sigmas) - 1
        self.origin, self.visited = 0, []
        return super()._run(executor, *args, **kwargs)

    def _evaluation(self, executor, *args, **kwargs):
        step = self._step(float(args[1].max()))
        if self.visited and step < self.visited[-1] - 1:
            self.features = {}
        inside = self.window[0] <= step / self.steps < self.window[1]
        asked = is_full(
            self.rule, self.index, self.index - self.origin, step, self.steps, first_in_step=step not in self.visited
        )
        if not inside:
            self.origin = self.index
        self.visited.append(step)
        # The clock of the base class is not used: what it decides is replaced below.
        self.clock = 1 if self.index == 0 or not inside or asked else self.index + 1
        return super()._evaluation(executor, *args, **kwargs)

    def _step(self, sigma):
        """Falling sigmas: the last listed one that has been reached, up to the rounding of half floats."""
        reached = [sigma <= listed * (1 + SIGMA_TOLERANCE) for listed in self.sigmas]
        count = reached.index(False) if False in reached else len(reached)
        return min(max(count - 1, 0), self.steps - 1)
