"""ControlNet, T2I-Adapter and ControlLora of the host, alone and chained, for all of a run or a part of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import toys
from cell import Cell, Patch
from comfy.controlnet import ControlBase, StrengthType
from torch import Tensor
from toy_controls import control_lora, control_net, hint, t2i_adapter
from toy_graph import call, graph, sample, toy

import nodes as host_nodes

AXIS = "control"
POSITIVE, NEGATIVE = toys.conditioning(10), toys.conditioning(11)
Pair = tuple[list, list]


def _apply(pair: Pair, control: ControlBase, strength: float = 0.7, start: float = 0.0, end: float = 1.0) -> Pair:
    return call(host_nodes.ControlNetApplyAdvanced, *pair, control, hint(), strength, start, end)


def _draw(patch: Patch, apply: Callable[[Pair], Pair], family: str = "sd15", batch: int = 1) -> Tensor:
    positive, negative = apply((POSITIVE, NEGATIVE))
    return sample(patch(toy(family)), positive=positive, negative=negative, batch=batch)


def _one(control: Callable[[], ControlBase], **settings: float) -> Callable[[Pair], Pair]:
    return lambda pair: _apply(pair, control(), **settings)


def _chained(first: Callable[[], ControlBase], second: Callable[[], ControlBase]) -> Callable[[Pair], Pair]:
    return lambda pair: _apply(_apply(pair, first()), second(), strength=0.4)


def _simple_node(pair: Pair) -> Pair:
    return call(host_nodes.ControlNetApply, pair[0], control_net(), hint(), 0.7), pair[1]


def _one_on_each_side(pair: Pair) -> Pair:
    return _apply(pair, control_net())[0], _apply(pair, control_net(seed=24))[1]


def _late_on_one_side(pair: Pair) -> Pair:
    return _apply(pair, control_net(), start=0.3)[0], pair[1]


def _fading(pair: Pair) -> Pair:
    """As packs do that let the control weigh less in high resolution."""
    control = control_net().copy()
    control.strength_type = StrengthType.LINEAR_UP
    return _apply(pair, control, strength=0.9)


def _hint_for_each(pair: Pair) -> Pair:
    return call(host_nodes.ControlNetApplyAdvanced, *pair, control_net(), hint(batch=2), 0.7, 0.0, 1.0)


def _in_an_area(pair: Pair) -> Pair:
    positive, negative = _apply(pair, control_net())
    return call(host_nodes.ConditioningSetArea, positive, 96, 96, 16, 16, 1.0) + toys.conditioning(12), negative


def _pooled() -> ControlBase:
    return control_net(global_average_pooling=True)


other_net = partial(control_net, seed=23)
sdxl_net = partial(control_net, "sdxl")
sdxl_adapter = partial(t2i_adapter, "sdxl")
CASES: list[tuple[str, str, Callable[[Pair], Pair], dict]] = [
    ("ControlNet", "all of the run", _one(control_net), {}),
    ("ControlNet", "start 20%, end 60%", _one(control_net, start=0.2, end=0.6), {}),
    ("ControlNet", "start 40%", _one(control_net, start=0.4), {}),
    ("ControlNet", "strength 0", _one(control_net, strength=0.0), {}),
    ("ControlNet", "by the simple node", _simple_node, {}),
    ("ControlNet", "positive only, start 30%", _late_on_one_side, {}),
    ("ControlNet", "another one for the negative", _one_on_each_side, {}),
    ("ControlNet", "strength that fades by block", _fading, {}),
    ("ControlNet", "global average pooling", _one(_pooled), {}),
    ("ControlNet", "batch of 2, a hint for each", _hint_for_each, {"batch": 2}),
    ("ControlNet", "in an area", _in_an_area, {}),
    ("ControlNet", "SDXL", _one(sdxl_net), {"family": "sdxl"}),
    ("two ControlNets, chained", "", _chained(control_net, other_net), {}),
    ("ControlNet and T2I-Adapter, chained", "", _chained(control_net, t2i_adapter), {}),
    ("T2I-Adapter", "all of the run", _one(t2i_adapter), {}),
    ("T2I-Adapter", "start 20%, end 60%", _one(t2i_adapter, start=0.2, end=0.6), {}),
    ("T2I-Adapter", "SDXL", _one(sdxl_adapter), {"family": "sdxl"}),
    ("ControlLora", "all of the run", _one(control_lora), {}),
]


def _no_control(pair: Pair) -> Pair:
    return pair


def _cell(subject: str, variant: str, apply: Callable[[Pair], Pair], options: dict, controls_rest: bool) -> Cell:
    # At strength 0 the host's node does nothing.
    without = None if variant == "strength 0" else graph(_draw, apply=_no_control, **options)
    words = [*([variant] if variant else []), f"reuse_control {'on' if controls_rest else 'off'}"]
    draw = graph(_draw, apply=apply, **options)
    return Cell(AXIS, subject, draw, ", ".join(words), without=without, controls_rest=controls_rest)


CELLS = [_cell(*case, controls_rest) for case in CASES for controls_rest in (False, True)]
