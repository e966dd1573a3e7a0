"""Whole trainings on toys: what they learn, how they stop and go on, and what they leave behind."""

import gc
import weakref
from dataclasses import replace

import comfy.lora
import comfy.model_management
import pytest
import torch
import toys
from fuzz_cases import model_of
from lifetimes import condition_of
from training import CPU, KEPT, POINT, plan_for, source_of

from clockwork_pack.adaptors.training import begin, distil
from clockwork_pack.adaptors.training.high_res import HighResPart
from clockwork_pack.adaptors.training.losses import LOSSES
from clockwork_pack.adaptors.training.pairs import Batch
from clockwork_pack.adaptors.training.plan import split
from clockwork_pack.adaptors.training.point import points_between, trained_for
from clockwork_pack.adaptors.training.session import train
from clockwork_pack.adaptors.training.teacher import Teacher
from clockwork_pack.clockwork_core.tap import TappedUpsample


@pytest.fixture(scope="module")
def model():
    return toys.model_of(toys.TINIEST)


@pytest.fixture(scope="module")
def uninterrupted(model):
    return train(plan_for(model))


def weights(trained):
    return trained.adaptor.network.state_dict()


def same_weights(trained, other):
    mine, others = weights(trained), weights(other)
    return all(torch.equal(mine[name], others[name]) for name in mine)


def stop_after(iterations):
    def report(progress):
        if progress.iteration == iterations:
            raise comfy.model_management.InterruptProcessingException

    return report


class TestLearning:
    def test_the_held_out_error_falls(self, model):
        trained = train(plan_for(model, iterations=40))
        assert trained.checks[-1].errors["guided output"] < 0.7
        assert trained.losses[0] == pytest.approx(1.0, abs=1e-4), "it begins as the identity"
        description = trained.adaptor.description
        assert description.loss == min(checked.errors["guided output"] for checked in trained.checks)
        assert (description.trained_for.steps, description.trained_for.clock, description.trained_for.prompts) == (
            4,
            2,
            3,
        )

    def test_the_same_seed_gives_the_same_weights(self, model, uninterrupted):
        assert same_weights(train(plan_for(model)), uninterrupted)
        assert not same_weights(train(plan_for(model, seed=1)), uninterrupted)

    def test_what_is_on_disk_counts_as_what_is_in_memory(self, model, uninterrupted):
        assert same_weights(train(plan_for(model, memory_bytes=0)), uninterrupted)

    @pytest.mark.parametrize("loss", ["output", "features"])
    def test_other_losses(self, model, loss):
        trained = train(plan_for(model, loss=loss, iterations=2))
        assert set(trained.checks[-1].errors) == set(LOSSES)
        assert trained.losses[1] < trained.losses[0] or loss == "features"

    def test_without_guidance_the_guided_output_is_the_output(self, model):
        trained = train(plan_for(model, [replace(POINT, cfg=1.0)], iterations=1))
        errors = trained.checks[-1].errors
        assert errors["guided output"] == errors["output"]

    def test_several_clocks(self, model):
        points = points_between(POINT, most_clock=3)
        trained = train(plan_for(model, points, iterations=1, trajectories=4))
        description = trained.adaptor.description
        assert description.config.gaps
        assert (description.trained_for.most_steps, description.trained_for.most_clock) == (0, 3)

    def test_a_network_on_maps_begins_as_good_as_they_are(self, model):
        trained = train(plan_for(model, architecture="refined", iterations=20))
        assert trained.losses[0] < 0.9
        assert min(trained.losses[-4:]) < trained.losses[0]
        assert trained.adaptor.name == "refined"


class TestGoingOn:
    @pytest.mark.parametrize("on_policy", [False, True])
    def test_after_a_cancellation_the_weights_are_those_without_one(self, model, uninterrupted, tmp_path, on_policy):
        path = tmp_path / "new" / "training.pt"
        whole = train(plan_for(model, on_policy=True)) if on_policy else uninterrupted
        with pytest.raises(comfy.model_management.InterruptProcessingException):
            train(plan_for(model, checkpoint=path, on_policy=on_policy), stop_after(4))
        told = []
        resumed = train(plan_for(model, checkpoint=path, on_policy=on_policy), told.append)
        assert told[0].iteration == 5
        assert same_weights(resumed, whole)
        assert resumed.losses == whole.losses
        assert resumed.checks == whole.checks
        assert same_weights(uninterrupted, whole) != on_policy
        finished = train(plan_for(model, checkpoint=path, on_policy=on_policy), stop_after(7))
        assert same_weights(finished, whole), "there was nothing left to do"

    def test_a_network_on_maps_goes_on_without_a_second_fit(self, model, tmp_path, monkeypatch):
        path = tmp_path / "training.pt"
        points = [replace(POINT, steps=6)]
        said = []
        whole = train(plan_for(model, points, "refined"), say=said.append)
        assert said == ["Fitting maps on 32 pictures.", "The model draws pictures to check on, and to learn from."]
        with pytest.raises(comfy.model_management.InterruptProcessingException):
            train(plan_for(model, points, "refined", checkpoint=path), stop_after(4))
        monkeypatch.setattr(begin, "fit", None)
        resumed = train(plan_for(model, points, "refined", checkpoint=path))
        assert same_weights(resumed, whole)
        assert resumed.adaptor.description == whole.adaptor.description
        assert resumed.adaptor.description.config.solutions == 3

    def test_a_checkpoint_of_another_training_is_refused(self, model, tmp_path):
        path = tmp_path / "training.pt"
        train(plan_for(model, checkpoint=path, iterations=1))
        with pytest.raises(ValueError, match="iterations 1, not 2: resume it with the same settings"):
            train(plan_for(model, checkpoint=path, iterations=2))
        with pytest.raises(ValueError, match=r"has the runs .*steps=4.*, not .*steps=5"):
            train(plan_for(model, [replace(POINT, steps=5)], checkpoint=path, iterations=1))
        path.write_bytes(b"something else")
        with pytest.raises(ValueError, match="no checkpoint that can be read"):
            train(plan_for(model, checkpoint=path, iterations=1))


class TestStopping:
    def test_a_loss_that_is_no_number(self, model, monkeypatch):
        calls = []

        def later_nan(batch, r_out, output, cfg):
            calls.append(1)
            return LOSSES["output"](batch, r_out, output, cfg) * (float("nan") if broken else 1.0)

        broken = False

        def break_it(progress):
            nonlocal broken
            broken = progress.iteration == 2

        monkeypatch.setitem(LOSSES, "guided output", later_nan)
        trained = train(plan_for(model), break_it)
        assert calls
        assert "The loss became nan at iteration 2: try a smaller learning_rate than 0.001" in trained.note
        assert len(trained.losses) == 2
        assert all(torch.isfinite(tensor).all() for tensor in weights(trained).values())
        assert trained.adaptor.description.loss is not None

    def test_a_gradient_that_is_no_number(self, model, monkeypatch):
        """The square root of a loss of zero has one: the weights of before are kept."""

        def steep(batch, _r_out, output, _cfg):
            return (output - output.detach()).abs().sqrt().flatten(1).mean(1)[: batch.size]

        monkeypatch.setitem(LOSSES, "guided output", steep)
        trained = train(plan_for(model))
        assert "The gradient became nan at iteration 0" in trained.note
        assert all(torch.isfinite(tensor).all() for tensor in weights(trained).values())

    def test_when_held_out_prompts_gain_nothing(self, model):
        trained = train(plan_for(model, learning_rate=0.0, patience=2))
        assert "Stopped at iteration 3" in trained.note

    def test_a_batch_that_needs_too_much_memory_is_done_in_parts(self, model, uninterrupted, monkeypatch):
        sizes = []
        whole = distil.Batch.of

        def small_device(pairs, device):
            sizes.append(len(pairs))
            if len(pairs) > 2 and torch.is_grad_enabled():
                raise torch.cuda.OutOfMemoryError("as the test wants it")
            return whole(pairs, device)

        monkeypatch.setattr(distil.Batch, "of", staticmethod(small_device))
        trained = train(plan_for(model))
        assert 4 in sizes
        assert trained.losses == pytest.approx(uninterrupted.losses, rel=1e-3)


class TestTheUsersModel:
    def test_nothing_of_it_changes_and_nothing_is_left(self):
        model = toys.model_of(toys.TINIEST)
        before, picture = condition_of(model), toys.sample(model, size=(8, 8), steps=3)
        trained = train(plan_for(model, iterations=1))
        assert condition_of(model) == {**before, "weights": condition_of(model)["weights"]}
        assert [name for name, *_ in condition_of(model)["weights"]] == [name for name, *_ in before["weights"]]
        assert not any(isinstance(layer, TappedUpsample) for layer in model.model.modules())
        assert torch.equal(toys.sample(model, size=(8, 8), steps=3), picture)
        network = weakref.ref(trained.adaptor.network)
        del trained
        gc.collect()
        assert network() is None
        assert not any(isinstance(each, Teacher | HighResPart) for each in gc.get_objects())

    def test_a_model_made_in_inference_mode_is_trained_on_inside_the_executor(self, uninterrupted):
        with torch.inference_mode():
            model = toys.model_of(toys.TINIEST)
            trained = train(plan_for(model))
        assert next(model.model.diffusion_model.parameters()).is_inference()
        assert same_weights(trained, uninterrupted)
        assert not any(tensor.is_inference() for tensor in weights(trained).values())

    @pytest.mark.parametrize(("family", "dtype"), [("shallow sdxl", "float16"), ("shallow sd15", "bfloat16")])
    def test_half_precision(self, family, dtype):
        trained = train(plan_for(model_of(family, dtype), iterations=2, trajectories=4))
        assert all(torch.isfinite(torch.tensor(trained.losses)))
        assert {tensor.dtype for tensor in weights(trained).values()} == {torch.float32}

    @pytest.mark.parametrize("short_of_memory", [False, True])
    def test_a_lora_is_part_of_the_teacher(self, model, short_of_memory):
        """Also where the host applies it at each use, for lack of memory."""
        patched = model.clone()
        key = "diffusion_model.output_blocks.3.0.in_layers.2.weight"
        weight = comfy.utils.get_attr(patched.model, key)
        patched.add_patches({key: ("diff", (torch.full_like(weight, 0.01),))})
        source = source_of(patched)
        if short_of_memory:
            source.teacher.model.partially_unload(CPU, 2**30)
            assert source.teacher.model.lowvram_patch_counter() > 0
        high_res = HighResPart(source.teacher.model, KEPT)
        layer = high_res._unet.output_blocks[3][0].in_layers[2]
        assert torch.allclose(layer.weight, weight + 0.01)
        assert layer.weight_function == []
        pair = source.draw([0])[0][0]
        batch = Batch.of([pair], CPU)
        with torch.no_grad():
            features, skips = high_res.enter(batch)
            assert (high_res.leave(batch, features, skips, batch.r_out) - batch.output).abs().max() < 1e-4
        source.teacher.close()


class TestPlans:
    def test_no_prompts(self, model):
        with pytest.raises(ValueError, match="There are no prompts"):
            replace(plan_for(model), prompts=[])

    @pytest.mark.parametrize("name", ["sampler", "scheduler"])
    def test_unknown_names(self, model, name):
        with pytest.raises(ValueError, match=f"{name} is 'bus', but must be one of"):
            plan_for(model, [replace(POINT, **{name: "bus"})])

    @pytest.mark.parametrize("name", ["affine", "mamba"])
    def test_what_is_not_trained(self, model, name):
        with pytest.raises(
            ValueError, match=f"architecture is '{name}', but must be one of refined, trend, resnet, un"
        ):
            plan_for(model, architecture=name)

    def test_maps_serve_one_kind_of_run(self, model):
        with pytest.raises(ValueError, match=r"'refined', which serves one number .* choose trend, resnet, un"):
            plan_for(model, points_between(POINT, most_clock=3), "refined")

    def test_ranges(self):
        points = points_between(POINT, most_steps=20, most_clock=3)
        assert sorted({point.steps for point in points}) == [4, 9, 15, 20]
        assert sorted({point.clock for point in points}) == [2, 3]
        assert points_between(POINT) == [POINT]
        assert trained_for(points, 7).most_steps == 20
        with pytest.raises(ValueError, match=r"most_steps is 3, but must be 0 .* or at least steps, 4"):
            points_between(POINT, most_steps=3)

    def test_every_eighth_prompt_is_held_out_where_there_are_so_many(self):
        learned, held_out = split(20)
        assert held_out == [7, 15]
        assert sorted([*learned, *held_out]) == list(range(20))
        assert split(7) == (list(range(7)), list(range(7)))
