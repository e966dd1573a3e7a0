"""What a training begins with: a network that does nothing yet, on fitted maps where the architecture has those."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ..affine import Affine
from ..learned import LearnedAdaptor, untrained
from ..refined import Refined
from .checkpoint import load_checkpoint
from .fit import FitPlan, fit
from .plan import TrainingPlan, split

# Pictures that maps are fitted on.
FITTED_ON = 32


def saved_state(plan: TrainingPlan) -> dict[str, Any] | None:
    """The state of a training to go on with. Raises ValueError if it is of another plan."""
    if plan.checkpoint is None or not plan.checkpoint.exists():
        return None
    state = load_checkpoint(plan.checkpoint)
    plan.require_same(state["plan"])
    return state


def begin(plan: TrainingPlan, saved: dict[str, Any] | None, say: Callable[[str], None]) -> LearnedAdaptor:
    """The adaptor before its first update. saved: of a training that goes on, whose weights are yet to be filled in."""
    if plan.description.architecture != "refined":
        return untrained(plan.description, plan.settings.seed)
    if saved is not None:
        return _with_solutions(plan, len(saved["distillation"]["network"]["fitted.log_snr"]))
    say(f"Fitting maps on {FITTED_ON} pictures.")
    maps = fit(_fit_plan(plan)).adaptor.network
    assert isinstance(maps, Affine)
    adaptor = _with_solutions(plan, len(maps.log_snr))
    assert isinstance(adaptor.network, Refined)
    adaptor.network.begin_with(maps)
    return adaptor


def _with_solutions(plan: TrainingPlan, solutions: int) -> LearnedAdaptor:
    description = plan.description
    return untrained(replace(description, config=description.config.on(solutions)), plan.settings.seed)


def _fit_plan(plan: TrainingPlan) -> FitPlan:
    return FitPlan(
        plan.model,
        [plan.prompts[number] for number in split(len(plan.prompts))[0]],
        plan.negative,
        plan.latent,
        plan.points[0],
        plan.description.seam.kept_blocks,
        pictures=FITTED_ON,
        seed=plan.settings.seed,
        memory_bytes=plan.memory_bytes,
    )
