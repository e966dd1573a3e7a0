"""Another node's patch throws: in each block, in full and in adaptor passes."""

import pytest
import torch
from clockwork import kinds, last_report, with_clockwork
from lifetimes import condition_of

BLOCKS = 12
KEPT = 3
KEPT_BLOCKS = [*(("input", block) for block in range(KEPT)), *(("output", block) for block in range(12 - KEPT, 12))]
LOW_RES_BLOCKS = [
    *(("input", block) for block in range(KEPT, BLOCKS)),
    ("middle", 0),
    *(("output", block) for block in range(BLOCKS - KEPT)),
]


class BrokenPatchError(Exception):
    """What the other node's patch throws."""


class BrokenPatch:
    """Throws when a block is reached for the n-th time."""

    def __init__(self, block, at_visit):
        self.block, self.at_visit, self.visits = block, at_visit, 0

    def install(self, model):
        """Through the patch point that the host has in this kind of block."""
        kind = self.block[0]
        if kind == "input":
            model.set_model_input_block_patch(lambda h, options: self._check(options, h))
        elif kind == "output":
            model.set_model_output_block_patch(lambda h, skip, options: self._check(options, (h, skip)))
        else:
            model.set_model_attn1_patch(lambda q, k, v, options: self._check(options, (q, k, v)))

    def _check(self, options, value):
        if options["block"] == self.block:
            self.visits += 1
            if self.visits == self.at_visit:
                raise BrokenPatchError(f"in {self.block}")
        return value


@pytest.fixture(scope="module")
def patched(toy):
    """One patched model for all tests: each goes on where the one before it broke off."""
    return with_clockwork(toy, kept_blocks=KEPT)


@pytest.mark.parametrize(
    ("block", "at_visit", "evaluation"),
    [
        # A kept block is visited in each evaluation, FaFa; one of the low-res part in the full ones only.
        *((block, visit, visit - 1) for block in KEPT_BLOCKS for visit in (1, 2, 3, 4)),
        *((block, visit, 2 * visit - 2) for block in LOW_RES_BLOCKS for visit in (1, 2)),
    ],
)
def test_at_each_block(draw, patched, watch, block, at_visit, evaluation):
    broken = patched.clone()
    BrokenPatch(block, at_visit).install(broken)
    before = condition_of(broken)
    with pytest.raises(BrokenPatchError, match=block[0]) as caught:
        draw(broken)
    del caught
    assert kinds(patched)[: evaluation + 1] == "FaFa"[:evaluation] + "F", "one without a finished call counts as full"
    assert not last_report(patched).finished
    watch.assert_all_dead()
    assert condition_of(broken) == before


def test_the_run_after_all_of_that(draw, patched, first_run):
    """Its patches have thrown once in each block: the same patched model draws what a fresh one draws."""
    assert torch.equal(draw(patched), first_run)


@pytest.mark.parametrize("block", [("input", 1), ("middle", 0), ("output", 2), ("output", 10)])
def test_the_same_broken_model_once_more(draw, patched, first_run, block):
    broken = patched.clone()
    BrokenPatch(block, 2).install(broken)
    with pytest.raises(BrokenPatchError):
        draw(broken)
    assert torch.equal(draw(broken), first_run)
    assert kinds(patched) == "FaFa"
