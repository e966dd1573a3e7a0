"""Nothing of a run survives it: after a normal end, an exception, or an interrupt."""

import gc
import weakref

import comfy.model_management
import pytest
import torch
import toys
from clockwork import last_report, with_clockwork

from clockwork_pack.clockwork_core.trace import Trace


@pytest.fixture
def remembered(monkeypatch):
    """Weak references to all features that any trace ever held."""
    references = []
    original = Trace.remember

    def remember(self, stream, features):
        references.append(weakref.ref(features.r_out))
        original(self, stream, features)

    monkeypatch.setattr(Trace, "remember", remember)
    return references


def assert_all_dead(references):
    gc.collect()
    assert references, "something was remembered"
    assert [reference for reference in references if reference() is not None] == []


def failing_patch(error, at_call):
    calls = []

    def patch(h, _options):
        calls.append(1)
        if len(calls) == at_call:
            raise error
        return h

    return patch


def test_normal_end(remembered):
    toys.sample(with_clockwork(toys.toy_model("sd15")))
    assert_all_dead(remembered)


@pytest.mark.parametrize("at_call", [12 + 2, 12 + 3 + 5], ids=["in an adaptor pass", "in the second full pass"])
@pytest.mark.parametrize(
    "error",
    [RuntimeError("a patch failed"), comfy.model_management.InterruptProcessingException()],
    ids=["exception", "interrupt"],
)
def test_run_that_breaks(remembered, error, at_call):
    model = toys.toy_model("sd15")
    expected = toys.sample(with_clockwork(model))
    remembered.clear()
    patched = with_clockwork(model)
    patched.set_model_input_block_patch(failing_patch(error, at_call))
    with pytest.raises(type(error)) as caught:
        toys.sample(patched)
    del caught
    error.__traceback__ = None
    assert_all_dead(remembered)
    assert not last_report(patched).finished
    # The patch has fired; the same patched model must now draw what a fresh one draws.
    assert torch.equal(toys.sample(patched), expected)
    assert last_report(patched).finished


def test_nothing_is_left_in_the_models_options():
    patched = with_clockwork(toys.toy_model("sd15"))
    before = repr(patched.model_options)
    toys.sample(patched)
    assert repr(patched.model_options) == before


def test_two_runs_of_one_patched_model_do_not_meet():
    """As hires-fix does: two samplers, two sizes, one MODEL."""
    patched = with_clockwork(toys.toy_model("sd15"))
    first = toys.sample(patched)
    larger = toys.sample(patched, size=(24, 24))
    assert torch.equal(toys.sample(patched), first)
    assert torch.equal(toys.sample(with_clockwork(toys.toy_model("sd15")), size=(24, 24)), larger)
