import math

import pytest

from clockwork_pack.clockwork_core.steps import log_snr, step_of

FALLING = [14.0, 7.0, 3.0, 1.0, 0.0]
RISING = FALLING[::-1]


@pytest.mark.parametrize(
    ("sigma", "step"),
    [
        (14.0, 0),
        (13.999, 0),  # rounded on its way through half precision
        (20.0, 0),  # churned above the list
        (10.0, 0),
        (7.0, 1),
        (7.003, 1),
        (5.0, 1),
        (1.0, 3),
        (0.02, 3),
        (0.0, 3),
    ],
)
def test_falling(sigma, step):
    assert step_of(sigma, FALLING) == step


@pytest.mark.parametrize(("sigma", "step"), [(0.0, 0), (0.5, 0), (1.0, 1), (3.0, 2), (7.0, 3), (14.0, 3), (30.0, 3)])
def test_rising_list_of_an_inversion(sigma, step):
    assert step_of(sigma, RISING) == step


@pytest.mark.parametrize("sigmas", [[], [3.0], [3.0, 0.0]])
def test_short_lists(sigmas):
    assert step_of(3.0, sigmas) == 0


def test_log_snr():
    assert log_snr(math.e) == pytest.approx(-1.0)
    assert math.isfinite(log_snr(0.0))
