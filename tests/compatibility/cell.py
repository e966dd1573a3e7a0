"""A cell of the compatibility matrix: data, and nothing that checks it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from comfy.model_patcher import ModelPatcher
from torch import Tensor

Patch = Callable[[ModelPatcher], ModelPatcher]
Draw = Callable[[Patch], Tensor]


@dataclass(frozen=True)
class Outcome:
    """What the pictures of one cell were. plain: without Clockwork. naive: by the naive reference.

    kinds, naive_kinds: the evaluations of both, such as "FaaFa". reasons: why passes were full against the plan.
    """

    plain: Tensor
    ours: Tensor
    naive: Tensor
    kinds: str
    naive_kinds: str
    reasons: frozenset[str]


@dataclass(frozen=True)
class Expectation:
    """What a cell promises in place of agreement with the naive reference.

    words: for the page. check: raises AssertionError where the promise does not hold.
    """

    words: str
    check: Callable[[Outcome], None]


@dataclass(frozen=True)
class Cell:
    """One thing that people put into a graph, together with Clockwork.

    draw: builds the graph and returns its latents (B, ...); its argument stands where the Clockwork node would.
    variant: which of several ways to use the subject. note: what a user should know.
    without: the graph without the subject, which must draw something else, or the cell would test nothing.
    naive_draw: the graph for the naive reference, if it must differ. refusal: what the error must say, if refused.
    controls_rest: the node's reuse_control.
    """

    axis: str
    subject: str
    draw: Draw
    variant: str = ""
    note: str = ""
    cut: str = "stage 1"
    without: Draw | None = None
    naive_draw: Draw | None = None
    expectation: Expectation | None = None
    refusal: str | None = None
    controls_rest: bool = False

    @property
    def id(self) -> str:
        return "/".join(part for part in (self.axis, self.subject, self.variant) if part)
