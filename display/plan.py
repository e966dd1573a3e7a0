"""What a node's strip shows before a run: the schedule's own answer, and about what it saves.

The browser asks for this whenever a widget has changed, so that schedules are told in one place only: here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..clockwork_core.checks import require_number, require_whole_number, shown
from ..clockwork_core.evaluations import UNPREDICTABLE
from ..clockwork_core.modes import build_schedule
from ..clockwork_core.schedule import EveryN, Kind, Window, plan

MOST_STEPS = 10_000  # the most that the host's samplers take

TYPICAL_COSTS = {
    "stage 1": {"SDXL": 0.066, "SD 1.5": 0.380},
    "stage 2": {"SDXL": 0.306, "SD 1.5": 0.673},
}
"""FLOPs of an adaptor pass as a share of a full one, by cut, at each model's own size."""

LETTERS = {Kind.FULL: "F", Kind.ADAPTOR: "a"}


def letters(kinds: list[Kind]) -> str:
    """One letter for each evaluation, such as "FaFa"."""
    return "".join(LETTERS[kind] for kind in kinds)


def answer(question: Any) -> dict[str, Any]:
    """The plan for the values that a node's widgets show.

    question: clock, start_percent, end_percent and cut of the Clockwork node; schedule: the values of the Clockwork
    Schedule node that is connected, or None; steps and sampler of the sampler node; adaptor_cost: what the last
    run of this node found, as a share of a full pass, or None.
    Returns {"error": a sentence} for values that the nodes would refuse.
    """
    try:
        return _answer(question)
    except ValueError as error:
        return {"error": str(error)}
    except KeyError as error:
        return {"error": f"The schedule has no {error}."}


def _answer(question: Any) -> dict[str, Any]:
    if not isinstance(question, Mapping):
        raise ValueError(f"The question is {shown(question)}, but must be an object.")
    steps: Any = question.get("steps")
    values, sampler = question.get("schedule"), question.get("sampler")
    require_whole_number("steps", steps)
    if not 1 <= steps <= MOST_STEPS:
        raise ValueError(f"steps is {shown(steps)}, but must lie between 1 and {MOST_STEPS}.")
    schedule = build_schedule(values) if isinstance(values, Mapping) else EveryN(question.get("clock", 0))
    window = Window(question.get("start_percent", 0.0), question.get("end_percent", 1.0))
    kinds = plan(schedule, window, steps, sampler if isinstance(sampler, str) else None)
    return {
        "kinds": letters(kinds),
        "schedule": schedule.describe(),
        "exact": sampler not in UNPREDICTABLE,
        "saved_percent": _saved_percent(kinds, question),
    }


def _saved_percent(kinds: list[Kind], question: Mapping[str, Any]) -> dict[str, float]:
    """Percent of the FLOPs that the plan saves, by model; "" is the model that the node has run before."""
    cost = question.get("adaptor_cost")
    if cost is None:
        costs = TYPICAL_COSTS.get(str(question.get("cut")), {})
    else:
        require_number("adaptor_cost", cost)
        costs = {"": float(cost)}
    adaptor_share = kinds.count(Kind.ADAPTOR) / len(kinds)
    return {model: 100.0 * adaptor_share * (1.0 - cost) for model, cost in costs.items()}
