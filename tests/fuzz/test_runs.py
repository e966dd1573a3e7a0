"""Whole runs drawn by hypothesis, held against the naive reference: the same kinds of evaluations, the same bits."""

import pytest
import torch
from clockwork import kinds, with_clockwork
from fuzz_cases import Case, cases, model_of, run, schedule_of
from hypothesis import example, given
from lifetimes import condition_of, watch_lifetimes
from scheduled_reference import ScheduledReference


@pytest.mark.slow
@given(case=cases())
@example(case=Case(family="sd15", size=(15, 17)))
@example(case=Case(family="sdxl", sampler="heun", rule=("full steps", frozenset({0, 2}))))
@example(case=Case(family="ssd-1b", kept=5, rule=("list", "1001"), dtype="bfloat16"))
def test_a_run_equals_the_naive_reference(case):
    model = model_of(case.family, case.dtype)
    reference = ScheduledReference(case.rule, case.window, case.kept)
    expected = run(case, reference.patch(model))
    patched = with_clockwork(
        model, kept_blocks=case.kept, schedule=schedule_of(case), start=case.window[0], end=case.window[1]
    )
    before = condition_of(patched)
    with pytest.MonkeyPatch.context() as patch, watch_lifetimes(patch) as watch:
        result = run(case, patched)
        watch.assert_all_dead()
    assert condition_of(patched) == before
    assert kinds(patched) == reference.kinds
    torch.testing.assert_close(result, expected, rtol=0, atol=0, equal_nan=True)
