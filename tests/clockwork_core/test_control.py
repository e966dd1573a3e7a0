"""ControlNets rest on adaptor evaluations: which residuals are used, when they are not, and what it equals."""

import gc
import weakref

import pytest
import torch
import toys
from clockwork import kinds, last_report, with_clockwork
from comfy.model_management import OOM_EXCEPTION
from comfy.patcher_extension import WrappersMP
from toy_controls import control_net, controlled

from clockwork_pack.clockwork_core.control import (
    ControlMemory,
    DeferredControl,
    activity_of,
    residuals_of_kept_blocks,
    whole_control,
)
from clockwork_pack.clockwork_core.cut import Cut, Place
from clockwork_pack.clockwork_core.schedule import Kind
from clockwork_pack.clockwork_core.trace import Trace


@pytest.fixture(scope="module")
def model():
    return toys.toy_model("sd15")


@pytest.fixture
def control():
    return control_net()


@pytest.fixture
def network_calls(control):
    """Grows by one for each run of the ControlNet's own network."""
    calls = []
    hook = control.control_model.register_forward_hook(lambda *_: calls.append(1))
    yield calls
    hook.remove()


def without_reuse(model, clock=2):
    return with_clockwork(model, clock, reuse_control=False)


def draw(model, conditionings, **options):
    positive, negative = conditionings
    return toys.sample(model, positive=positive, negative=negative, **options)


def frozen_between_ticks(control, clock):
    """The plainest thing that reuses residuals: a get_control that answers only every `clock`-th time."""
    run, state = control.get_control, {"calls": 0, "answer": None}

    def get_control(*args):
        if state["calls"] % clock == 0:
            state["answer"] = run(*args)
        state["calls"] += 1
        return None if state["answer"] is None else {name: list(each) for name, each in state["answer"].items()}

    return get_control


RESIDUALS = {"input": ["i2", "i1", "i0"], "middle": ["m"], "output": ["o3", "o2", "o1", "o0"]}


class TestResidualsOfKeptBlocks:
    def test_each_kept_block_finds_its_own(self):
        """The UNet pops: the first input block takes "i0", the last output block takes "o3"."""
        kept = residuals_of_kept_blocks(RESIDUALS, Cut(2), blocks=4)
        assert kept == {"input": [None, "i1", "i0"], "middle": [None], "output": ["o3", "o2", None, None]}

    def test_a_learned_adaptor_uses_the_downsample_too(self):
        kept = residuals_of_kept_blocks(RESIDUALS, Cut(1, Place.BEFORE_UPSAMPLE), blocks=4)
        assert kept == {"input": [None, "i1", "i0"], "middle": [None], "output": ["o3", None, None, None]}

    def test_fewer_residuals_than_blocks(self):
        assert residuals_of_kept_blocks({"output": ["b", "a"]}, Cut(3), blocks=4)["output"] == ["b", None]


class TestActivity:
    def chain(self, *ranges):
        last = None
        for window in ranges:
            last = type("Control", (), {"timestep_range": window, "previous_controlnet": last})
        return last

    @pytest.mark.parametrize(("sigma", "expected"), [(9.0, (False, True)), (5.0, (True, True)), (1.0, (True, False))])
    def test_of_a_chain(self, sigma, expected):
        chain = self.chain((10.0, 4.0), (6.0, 0.0))
        assert activity_of(chain, torch.tensor([sigma, sigma])) == expected

    def test_without_a_range_it_always_acts(self):
        assert activity_of(self.chain(None), torch.tensor([3.0])) == (True,)


class TestRuns:
    @pytest.mark.parametrize("clock", [2, 3])
    def test_equals_a_control_that_answers_only_on_full_evaluations(self, model, control, clock):
        reusing = draw(with_clockwork(model, clock), controlled(control))
        conditionings = controlled(control)
        used = conditionings[0][0][1]["control"]
        assert used is conditionings[1][0][1]["control"], "one ControlNet for both sides"
        used.get_control = frozen_between_ticks(used, clock)
        assert torch.equal(reusing, draw(without_reuse(model, clock), conditionings))

    def test_the_network_runs_on_full_evaluations_only(self, model, control, network_calls):
        patched = with_clockwork(model, 3)
        draw(patched, controlled(control))
        assert kinds(patched) == "FaaFaa"
        assert len(network_calls) == 2
        data = last_report(patched).to_dict()
        assert (data["control_runs"], data["control_runs_spared"]) == (2, 4)
        assert data["control_peak_bytes"] > 0
        assert "ControlNet: ran 2 times, was spared 4 times" in last_report(patched).text()

    def test_it_runs_each_time_if_the_user_says_so(self, model, control, network_calls):
        patched = without_reuse(model)
        latent = draw(patched, controlled(control))
        assert len(network_calls) == 6
        assert last_report(patched).to_dict()["control_runs"] == 0, "nobody counted"
        assert not torch.equal(latent, draw(with_clockwork(model), controlled(control)))

    def test_clock_one_is_bit_identical(self, model, control, network_calls):
        expected = draw(model, controlled(control))
        assert torch.equal(draw(with_clockwork(model, 1), controlled(control)), expected)
        assert len(network_calls) == 12

    def test_the_error_of_reuse_is_small_beside_that_of_the_clock(self, model, control):
        """A wrong block's residuals, or another side's, would be as large as the control itself."""
        plain, each_time, reused = (
            draw(each, controlled(control)) for each in (model, without_reuse(model), with_clockwork(model))
        )
        uncontrolled = toys.sample(model)
        assert (reused - each_time).norm() < 0.5 * (plain - uncontrolled).norm()

    def test_start_and_end_in_the_middle(self, model, control, network_calls):
        """Outside of the range nothing is reused; an adaptor evaluation that enters it runs the network."""
        patched = with_clockwork(model, 2)
        latent = draw(patched, controlled(control, start=0.25, end=0.5), steps=8)
        sigmas = [e.sigma for e in last_report(patched).evaluations]
        window = [model.model.model_sampling.percent_to_sigma(percent) for percent in (0.25, 0.5)]
        inside = [window[1] <= sigma <= window[0] for sigma in sigmas]
        assert 0 < sum(inside) < 8
        runs = sum(active and (index % 2 == 0 or not inside[index - 1]) for index, active in enumerate(inside))
        assert len(network_calls) == runs
        assert not torch.equal(latent, toys.sample(with_clockwork(model, 2), steps=8))

    def test_a_chain_of_two(self, model, network_calls, control):
        chained = controlled(control_net(seed=23), onto=controlled(control))
        patched = with_clockwork(model, 2)
        alone = draw(with_clockwork(model, 2), controlled(control))
        network_calls.clear()
        assert not torch.equal(draw(patched, chained), alone)
        assert len(network_calls) == 3

    def test_split_conditionings_keep_their_own(self, model, control):
        """An area of the whole picture on one side makes the host evaluate the sides one by one."""
        together = draw(with_clockwork(model), controlled(control))
        whole = toys.conditioning(11, mask=torch.ones(1, 16, 16), area=(16, 16, 0, 0))
        apart = draw(with_clockwork(model), controlled(control, onto=(toys.conditioning(10), whole)))
        assert ((together - apart).norm() / together.norm()).item() < 1e-4

    def test_full_passes_against_the_plan_get_residuals_of_their_own(self, model, control, network_calls, monkeypatch):
        expected = draw(model, controlled(control))
        network_calls.clear()
        # As if each conditioning had changed its size each time.
        monkeypatch.setattr(Trace, "recall", lambda *_: [])
        patched = with_clockwork(model)
        assert torch.equal(draw(patched, controlled(control)), expected)
        assert kinds(patched) == "FFFFFF"
        assert len(network_calls) == 6
        data = last_report(patched).to_dict()
        assert (data["control_runs"], data["control_runs_spared"]) == (6, 0)

    @pytest.mark.parametrize("family", ["sdxl", "koala 700m"])
    def test_other_families(self, family):
        model = toys.toy_model(family)
        control = control_net(family)
        patched = with_clockwork(model, kept_blocks=2)
        draw(patched, controlled(control), steps=4)
        assert last_report(patched).to_dict()["control_runs_spared"] == 2

    @pytest.mark.parametrize("failing_call", [1, 2, 3], ids=["full", "adaptor", "second full"])
    def test_a_second_try_after_a_failure_finds_the_same_residuals(self, model, control, network_calls, failing_call):
        expected = draw(with_clockwork(model), controlled(control))
        network_calls.clear()
        calls = []

        def fail_once(h, skip, options):
            if options["block"] == ("output", 11):
                calls.append(1)
                if len(calls) == failing_call:
                    raise OOM_EXCEPTION("out of memory, as the test wants it")
            return h, skip

        def try_again(executor, *args):
            try:
                return executor(*args)
            except OOM_EXCEPTION:
                return executor(*args)

        patched = with_clockwork(model)
        patched.set_model_output_block_patch(fail_once)
        patched.add_wrapper_with_key(WrappersMP.CALC_COND_BATCH, "another pack", try_again)
        assert torch.equal(draw(patched, controlled(control)), expected)
        assert kinds(patched) == "FaFaFa"
        assert len(network_calls) == 3 + (failing_call % 2), "only a full evaluation runs the network again"

    def test_nothing_survives_the_run(self, model, control, monkeypatch):
        references = []
        original = ControlMemory.remember

        def remember(self, key, shape, activity, residuals):
            references.extend(weakref.ref(each) for kind in residuals.values() for each in kind if each is not None)
            original(self, key, shape, activity, residuals)

        monkeypatch.setattr(ControlMemory, "remember", remember)
        draw(with_clockwork(model), controlled(control))
        gc.collect()
        assert references
        assert not [each for each in references if each() is not None]


def test_only_deferred_residuals_are_made_whole():
    plain = {"output": [None]}
    assert whole_control(plain) is plain
    assert whole_control(None) is None
    assert whole_control(DeferredControl({"output": [None]}, lambda: plain)) is plain


def test_memory_recalls_only_what_fits():
    memory = ControlMemory(Cut(1), blocks=2)
    memory.remember("key", (2, 4, 8, 8), (True,), {"output": [torch.zeros(2, 4, 8, 8), torch.zeros(2, 4, 8, 8)]})
    assert memory.peak_bytes == 2 * 4 * 8 * 8 * 4, "of the kept block only"
    assert memory.recall("key", (2, 4, 8, 8), (True,)) is not None
    assert memory.recall("key", (1, 4, 8, 8), (True,)) is None
    assert memory.recall("key", (2, 4, 8, 8), (False,)) is None
    assert memory.recall("other", (2, 4, 8, 8), (True,)) is None
    memory.clear()
    assert memory.recall("key", (2, 4, 8, 8), (True,)) is None
    assert memory.calls[Kind.FULL] == 0
