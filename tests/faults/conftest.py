"""Shared by all tests that break a run: one toy model, what its first run draws, and a watch over what it leaves."""

import pytest
import toys
from clockwork import with_clockwork
from lifetimes import watch_lifetimes

STEPS = 4


@pytest.fixture(scope="module")
def toy():
    return toys.toy_model("sd15")


@pytest.fixture(scope="module")
def draw():
    """draw(model, **changes) -> the latent of a short run of a few evaluations, FaFa with clock 2."""

    def run(model, **changes):
        return toys.sample(model, **{"steps": STEPS, "size": (8, 8), **changes})

    return run


@pytest.fixture(scope="module")
def first_run(toy, draw):
    """What the first run of a freshly patched model draws."""
    return draw(with_clockwork(toy))


@pytest.fixture
def watch(monkeypatch):
    with watch_lifetimes(monkeypatch) as watching:
        yield watching
