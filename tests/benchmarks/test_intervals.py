"""The bootstrap over prompts."""

import numpy as np
import pytest

from clockwork_pack.benchmarks.yardsticks.intervals import bootstrap


def test_equal_values_leave_no_doubt():
    assert bootstrap(np.full(5, 2.0)) == (2.0, 2.0, 2.0)


def test_the_interval_has_the_width_that_theory_says():
    # Half zeros, half ones: the mean of 400 draws has the deviation 0.5 / 20, so 95% lie within 1.96 times that.
    mean, low, high = bootstrap(np.repeat([0.0, 1.0], 200))
    assert mean == 0.5
    assert low == pytest.approx(0.5 - 1.96 * 0.025, abs=0.006)
    assert high == pytest.approx(0.5 + 1.96 * 0.025, abs=0.006)


@pytest.mark.parametrize("values", [np.zeros(0), np.zeros((2, 2))])
def test_other_shapes_are_refused(values):
    with pytest.raises(ValueError, match="at least one number"):
        bootstrap(values)
