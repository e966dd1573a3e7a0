"""ControlNet on adaptor evaluations: its last residuals for the kept blocks, instead of a run of its own network.

Residuals for the low-res part would be dropped anyway, and those for the kept blocks change slowly, for the same
reason as r_out does. Full passes always get residuals of their own evaluation.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from . import host
from .cut import Cut, Place
from .schedule import Kind

# What ComfyUI's ControlNets give to its UNet: for each kind of block a list that the UNet pops from its end.
Residuals = dict[str, list[Tensor | None]]


class DeferredControl(dict):
    """Earlier residuals for the kept blocks, and a way to this evaluation's, should it need a full pass after all."""

    def __init__(self, residuals: Residuals, run_network: Callable[[], Residuals | None]) -> None:
        super().__init__(residuals)
        self.run_network = run_network


def whole_control(control: Residuals | None) -> Residuals | None:
    """Residuals for all blocks, of this evaluation."""
    return control.run_network() if isinstance(control, DeferredControl) else control


def residuals_of_kept_blocks(residuals: Residuals, cut: Cut, blocks: int) -> Residuals:
    """The same lists, with None in place of what the high-res part does not use."""
    inputs, outputs = residuals.get("input", []), residuals.get("output", [])
    # The downsample that leads to a learned adaptor is an input block of its own.
    used_inputs = cut.kept_blocks + (cut.place is Place.BEFORE_UPSAMPLE)
    unused_inputs = max(0, len(inputs) - used_inputs)
    used_outputs = max(0, len(outputs) - (blocks - cut.kept_blocks))
    return {
        "input": [*[None] * unused_inputs, *inputs[unused_inputs:]],
        "middle": [None] * len(residuals.get("middle", [])),
        "output": [*outputs[:used_outputs], *[None] * (len(outputs) - used_outputs)],
    }


def activity_of(control: Any, timestep: Tensor) -> tuple[bool, ...]:
    """Which ControlNets of a chain act at `timestep` (B,), given their start and end percents; the last one first."""
    active = []
    while control is not None:
        window = getattr(control, "timestep_range", None)
        active.append(window is None or bool(window[1] <= timestep[0] <= window[0]))
        control = getattr(control, "previous_controlnet", None)
    return tuple(active)


@dataclass(frozen=True)
class _Remembered:
    shape: tuple[int, ...]
    activity: tuple[bool, ...]
    residuals: Residuals

    @property
    def size_bytes(self) -> int:
        return sum(residual.nbytes for kind in self.residuals.values() for residual in kind if residual is not None)


class ControlMemory:
    """The latest residuals of a run, for each batch of conditionings that a ControlNet was run for."""

    def __init__(self, cut: Cut, blocks: int) -> None:
        self._cut = cut
        self._blocks = blocks
        self._remembered: dict[Hashable, _Remembered] = {}
        self.peak_bytes = 0
        self.calls: Counter[Kind] = Counter()  # FULL: a network ran. ADAPTOR: it was spared.

    def clear(self) -> None:
        self._remembered.clear()

    def remember(self, key: Hashable, shape: tuple[int, ...], activity: tuple[bool, ...], residuals: Residuals) -> None:
        kept = residuals_of_kept_blocks(residuals, self._cut, self._blocks)
        self._remembered[key] = _Remembered(shape, activity, kept)
        self.peak_bytes = max(self.peak_bytes, sum(each.size_bytes for each in self._remembered.values()))

    def recall(self, key: Hashable, shape: tuple[int, ...], activity: tuple[bool, ...]) -> Residuals | None:
        """Residuals that may be used again: of the same latents' shape, while the same ControlNets act."""
        found = self._remembered.get(key)
        if found is None or (found.shape, found.activity) != (shape, activity):
            return None
        return found.residuals


class RestingControl:
    """Stands for a ControlNet (or a chain of them) in the conditionings, for one evaluation.

    occurrence: tells batches of the same conditionings within an evaluation apart (SAG and PAG make such).
    """

    def __init__(
        self, control: Any, memory: ControlMemory, planned: Kind, occurrence: Callable[[Hashable], Hashable]
    ) -> None:
        self._control = control
        self._memory = memory
        self._planned = planned
        self._occurrence = occurrence

    def __getattr__(self, name: str) -> Any:
        return getattr(self._control, name)

    def get_control(
        self, x: Tensor, timestep: Tensor, cond: dict, batched_number: int, transformer_options: dict
    ) -> Residuals | None:
        """As the host's: residuals for latents x (B, C, H, W) at `timestep` (B,); deferred on adaptor evaluations."""
        memory = self._memory
        key = self._occurrence(_batch_of(transformer_options))
        shape, activity = tuple(x.shape), activity_of(self._control, timestep)

        def run_network() -> Residuals | None:
            residuals = self._control.get_control(x, timestep, cond, batched_number, transformer_options)
            if residuals is not None:
                memory.calls[Kind.FULL] += 1
                memory.remember(key, shape, activity, residuals)
            return residuals

        earlier = memory.recall(key, shape, activity) if self._planned is Kind.ADAPTOR else None
        if earlier is None:
            return run_network()

        def run_network_after_all() -> Residuals | None:
            memory.calls[Kind.ADAPTOR] -= 1
            return run_network()

        memory.calls[Kind.ADAPTOR] += 1
        return DeferredControl(earlier, run_network_after_all)


def with_resting_controls(
    conds: list[list[dict] | None],
    memory: ControlMemory,
    planned: Kind,
    occurrence: Callable[[Hashable], Hashable],
) -> list[list[dict] | None]:
    """Copies of the conditionings (one list for each side) in which `RestingControl` stands for each ControlNet.

    Conditionings that share a ControlNet still do: the host batches only such together.
    """
    stand_ins: dict[int, RestingControl] = {}

    def copy(cond: dict) -> dict:
        control = cond.get("control")
        if control is None:
            return cond
        stand_in = stand_ins.setdefault(id(control), RestingControl(control, memory, planned, occurrence))
        return {**cond, "control": stand_in}

    return [None if side is None else [copy(cond) for cond in side] for side in conds]


def _batch_of(transformer_options: dict[str, Any]) -> Hashable:
    """Which conditionings are evaluated together."""
    return (
        tuple(transformer_options.get("uuids", ())),
        tuple(transformer_options.get("cond_or_uncond", ())),
        host.context_window_of(transformer_options),
    )
