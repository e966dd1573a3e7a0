"""The closed form: planted relations, what guidance hides, what memory allows, and what is left of the model."""

import math

import pytest
import torch
import toys
from clockwork import with_clockwork

from clockwork_pack.adaptors import Identity
from clockwork_pack.adaptors.inputs import Features
from clockwork_pack.adaptors.training.fit import FitPlan, fit, memory_needed
from clockwork_pack.adaptors.training.least_squares import NormalEquations
from clockwork_pack.adaptors.training.maps import STRENGTHS
from clockwork_pack.adaptors.training.pairs import Batch
from clockwork_pack.adaptors.training.point import OperatingPoint
from clockwork_pack.adaptors.training.prompts import Conditioning
from clockwork_pack.adaptors.training.samples import INPUTS, PLAIN_WEIGHT, Scales, samples_of
from clockwork_pack.clockwork_core.cut import Place, geometry_of
from clockwork_pack.clockwork_core.metrics import relative_error

POINT = OperatingPoint(6, "euler", "normal", 3.0, 2)
NEGATIVE = Conditioning.all_of(toys.conditioning(11, tokens=8), "negative")[0]
PROMPTS = [Conditioning.all_of(toys.conditioning(seed, tokens=8), "positive")[0] for seed in range(20, 23)]


def plan_of(model, kept_blocks=2, **changes):
    return FitPlan(
        **{
            "model": model,
            "prompts": PROMPTS,
            "negative": NEGATIVE,
            "latent": torch.zeros(1, 4, 8, 8),
            "point": POINT,
            "kept_blocks": kept_blocks,
            "pictures": 8,
            **changes,
        }
    )


class Planted(torch.nn.Module):
    """The last block before the upsample, which sees nothing but the skip connection: that is r_in."""

    def __init__(self, r_in, r_out):
        super().__init__()
        generator = torch.Generator().manual_seed(1)
        self.r_in = r_in
        self.linear = torch.nn.Conv2d(r_in, r_out, 1)
        for parameter in self.linear.parameters():
            parameter.requires_grad_(False).copy_(torch.randn(parameter.shape, generator=generator))

    def forward(self, x):
        return self.linear(x[:, -self.r_in :])


@pytest.fixture(scope="module")
def linear_model():
    """A toy whose r_out is a linear map of r_in."""
    model = toys.model_of(toys.TINIEST)
    block = model.model.diffusion_model.output_blocks[1]
    upsample = block[-1]
    while len(block):
        del block[0]
    block.extend([Planted(toys.WIDTH, upsample.channels), upsample])
    return model


@pytest.fixture(scope="module")
def model():
    return toys.model_of(toys.TINIEST)


@pytest.fixture(scope="module")
def fitted(model):
    return fit(plan_of(model))


def sampled(model, adaptor, seed=77):
    return toys.sample(
        with_clockwork(model, kept_blocks=2, adaptor=adaptor), size=(8, 8), seed=seed, positive=PROMPTS[0].for_host(),
        negative=NEGATIVE.for_host(),
    )  # fmt: skip


def random_batch(streams=2, pictures=2):
    generator = torch.Generator().manual_seed(0)

    def noise(*shape):
        return torch.randn(streams * pictures, *shape, generator=generator)

    size = (4, 4)
    unused = torch.zeros(streams * pictures)
    return Batch(
        size=pictures, streams=streams, x=noise(4, 8, 8), timesteps=unused, sigma=unused + 1.0, context=None, y=None,
        r_outs=(noise(3, *size), noise(3, *size)), r_ins=(noise(2, *size), noise(2, *size)),
        gaps=torch.zeros(streams * pictures, 2), r_out=noise(3, *size), output=noise(4, 8, 8),
        identity_errors=torch.zeros(3, pictures),
    )  # fmt: skip


def features_of(batch, r_in):
    emb = torch.zeros(len(r_in), 1)
    return Features(r_in, batch.r_outs, batch.r_ins, emb, None, batch.gaps, batch.log_snr)


class TestWhatIsFitted:
    def test_a_planted_relation_is_found(self, linear_model):
        """Ridge draws a little to the identity, so some thousandths of its error remain."""
        found = fit(plan_of(linear_model))
        assert len(found.qualities) == 3
        assert all(quality.strength == STRENGTHS[0] for quality in found.qualities)
        assert all(quality.r_out < 1e-3 and quality.output < 5e-3 for quality in found.qualities)
        uncached = toys.sample(
            linear_model, size=(8, 8), seed=77, positive=PROMPTS[0].for_host(), negative=NEGATIVE.for_host()
        )
        errors = [
            relative_error(sampled(linear_model, adaptor), uncached).item()
            for adaptor in (Identity(Place.BEFORE_UPSAMPLE), found.adaptor)
        ]
        assert errors[1] < 0.1 * errors[0]

    def test_errors_that_guidance_cancels_are_not_seen(self):
        """r_out is off by e on cond and g / (g - 1) e on uncond: g e - (g - 1) g / (g - 1) e = 0."""
        batch, cfg = random_batch(), 3.0
        generator = torch.Generator().manual_seed(2)
        weight = torch.randn(3, 12, generator=generator)
        given = features_of(batch, torch.randn(4, 2, 4, 4, generator=generator))
        inputs = given.for_network(INPUTS, torch.ones(1), torch.ones(1))
        change = torch.einsum("oc,bchw->bohw", weight, inputs)
        hidden = torch.randn(2, 3, 4, 4, generator=generator)
        error = torch.cat([hidden, cfg / (cfg - 1) * hidden])
        batch = Batch(**{**vars(batch), "r_out": batch.r_outs[0] + change + error})
        x, y, _ = samples_of(batch, given, Scales(1.0, 1.0), cfg)
        guided = slice(2 * 4 * 4)  # those of cond and uncond by themselves come after them
        torch.testing.assert_close(y[guided], x[guided] @ weight.T, rtol=1e-4, atol=1e-4)
        assert not torch.allclose(y, x @ weight.T, rtol=1e-2, atol=1e-2)

    def test_without_guidance_it_is_the_plain_regression(self):
        batch = random_batch(streams=1)
        given = features_of(batch, torch.ones(2, 2, 4, 4))
        x, y, weights = samples_of(batch, given, Scales(2.0, 3.0), 1.0)
        assert all(map(torch.equal, (x, y, weights), samples_of(batch, given, Scales(2.0, 3.0), None)))
        assert torch.equal(y, (3.0 * (batch.r_out - batch.r_outs[0])).permute(0, 2, 3, 1).flatten(0, 2))
        assert torch.equal(x[:, :2], torch.full((32, 2), 2.0))

    def test_each_picture_counts_alike_and_each_side_alone_a_little(self):
        batch = random_batch()
        given = features_of(batch, torch.ones(4, 2, 4, 4))
        change = batch.r_out - batch.r_outs[0]
        # The second picture's change is ten times as large, the first's guided one has a mean square of one.
        first = change[:1] / (3.0 * change[:1] - 2.0 * change[2:3]).square().mean().sqrt()
        last = change[2:3] / (3.0 * change[:1] - 2.0 * change[2:3]).square().mean().sqrt()
        change = torch.cat([first, 10.0 * first, last, 10.0 * last])
        batch = Batch(**{**vars(batch), "r_out": batch.r_outs[0] + change})
        weights = samples_of(batch, given, Scales(1.0, 1.0), 3.0).weights.view(6, 16)
        expected = torch.tensor([1.0, 0.01, PLAIN_WEIGHT, 0.01 * PLAIN_WEIGHT, PLAIN_WEIGHT, 0.01 * PLAIN_WEIGHT])
        torch.testing.assert_close(weights, expected[:, None].expand(6, 16), rtol=1e-4, atol=1e-6)

    def test_where_nothing_changed_there_is_nothing_to_learn(self):
        batch = random_batch()
        batch = Batch(**{**vars(batch), "r_out": batch.r_outs[0]})
        samples = samples_of(batch, features_of(batch, torch.ones(4, 2, 4, 4)), Scales(1.0, 1.0), 3.0)
        assert samples.weights.count_nonzero() == 0

    def test_each_map_is_no_worse_than_the_identity_on_pictures_held_out(self, fitted):
        assert all(quality.output <= 1.0 for quality in fitted.qualities)
        assert fitted.adaptor.description.loss == pytest.approx(
            sum(quality.output for quality in fitted.qualities) / len(fitted.qualities)
        )

    def test_what_the_file_will_say(self, fitted):
        trained = fitted.adaptor.description.trained_for
        assert (trained.steps, trained.sampler, trained.clock, trained.cfg) == (6, "euler", 2, 3.0)
        assert trained.prompts == len(PROMPTS)
        assert fitted.adaptor.description.config.solutions == 3
        assert fitted.lines()[0] == "Fitted on 8 pictures in one run of the sampler."

    def test_a_network_that_does_nothing_gives_the_identity(self):
        """The low-res part gives zero, whatever comes."""
        silent = toys.model_of(toys.TINIEST)
        for name, parameter in silent.model.diffusion_model.output_blocks[1].named_parameters():
            if not name.startswith("2."):
                parameter.zero_()
        for parameter in silent.model.diffusion_model.output_blocks[0].parameters():
            parameter.zero_()
        found = fit(plan_of(silent))
        assert torch.equal(sampled(silent, found.adaptor), sampled(silent, Identity(Place.BEFORE_UPSAMPLE)))


class TestRuns:
    def test_the_same_seed_gives_the_same_adaptor(self, model, fitted):
        again = fit(plan_of(model)).adaptor.network.state_dict()
        assert all(torch.equal(tensor, again[name]) for name, tensor in fitted.adaptor.network.state_dict().items())
        other = fit(plan_of(model, seed=1000)).adaptor.network.state_dict()
        assert not torch.equal(other["weight"], again["weight"])

    def test_little_memory_means_more_runs(self, model, fitted):
        seam = fitted.adaptor.description.seam
        sums, picture = memory_needed(plan_of(model), geometry_of(model), seam)
        assert sums == 2 * 3 * NormalEquations.size_bytes(INPUTS.channels(seam), seam.r_out)
        shown = []
        found = fit(plan_of(model, memory_bytes=sums + 3.5 * picture), lambda *progress: shown.append(progress))
        assert found.runs == 3
        assert shown == [(done, 9) for done in range(1, 10)]
        assert len(found.qualities) == 3
        with pytest.raises(ValueError, match=r"memory_limit is .* GB, but this fit needs"):
            fit(plan_of(model, memory_bytes=sums + 0.5 * picture))

    def test_two_evaluations_at_one_sigma_share_a_map(self, model):
        found = fit(plan_of(model, point=OperatingPoint(4, "heun", "normal", 3.0, 3)))
        lambdas = found.adaptor.network.log_snr
        assert len(lambdas.unique()) == len(lambdas)

    def test_cfg_1_has_one_stream(self, model):
        found = fit(plan_of(model, point=OperatingPoint(4, "euler", "normal", 1.0, 2)))
        assert all(math.isfinite(quality.output) for quality in found.qualities)

    def test_sdxl_made_in_inference_mode(self):
        with torch.inference_mode():
            made = toys.toy_model("koala 700m")
        prompts = [Conditioning.all_of(toys.conditioning(5, tokens=8), "positive")[0]]
        found = fit(plan_of(made, prompts=prompts, pictures=4, point=OperatingPoint(2, "euler", "normal", 3.0, 2)))
        assert found.adaptor.description.seam.kept_blocks == 2

    def test_nothing_is_left_on_the_model(self, model):
        options = repr(model.model_options)
        before = toys.sample(model, size=(8, 8))
        fit(plan_of(model))
        assert torch.equal(toys.sample(model, size=(8, 8)), before)
        assert repr(model.model_options) == options
        assert not any(model.wrappers.values())

    def test_what_the_report_raises_comes_out(self, model):
        def cancel(_done, _total):
            raise InterruptedError("enough")

        with pytest.raises(InterruptedError, match="enough"):
            fit(plan_of(model), cancel)


class TestRefusals:
    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"prompts": []}, "There are no prompts"),
            ({"pictures": 3}, "pictures is 3, but must lie between 4 and 1024"),
            ({"pictures": 4.0}, "pictures is 4.0, but must be a whole number"),
            ({"seed": -1}, "seed is -1, but must lie between 0 and"),
            ({"latent": torch.zeros(1, 4, 3, 8, 8)}, r"latent has the shape \(1, 4, 3, 8, 8\)"),
            ({"point": OperatingPoint(6, "magic", "normal", 3.0, 2)}, "sampler is 'magic', but must be one of"),
        ],
    )
    def test_bad_values(self, model, changes, message):
        with pytest.raises(ValueError, match=message):
            plan_of(model, **changes)

    def test_a_cut_without_a_seam(self, model):
        with pytest.raises(ValueError, match="kept_blocks is 1, but this adaptor works before the upsample"):
            fit(plan_of(model, kept_blocks=1))

    def test_a_model_that_is_no_unet(self):
        with pytest.raises(ValueError, match="Clockwork cannot cut the model Flux"):
            fit(plan_of(toys.toy_transformer()))

    def test_features_that_are_not_finite(self):
        broken = toys.model_of(toys.TINIEST)
        broken.model.diffusion_model.middle_block[0].in_layers[2].weight.fill_(float("inf"))
        with pytest.raises(ValueError, match="not finite"):
            fit(plan_of(broken))
