"""The host takes the model out of memory, in part or altogether, between and during runs."""

import comfy.lora
import comfy.model_management
import pytest
import torch
from clockwork import kinds, with_clockwork

CPU = torch.device("cpu")
STEPS = 4
ALL_WEIGHTS = 10**9
SOME_WEIGHTS = 10**7  # of the toy's 34 MB


def unload_all(_patched):
    comfy.model_management.unload_all_models()


def unload_some(patched):
    """What the host does to a loaded model when another one needs the memory."""
    patched.partially_unload(CPU, SOME_WEIGHTS)


def unload_weights(patched):
    patched.partially_unload(CPU, ALL_WEIGHTS)


UNLOADINGS = [unload_all, unload_some, unload_weights]


@pytest.mark.parametrize("unload", UNLOADINGS)
def test_between_runs(toy, draw, first_run, watch, unload):
    patched = with_clockwork(toy)
    for _ in range(2):
        assert torch.equal(draw(patched), first_run)
        watch.assert_all_dead()
        unload(patched)
    assert torch.equal(draw(patched), first_run)


@pytest.mark.parametrize("unload", UNLOADINGS)
@pytest.mark.parametrize("at_step", range(STEPS))
def test_during_a_run(toy, draw, first_run, watch, unload, at_step):
    patched = with_clockwork(toy)

    def callback(step, *_):
        if step == at_step:
            unload(patched)

    assert torch.equal(draw(patched, callback=callback), first_run)
    assert kinds(patched) == "FaFa"
    watch.assert_all_dead()
    assert torch.equal(draw(patched), first_run)


def with_lora(model):
    """A patch on the weights of a kept and of a low-res block, which loading applies and unloading takes back."""
    patched = model.clone()
    generator = torch.Generator().manual_seed(3)
    patches = {}
    for block in ("input_blocks.1", "output_blocks.3"):
        key = f"diffusion_model.{block}.0.in_layers.2.weight"
        weight = model.model.state_dict()[key]
        patches[key] = (0.1 * torch.randn(weight.shape, generator=generator),)
    assert set(patched.add_patches(patches)) == set(patches)
    return patched


@pytest.mark.parametrize("unload", UNLOADINGS)
def test_between_runs_of_a_model_with_patched_weights(toy, draw, first_run, unload):
    patched = with_clockwork(with_lora(toy))
    expected = draw(patched)
    assert not torch.equal(expected, first_run)
    unload(patched)
    assert torch.equal(draw(patched), expected)
    # The plain model shares the weights: the host must have taken the patch back.
    assert torch.equal(draw(with_clockwork(toy)), first_run)
    assert torch.equal(draw(patched), expected)


def test_two_models_that_take_turns(toy, draw, first_run):
    """The host swaps the patched weights at each change of the model."""
    plain, changed = with_clockwork(toy), with_clockwork(with_lora(toy), clock=3)
    expected = draw(changed)
    for _ in range(2):
        assert torch.equal(draw(plain), first_run)
        assert torch.equal(draw(changed), expected)
