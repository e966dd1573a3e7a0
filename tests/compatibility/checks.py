"""What each cell of the matrix must hold, on pictures of toy models.

The bound of a cell is not guessed: it is the distance that the naive reference (tests/helpers/seam.py) has to the
picture without Clockwork. As the reference runs the same operations on the same numbers in all blocks that
count, ours is not only as near, it is the same picture, bit for bit.
"""

from __future__ import annotations

import functools
import gc
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

import pytest
import torch
from cell import Cell, Draw, Outcome, Patch
from clockwork import with_clockwork
from comfy.model_patcher import ModelPatcher
from seam import SeamReference
from torch import Tensor

from clockwork_pack.clockwork_core.cut import choose_kept_blocks, geometry_of
from clockwork_pack.clockwork_core.metrics import psnr, relative_error
from clockwork_pack.clockwork_core.report import Evaluation
from clockwork_pack.clockwork_core.runtime import reports_of
from clockwork_pack.clockwork_core.schedule import Kind
from clockwork_pack.clockwork_core.trace import Trace

# Two adaptor evaluations in a row: the second must still see the features of the full one, unchanged.
CLOCK = 3


@dataclass(frozen=True)
class Result:
    """A row of out/compatibility.json. Distances are to the picture without Clockwork; None where refused."""

    axis: str
    subject: str
    variant: str
    outcome: str
    note: str
    expectation: str = ""
    exact: bool | None = None
    full: int | None = None
    adaptor: int | None = None
    naive_relative_error: float | None = None
    relative_error: float | None = None
    naive_psnr: float | None = None
    psnr: float | None = None

    @classmethod
    def of(cls, cell: Cell, outcome: str, **figures: object) -> Result:
        words = cell.expectation.words if cell.expectation else ""
        return cls(cell.axis, cell.subject, cell.variant, outcome, cell.note, words, **figures)  # type: ignore[arg-type]

    def to_dict(self) -> dict:
        return asdict(self)


class Patching:
    """Stands where the Clockwork node would; remembers what it patched."""

    def __init__(self, clock: int, cell: Cell) -> None:
        self.clock = clock
        self.cell = cell
        self.patched: list[ModelPatcher] = []

    def __call__(self, model: ModelPatcher) -> ModelPatcher:
        kept_blocks = kept_blocks_of(model, self.cell.cut)
        patched = with_clockwork(model, self.clock, kept_blocks, reuse_control=self.cell.controls_rest)
        self.patched.append(patched)
        return patched

    @property
    def evaluations(self) -> list[Evaluation]:
        """Of all runs of all patched models."""
        reports = [report for model in self.patched for report in reports_of(model)._reports]
        return [evaluation for report in reports for evaluation in report.evaluations]

    @property
    def kinds(self) -> str:
        return "".join("F" if evaluation.kind is Kind.FULL else "a" for evaluation in self.evaluations)


class NaivePatching:
    """The same for the naive reference."""

    def __init__(self, clock: int, cell: Cell) -> None:
        self.clock = clock
        self.cell = cell
        self.references: list[SeamReference] = []

    def __call__(self, model: ModelPatcher) -> ModelPatcher:
        kept_blocks = kept_blocks_of(model, self.cell.cut)
        self.references.append(SeamReference(self.clock, kept_blocks, self.cell.controls_rest))
        return self.references[-1].patch(model)

    @property
    def kinds(self) -> str:
        return "".join(reference.kinds for reference in self.references)


def kept_blocks_of(model: ModelPatcher, cut: str) -> int:
    return choose_kept_blocks(geometry_of(model), cut, kept_blocks=1)


def examine(cell: Cell) -> Result:
    """Check all that a cell must hold, and say what was measured. Raises AssertionError where it does not."""
    if cell.refusal is not None:
        return examine_refusal(cell)
    plain = draw_once(cell.draw)
    assert torch.isfinite(plain).all(), "the cell itself draws no numbers"
    assert cell.without is None or not torch.equal(plain, draw_once(cell.without)), "the subject does nothing"
    assert torch.equal(draw(cell.draw, Patching(1, cell)), plain), "clock 1 is not the host, bit for bit"
    with all_features_die():
        patching = Patching(CLOCK, cell)
        ours = draw(cell.draw, patching)
        again = draw(cell.draw, Patching(CLOCK, cell))
    assert torch.equal(again, ours), "the second run differs from the first"
    naive_patching = NaivePatching(CLOCK, cell)
    naive = draw(cell.naive_draw or cell.draw, naive_patching)
    reasons = frozenset(reason for evaluation in patching.evaluations for reason in evaluation.reasons)
    outcome = Outcome(plain, ours, naive, patching.kinds, naive_patching.kinds, reasons)
    (cell.expectation.check if cell.expectation else agrees_with_the_naive_reference)(outcome)
    return Result.of(cell, "passed", **figures_of(outcome))


def examine_refusal(cell: Cell) -> Result:
    assert cell.refusal is not None
    with pytest.raises(ValueError, match=cell.refusal):
        draw(cell.draw, Patching(CLOCK, cell))
    return Result.of(cell, "refused")


def agrees_with_the_naive_reference(outcome: Outcome) -> None:
    assert outcome.kinds == outcome.naive_kinds
    assert "a" in outcome.kinds, "nothing was skipped"
    assert not torch.equal(outcome.naive, outcome.plain), "the cell cannot tell reused features from fresh ones"
    assert torch.equal(outcome.ours, outcome.naive), f"ours is {distance(outcome.ours, outcome.naive):.1e} off"
    assert distance(outcome.ours, outcome.plain) <= distance(outcome.naive, outcome.plain)


def distance(latent: Tensor, reference: Tensor) -> float:
    return relative_error(latent, reference).max().item()


def figures_of(outcome: Outcome) -> dict[str, object]:
    peak = (outcome.plain.max() - outcome.plain.min()).item()

    def decibels(latent: Tensor) -> float | None:
        worst = psnr(latent, outcome.plain, peak).min().item()
        return None if worst == float("inf") else worst

    return {
        "exact": torch.equal(outcome.ours, outcome.naive),
        "full": outcome.kinds.count("F"),
        "adaptor": outcome.kinds.count("a"),
        "naive_relative_error": distance(outcome.naive, outcome.plain),
        "relative_error": distance(outcome.ours, outcome.plain),
        "naive_psnr": decibels(outcome.naive),
        "psnr": decibels(outcome.ours),
    }


def draw(graph: Draw, patch: Patch) -> Tensor:
    """Draw with the global random numbers in the same place each time: some nodes use them."""
    torch.manual_seed(0)
    return graph(patch)


@functools.cache
def draw_once(graph: Draw) -> Tensor:
    """A graph without Clockwork; drawn once for all cells that share the very same `graph` object."""
    return draw(graph, lambda model: model)


@contextmanager
def all_features_die() -> Iterator[None]:
    """Nothing that any trace remembers inside the block outlives it."""
    references: list[weakref.ref] = []
    original = Trace.remember

    def remember(self, stream, features):
        references.append(weakref.ref(features.r_out))
        original(self, stream, features)

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(Trace, "remember", remember)
        yield
    if any(reference() is not None for reference in references):
        gc.collect()
    assert not [reference for reference in references if reference() is not None], "features outlive their run"
