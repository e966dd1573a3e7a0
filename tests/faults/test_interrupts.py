"""The user stops a run: wherever that meets it, nothing is left, and the next run is as good as a first one."""

import comfy.model_management
import pytest
import torch
from clockwork import last_report, with_clockwork
from lifetimes import condition_of

STEPS = 4
Interrupt = comfy.model_management.InterruptProcessingException


def interrupted(draw, patched, **changes):
    """Run until the interrupt; the number of evaluations that had begun."""
    with pytest.raises(Interrupt) as caught:
        draw(patched, **changes)
    del caught
    return len(last_report(patched).evaluations)


@pytest.fixture(scope="module")
def patched(toy):
    """One patched model for all tests: each goes on where the one before it broke off."""
    return with_clockwork(toy)


def assert_as_new(draw, patched, watch, before, first_run):
    watch.assert_all_dead()
    assert not last_report(patched).finished
    assert condition_of(patched) == before
    assert torch.equal(draw(patched), first_run)
    assert last_report(patched).finished
    watch.assert_all_dead()


@pytest.mark.parametrize("step", range(STEPS))
def test_in_the_callback_of_each_step(draw, patched, watch, first_run, step):
    def callback(index, _denoised, _x, _total):
        if index == step:
            raise Interrupt

    before = condition_of(patched)
    assert interrupted(draw, patched, callback=callback) == step + 1
    assert_as_new(draw, patched, watch, before, first_run)


@pytest.mark.parametrize("sampler", ["euler", "heun"])
@pytest.mark.parametrize("evaluation", range(4))
def test_at_the_first_operation_of_each_evaluation(draw, patched, watch, first_run, evaluation, sampler):
    """The host looks for the user's wish within the UNet's own layers; here a patch stands for that."""
    calls = []

    def patch(h, options):
        if options["block"] == ("input", 0):
            calls.append(1)
            if len(calls) == evaluation + 1:
                raise Interrupt
        return h

    stopped = patched.clone()
    stopped.set_model_input_block_patch(patch)
    before = condition_of(patched)
    assert interrupted(draw, stopped, sampler=sampler) == evaluation + 1
    assert_as_new(draw, patched, watch, before, first_run)


def test_by_the_hosts_own_switch(draw, patched, watch, first_run):
    """As the server's /interrupt does it; whoever asks next throws, here the sampler's callback."""

    def callback(index, *_):
        if index == 1:
            comfy.model_management.interrupt_current_processing()
        comfy.model_management.throw_exception_if_processing_interrupted()

    before = condition_of(patched)
    assert interrupted(draw, patched, callback=callback) == 2
    assert not comfy.model_management.processing_interrupted(), "the host takes the wish as fulfilled"
    assert_as_new(draw, patched, watch, before, first_run)
