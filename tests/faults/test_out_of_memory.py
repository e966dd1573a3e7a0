"""Memory runs out inside a pass: the error goes on as it is, and a second try finds the right features.

ComfyUI 0.3.75 does not try again by itself while it samples: the executor unloads all models and shows the error. Other
nodes do try again, around each of the three functions that the host lets them wrap, and so may newer hosts.
"""

from dataclasses import dataclass, field

import comfy.model_management
import pytest
import torch
import toys
from clockwork import kinds, last_report, with_clockwork
from comfy.patcher_extension import WrappersMP
from lifetimes import condition_of

from clockwork_pack.adaptors import Identity
from clockwork_pack.clockwork_core.runtime import ClockworkConfig, attach
from clockwork_pack.clockwork_core.schedule import EveryN, Window

OutOfMemory = comfy.model_management.OOM_EXCEPTION
# Streams that were mixed up differ by order 1; a batch that was split, by the rounding of float32.
ROUNDING = 1e-5


class FailingBlock:
    """An output_block_patch that runs out of memory once, in the last block of the n-th UNet call."""

    def __init__(self, at_call):
        self.at_call = at_call
        self.calls = 0

    def __call__(self, h, skip, options):
        if options["block"] == ("output", 11):
            self.calls += 1
            if self.calls == self.at_call:
                raise OutOfMemory("out of memory, as the test wants it")
        return h, skip


def relative(result, expected):
    return float((result - expected).norm() / expected.norm())


def failing(model, at_call):
    patched = model.clone()
    patched.set_model_output_block_patch(FailingBlock(at_call))
    return patched


@pytest.mark.parametrize("at_call", [1, 2, 3, 4], ids=["full", "adaptor", "second full", "second adaptor"])
def test_without_a_second_try_the_error_reaches_the_user_and_nothing_is_left(toy, draw, first_run, watch, at_call):
    patched = failing(with_clockwork(toy), at_call)
    before = condition_of(patched)
    with pytest.raises(OutOfMemory, match="as the test wants it") as caught:
        draw(patched)
    del caught
    # What the host's executor then does.
    comfy.model_management.unload_all_models()
    watch.assert_all_dead()
    assert condition_of(patched) == before
    assert not last_report(patched).finished
    assert torch.equal(draw(patched), first_run)


def halves_of_a_call(apply_model, arguments):
    """A model_function_wrapper: on an error the call again, one conditioning at a time."""
    x, timestep, c, sides = (arguments[name] for name in ("input", "timestep", "c", "cond_or_uncond"))
    try:
        return apply_model(x, timestep, **c)
    except OutOfMemory:
        count = len(sides)
        parts = []
        for index in range(count):
            options = dict(c["transformer_options"])
            for name in ("uuids", "cond_or_uncond"):
                options[name] = options[name][index : index + 1]
            own = {key: value.chunk(count)[index] for key, value in c.items() if isinstance(value, torch.Tensor)}
            own["transformer_options"] = options
            parts.append(apply_model(x.chunk(count)[index], timestep.chunk(count)[index], **own))
        return torch.cat(parts)


class SplitAfterFailure:
    """A wrapper that tries again with conditionings split, by the host's own rule: it splits where memory is short."""

    def __init__(self, monkeypatch):
        self.monkeypatch = monkeypatch

    def __call__(self, executor, *args, **kwargs):
        try:
            return executor(*args, **kwargs)
        except OutOfMemory:
            with self.monkeypatch.context() as short_of_memory:
                short_of_memory.setattr(comfy.samplers.model_management, "get_free_memory", lambda *_: 1)
                return executor(*args, **kwargs)


def trying_again(model, level, monkeypatch):
    """The model with a second try at one of the levels that other nodes may wrap."""
    model = model.clone()
    if level == "call":
        model.set_model_unet_function_wrapper(halves_of_a_call)
    else:
        kind = {"conditionings": WrappersMP.CALC_COND_BATCH, "evaluation": WrappersMP.PREDICT_NOISE}[level]
        model.add_wrapper_with_key(kind, "another pack", SplitAfterFailure(monkeypatch))
    return model


LEVELS = ["call", "conditionings", "evaluation"]


@pytest.mark.parametrize("at_call", [1, 2, 3, 4], ids=["full", "adaptor", "second full", "second adaptor"])
@pytest.mark.parametrize(
    ("level", "outermost"),
    [("call", True), ("conditionings", True), ("conditionings", False), ("evaluation", True), ("evaluation", False)],
    ids=["call", "around our conditionings", "inside", "around our evaluation", "inside our evaluation"],
)
def test_second_try_with_conditionings_split(toy, draw, first_run, watch, monkeypatch, level, outermost, at_call):
    if outermost:
        patched = with_clockwork(trying_again(toy, level, monkeypatch))
    else:
        patched = trying_again(with_clockwork(toy), level, monkeypatch)
    result = draw(failing(patched, at_call))
    assert kinds(patched) == "FaFa", "a second try is no new evaluation, and finds all that it needs"
    assert not any(evaluation.reasons for evaluation in last_report(patched).evaluations)
    assert sum(sum(e.calls.values()) for e in last_report(patched).evaluations) == 5, "two calls in place of one"
    assert relative(result, first_run) < ROUNDING
    watch.assert_all_dead()


@pytest.mark.parametrize("at_call", [2, 4, 6, 8], ids=["full", "adaptor", "second full", "second adaptor"])
@pytest.mark.parametrize("level", LEVELS)
def test_second_try_after_some_conditionings_succeeded(toy, draw, watch, monkeypatch, level, at_call):
    """Cond and uncond of two lengths are two calls; the second fails, and both may come again."""
    other_length = {"negative": toys.conditioning(11, tokens=70)}
    expected = draw(with_clockwork(toy), **other_length)
    patched = trying_again(with_clockwork(toy), level, monkeypatch)
    result = draw(failing(patched, at_call), **other_length)
    assert kinds(patched) == "FaFa"
    assert not any(evaluation.reasons for evaluation in last_report(patched).evaluations)
    assert torch.equal(result, expected), "nothing is split that was not split before"
    watch.assert_all_dead()


def second_calculation(arguments):
    """A post-cfg function as SAG and PAG have: the cond once more, on another latent."""
    extra = comfy.samplers.calc_cond_batch(
        arguments["model"],
        [arguments["cond"]],
        arguments["input"] * 0.9,
        arguments["sigma"],
        arguments["model_options"],
    )
    return arguments["denoised"] + 0.3 * (arguments["cond_denoised"] - extra[0])


@pytest.mark.parametrize("at_call", [1, 2, 3, 4, 5, 6])
@pytest.mark.parametrize("level", LEVELS)
def test_second_try_where_one_conditioning_is_evaluated_twice(toy, draw, monkeypatch, level, at_call):
    """The failed try must not be taken for the first of the two."""
    model = toy.clone()
    model.set_model_sampler_post_cfg_function(second_calculation)
    expected = draw(with_clockwork(model))
    patched = with_clockwork(trying_again(model, level, monkeypatch))
    result = draw(failing(patched, at_call))
    assert kinds(patched) == "FaFa"
    assert not any(evaluation.reasons for evaluation in last_report(patched).evaluations)
    assert relative(result, expected) < ROUNDING


@dataclass(frozen=True)
class TwoBack(Identity):
    """An adaptor that looks at two past passes, and writes down which."""

    name: str = "two back"
    depth: int = 2
    seen: list = field(default_factory=list)

    def predict(self, past, *_present):
        self.seen.append([each.log_snr[0] for each in past])
        return past[-1].r_out


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("at_call", [2, 6, 10], ids=["first full", "second full", "third full"])
def test_second_try_leaves_the_older_passes_as_they_were(toy, draw, monkeypatch, level, at_call):
    """Where the first of two calls succeeded and comes again, its pass must not be remembered twice."""
    other_length = {"negative": toys.conditioning(11, tokens=70), "steps": 6}

    def run(model):
        adaptor = TwoBack()
        patched = attach(model, ClockworkConfig(EveryN(2), 3, adaptor, Window()))
        return draw(patched, **other_length), adaptor.seen

    expected, expected_seen = run(toy)
    result, seen = run(failing(trying_again(toy, level, monkeypatch), at_call))
    assert seen == expected_seen
    assert torch.equal(result, expected)
