"""What is expected of a sampler, against the host's own sampler."""

import comfy.samplers
import pytest
import torch
import toys
from clockwork import last_report, with_clockwork

from clockwork_pack.clockwork_core.evaluations import UNPREDICTABLE, steps_of_evaluations

# It spends as many evaluations as there are steps, at sigmas of its own.
ANYWHERE = {"dpm_fast"}


@pytest.fixture(scope="module")
def model():
    """Draws nothing, fast: the UNet's place is taken by zeros."""
    patched = with_clockwork(toys.toy_model("sd15"))
    patched.set_model_unet_function_wrapper(lambda _apply_model, arguments: torch.zeros_like(arguments["input"]))
    return patched


@pytest.mark.parametrize("steps", [1, 5])
@pytest.mark.parametrize("sampler", sorted(set(comfy.samplers.SAMPLER_NAMES) - UNPREDICTABLE))
def test_as_the_host_samples(model, sampler, steps):
    toys.sample(model, steps=steps, sampler=sampler, size=(8, 8))
    found = [evaluation.step for evaluation in last_report(model).evaluations]
    expected = steps_of_evaluations(sampler, steps)
    if sampler in ANYWHERE:
        assert len(found) == len(expected)
    else:
        assert found == expected


def test_a_sampler_of_another_pack():
    assert steps_of_evaluations("res_2s", 3) == steps_of_evaluations(None, 3) == [0, 1, 2]
