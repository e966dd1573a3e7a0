"""How often the host's samplers evaluate the denoiser, for plans of runs that have not begun."""

from __future__ import annotations

# Sampler: where, in steps from the one it takes, it evaluates besides that step's own beginning.
_MIDPOINT = (0,)
_CORRECTOR = (1,)
_MORE_EVALUATIONS: dict[str, tuple[int, ...]] = {
    "dpm_2": _MIDPOINT,
    "dpmpp_sde": _MIDPOINT,
    "dpmpp_sde_gpu": _MIDPOINT,
    "seeds_2": _MIDPOINT,
    "seeds_3": (0, 0),
    "heun": _CORRECTOR,
    "heunpp2": (1, 2),
    "sa_solver_pece": _CORRECTOR,
    # Half-way to where their noise sets out from, which mostly lies behind the next step's beginning.
    "dpm_2_ancestral": _CORRECTOR,
    "dpmpp_2s_ancestral": _CORRECTOR,
    "dpmpp_2s_ancestral_cfg_pp": _CORRECTOR,
}

UNPREDICTABLE = frozenset({"dpm_adaptive"})
"""Samplers whose number of evaluations depends on the picture."""


def steps_of_evaluations(sampler: str | None, steps: int) -> list[int]:
    """The step of each evaluation in a run of `steps` steps that goes down to sigma 0.

    sampler: the host's name; one evaluation per step is assumed of samplers that are not known here.
    """
    more = _MORE_EVALUATIONS.get(sampler or "", ())
    visited = []
    for step in range(steps):
        visited.append(step)
        if step < steps - 1:
            visited += [step + later for later in more if step + later < steps]
    return visited
