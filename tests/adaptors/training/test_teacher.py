"""Unrolled teachers: their pairs are the model's own numbers, and students sample as the engine does."""

import comfy.samplers
import pytest
import torch
import toys
from clockwork import with_clockwork
from comfy.patcher_extension import WrappersMP
from fuzz_cases import model_of
from training import KEPT, NEGATIVE, POINT, encoded, latent, source_of

from clockwork_pack.adaptors import untrained
from clockwork_pack.adaptors.training.pairs import Batch
from clockwork_pack.adaptors.training.plan import describe_for
from clockwork_pack.adaptors.training.point import OperatingPoint
from clockwork_pack.adaptors.training.prompts import Conditioning
from clockwork_pack.adaptors.training.teacher import Teacher, TeacherError

CLOCK_3 = OperatingPoint(6, "euler", "karras", 3.0, 3)
ROUNDING = 1e-5


@pytest.fixture(scope="module")
def model():
    return toys.model_of(toys.TINIEST)


@pytest.fixture(scope="module")
def sources(model):
    """On an SD 1.5 toy, and on an SDXL toy, which has y."""
    return {
        "sd15": source_of(model, [CLOCK_3], depth=2, remembers_r_in=True),
        "sdxl": source_of(model_of("shallow sdxl", "float32"), [CLOCK_3], depth=2, remembers_r_in=True),
    }


@pytest.fixture(scope="module")
def drawn(sources):
    return {name: source.draw([0, 1]) for name, source in sources.items()}


@pytest.mark.parametrize("family", ["sd15", "sdxl"])
class TestPairs:
    def test_there_is_one_for_each_adaptor_evaluation_of_each_picture(self, drawn, family):
        assert {number: len(pairs) for number, pairs in drawn[family].items()} == {0: 4, 1: 4}
        assert (drawn[family][0][0].y is not None) == (family == "sdxl")

    def test_the_output_is_what_the_hosts_forward_gives(self, drawn, sources, family):
        unet = sources[family].teacher.model.model.diffusion_model
        for pair in drawn[family][1]:
            with torch.no_grad():
                output = unet(pair.x, pair.timesteps, pair.context, pair.y)
            assert (output - pair.output).abs().max() < ROUNDING

    def test_with_the_teachers_r_out_the_kept_blocks_give_its_output(self, drawn, sources, family):
        high_res = sources[family].high_res
        batch = Batch.of([*drawn[family][0], *drawn[family][1]], torch.device("cpu"))
        with torch.no_grad():
            features, skips = high_res.enter(batch)
            output = high_res.leave(batch, features, skips, batch.r_out)
        assert (output - batch.output).abs().max() < ROUNDING
        assert features.r_in.shape[2:] == batch.r_out.shape[2:]

    def test_the_past_is_that_of_the_latest_full_passes(self, drawn, sources, family):
        """F a a F a a at clock 3: the first two pairs share a past, and so do the last two."""
        first, second, third, fourth = drawn[family][0]
        assert torch.equal(first.r_outs, second.r_outs)
        assert torch.equal(third.r_outs, fourth.r_outs)
        assert torch.equal(third.r_outs[1], first.r_outs[0])
        assert torch.equal(first.r_outs[0], first.r_outs[1]), "there is one past pass: it counts twice"
        assert torch.equal(first.r_ins, second.r_ins)
        sampling = sources[family].teacher.model.get_model_object("model_sampling")
        sigmas = comfy.samplers.calculate_sigmas(sampling, "karras", 6)
        assert float(first.sigma) == pytest.approx(float(sigmas[1]))
        assert fourth.gaps.tolist() == pytest.approx(
            [float(torch.log(sigmas[full] / sigmas[5])) for full in (3, 0)], rel=1e-4
        )

    def test_the_identitys_errors_are_those_of_the_old_features(self, drawn, sources, family):
        pair = drawn[family][0][2]
        batch = Batch.of([pair], torch.device("cpu"))
        with torch.no_grad():
            features, skips = sources[family].high_res.enter(batch)
            error = sources[family].high_res.leave(batch, features, skips, batch.r_outs[0]) - batch.output
        cond, uncond = error
        guided = (uncond + 3.0 * (cond - uncond)).square().mean()
        assert pair.identity_errors.tolist() == pytest.approx(
            [float(guided), float(error.square().mean()), float((pair.r_outs[0] - pair.r_out).square().mean())],
            rel=1e-3,
        )


def test_trajectories_drawn_together_are_those_drawn_alone(sources, drawn):
    alone = sources["sd15"].draw([1])[1]
    for pair, other in zip(alone, drawn["sd15"][1], strict=True):
        for name, tensor in pair.tensors().items():
            largest_difference = (tensor - other.tensors()[name]).abs().max()
            assert largest_difference <= ROUNDING * tensor.abs().max(), name


def test_without_guidance_there_is_one_side(model):
    source = source_of(model, [OperatingPoint(4, "euler", "normal", 1.0, 2)])
    pair = source.draw([0])[0][0]
    assert len(pair.x) == len(pair.output) == 1
    assert pair.identity_errors[0] == pair.identity_errors[1]


def test_a_student_samples_as_the_engine_does(model):
    """x at each evaluation, where the adaptor acted and where it did not."""
    student = untrained(describe_for(model, KEPT, "resnet", [POINT]))
    toys.randomize(student.network, seed=3)
    source = source_of(model, [POINT])
    pairs = source.draw([0], lambda _now, _past: student)[0]

    seen = []

    def record(executor, x, timestep, context, y, control, options, **extra):
        seen.append(x[options["cond_or_uncond"].index(0)].clone())
        return executor(x, timestep, context, y, control, options, **extra)

    patched = with_clockwork(model, kept_blocks=KEPT, adaptor=student)
    patched.add_wrapper_with_key(WrappersMP.DIFFUSION_MODEL, "test", record)
    prompt = source.prompts[0]
    toys.sample(
        patched, steps=4, seed=0, latent=latent(), positive=prompt.for_host(), negative=NEGATIVE.for_host()
    )  # fmt: skip
    assert len(seen) == 4
    for pair, x in zip(pairs, (seen[1], seen[3]), strict=True):
        assert (pair.x[0] - x).abs().max() < ROUNDING
    by_teacher = source.draw([0])[0]
    assert (pairs[1].x - by_teacher[1].x).abs().max() > 100 * ROUNDING, "the student's own mistakes are in it"
    assert torch.equal(pairs[0].x, by_teacher[0].x), "before it acted there were none"


def test_features_do_not_pile_up(model):
    source = source_of(model, [OperatingPoint(6, "euler", "normal", 3.0, 2)], depth=1)
    kept = []

    def count(_now, past):
        kept.append(len(past))

    source.draw([0], count)
    assert kept == [1, 1, 1]
    assert source.teacher._unrolling is None


class TestRefusals:
    def test_a_model_that_is_no_unet(self):
        with pytest.raises(ValueError, match="Clockwork cannot cut the model Flux"):
            Teacher(toys.toy_transformer(), KEPT, 1, False)

    def test_a_video_model(self):
        with pytest.raises(ValueError, match="This is a video model"):
            Teacher(toys.toy_model("svd"), 3, 1, False)

    def test_a_cut_without_resampling_layers_of_its_own(self, model):
        with pytest.raises(ValueError, match="kept_blocks is 1, but this adaptor works before the upsample"):
            Teacher(model, 1, 1, False)

    @pytest.mark.parametrize("options", [{"area": (4, 4, 0, 0)}, {"control": object()}, {"mask": torch.ones(1, 8, 8)}])
    def test_areas_masks_and_controlnets(self, options):
        name = next(iter(options))
        with pytest.raises(ValueError, match=f"positive holds {name}, which cannot be trained on"):
            Conditioning.all_of(toys.conditioning(0, **options), "positive")

    def test_several_conditionings_on_one_side(self, model):
        class Two(Conditioning):
            def for_host(self):
                return [*super().for_host(), *super().for_host()]

        source = source_of(model, prompts=encoded(1))
        two = Two(NEGATIVE.context, NEGATIVE.options)
        with pytest.raises(TeacherError, match="several conditionings on one side"):
            source.teacher.unroll(POINT, latent(), encoded(1), two, [0])
