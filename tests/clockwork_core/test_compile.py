"""torch.compile in the same graph: adaptor passes really skip, and nothing is compiled more than once."""

import comfy.model_patcher
import pytest
import torch
import toys
from clockwork import kinds, with_clockwork
from comfy_api.torch_helpers import set_torch_compile_wrapper
from comfy_extras.nodes_torch_compile import TorchCompileModel
from torch._dynamo.utils import counters

from clockwork_pack.adaptors import describe, untrained
from clockwork_pack.clockwork_core import host
from clockwork_pack.clockwork_core.cut import seam_of

KEPT = 2


@pytest.fixture(autouse=True)
def _fresh_compiler():
    torch._dynamo.reset()
    counters.clear()


@pytest.fixture(scope="module")
def model():
    return toys.model_of(toys.TINIEST)


def compiled(model, backend="eager", **settings):
    """As TorchCompileModel does it. "eager" compiles to torch's own operators: same numbers, and no wait."""
    clone = model.clone()
    set_torch_compile_wrapper(clone, backend=backend, **settings)
    return clone


def both_orders(model, clock=2, **settings):
    """A graph with Clockwork before, and one with Clockwork behind the compiling node."""
    return [
        compiled(with_clockwork(model, clock, KEPT), **settings),
        with_clockwork(compiled(model, **settings), clock, KEPT),
    ]


def sample_and_count(model):
    """The latent, and how many graphs had been compiled after each step."""
    graphs = []
    latent = toys.sample(model, steps=8, callback=lambda *_: graphs.append(counters["stats"]["unique_graphs"]))
    return latent, graphs


@pytest.mark.parametrize("order", [0, 1], ids=["Clockwork first", "compile first"])
def test_nothing_is_compiled_after_the_first_full_and_the_first_adaptor_evaluation(model, order):
    expected = toys.sample(with_clockwork(model, kept_blocks=KEPT), steps=8)
    used = both_orders(model)[order]
    latent, graphs = sample_and_count(used)
    assert torch.equal(latent, expected)
    assert kinds(used) == "FaFaFaFa"
    # One graph for the full pass, then two for the sides of the high-res part.
    assert graphs == [1, 3, 3, 3, 3, 3, 3, 3]
    again, graphs = sample_and_count(used)
    assert torch.equal(again, expected)
    assert graphs == [3] * 8, "a second run compiles nothing"


def test_the_skipped_blocks_do_not_run(model):
    ran = []
    # The host runs the layers of a block one by one, so a layer's own hook tells.
    hook = model.model.diffusion_model.middle_block[0].register_forward_hook(lambda *_: ran.append(1))
    try:
        toys.sample(compiled(with_clockwork(model, kept_blocks=KEPT)), steps=8)
    finally:
        hook.remove()
    assert len(ran) == 4


def test_clock_one_stays_compiled_and_equals_the_host(model):
    expected = toys.sample(compiled(model), steps=4)
    for used in both_orders(model, clock=1):
        counters.clear()
        torch._dynamo.reset()
        assert torch.equal(toys.sample(used, steps=4), expected)
        assert counters["stats"]["unique_graphs"] == 1


def test_patches_of_other_nodes_are_in_the_graphs(model):
    def widen(h, skip, options):
        return (h * 1.25, skip) if options["block"][1] >= 2 else (h, skip)

    patched = model.clone()
    patched.set_model_output_block_patch(widen)
    expected = toys.sample(with_clockwork(patched, kept_blocks=KEPT), steps=8)
    assert not torch.equal(expected, toys.sample(with_clockwork(model, kept_blocks=KEPT), steps=8))
    for used in both_orders(patched):
        assert torch.equal(sample_and_count(used)[0], expected)


def test_the_users_settings_are_used(model):
    seen = []

    def backend(graph, _inputs):
        seen.append(graph)
        return graph.forward

    toys.sample(compiled(with_clockwork(model, kept_blocks=KEPT), backend=backend, fullgraph=False), steps=4)
    assert len(seen) == 3


def test_a_model_that_is_not_compiled_is_left_alone(model):
    toys.sample(with_clockwork(model, kept_blocks=KEPT), steps=4)
    assert counters["stats"]["unique_graphs"] == 0


def test_settings_are_known_only_while_the_compiled_unet_is_in_place(model):
    class Guider:
        def __init__(self, patcher: comfy.model_patcher.ModelPatcher):
            self.model_patcher, self.model_options = patcher, patcher.model_options

    assert host.compile_settings(Guider(compiled(model))) is None


def test_a_learned_adaptor_whose_place_lies_inside_a_block(model):
    adaptor = untrained(describe("resnet", seam_of(model.model.diffusion_model, KEPT)))
    toys.randomize(adaptor.network, 0)
    expected = toys.sample(with_clockwork(model, kept_blocks=KEPT, adaptor=adaptor), steps=8)
    used = compiled(with_clockwork(model, kept_blocks=KEPT, adaptor=adaptor))
    latent, graphs = sample_and_count(used)
    assert torch.equal(latent, expected)
    assert kinds(used) == "FaFaFaFa"
    assert set(graphs[1:]) == {3}


@pytest.mark.slow
def test_inductor_through_the_hosts_node(model):
    expected = toys.sample(with_clockwork(model, kept_blocks=KEPT), steps=8)
    used = TorchCompileModel.execute(with_clockwork(model, kept_blocks=KEPT), "inductor").result[0]
    latent, graphs = sample_and_count(used)
    assert graphs == [1, 3, 3, 3, 3, 3, 3, 3]
    assert ((latent - expected).norm() / expected.norm()).item() < 1e-4
    assert kinds(used) == "FaFaFaFa"
    assert sample_and_count(used)[1] == [3] * 8
