"""The networks: the paper's sizes, sizes that do not divide, dtypes; and whole runs on each family of UNets."""

import math
from dataclasses import replace

import comfy.model_management
import comfy.samplers
import pytest
import torch
import toys
from clockwork import kinds, last_report, with_clockwork

from clockwork_pack.adaptors import ARCHITECTURES, Description, Identity, TrainedFor, describe, untrained
from clockwork_pack.adaptors.inputs import Features
from clockwork_pack.adaptors.layers import size_of_change, size_terms, solved_size, sums_of_sizes
from clockwork_pack.adaptors.learned import flops_of
from clockwork_pack.adaptors.resnet import ResNetConfig
from clockwork_pack.adaptors.unet import UNetConfig
from clockwork_pack.clockwork_core.adaptor import Past, Present, RunConditions
from clockwork_pack.clockwork_core.cost import CallShape, count_passes
from clockwork_pack.clockwork_core.cut import Cut, Place, Seam, seam_of

BEFORE = Identity(place=Place.BEFORE_UPSAMPLE)
SD15 = Seam(kept_blocks=3, r_in=320, r_out=640, embedding=1280, context=768)
TOY = Seam(kept_blocks=3, r_in=32, r_out=64, embedding=128, context=16)
KEPT = {"sd15": 3, "sdxl": 3, "koala 700m": 2, "svd": 3}

# The architectures of the paper, which are conditioned on the embedding; test_affine.py has the other.
PAPERS = ("resnet", "unet", "unet-light")
VARIANTS = {
    **{name: describe(name, TOY) for name in (*PAPERS, "trend")},
    "resnet, stride 1": Description("resnet", ResNetConfig(width=64, stride=1), TOY),
    "resnet with prompt": Description("resnet", ResNetConfig(width=64, prompt=True), TOY),
    "unet with prompt": Description("unet", UNetConfig(width=32, blocks=1, prompt=True), TOY),
}


def features(description, size=(8, 8), batch=2, dtype=torch.float32):
    """Past and Present with random features of the description's seam."""
    generator, seam = torch.Generator().manual_seed(0), description.seam

    def noise(*shape):
        return torch.randn(shape, generator=generator).to(dtype)

    past = [Past((0.5,) * batch, noise(batch, seam.r_out, *size), noise(batch, seam.r_in, *size))]
    present = Present(noise(batch, seam.r_in, *size), noise(batch, seam.embedding), noise(batch, 7, seam.context), 1.0)
    return past, present


def as_if_trained(description, seed=0):
    """Random weights everywhere, also in the layers that begin as zero."""
    adaptor = untrained(description)
    toys.randomize(adaptor.network, seed)
    return adaptor


class TestPaperSizes:
    """Table "Adaptors": 14 M, 152 M and 3 M parameters; 301, 324 and 289 GFLOPs where the identity takes 287."""

    @pytest.mark.parametrize("prompt", [False, True])
    @pytest.mark.parametrize(("architecture", "expected"), [("resnet", 14e6), ("unet", 152e6), ("unet-light", 3e6)])
    def test_parameters(self, architecture, expected, prompt):
        plain = describe(architecture, SD15)
        config = type(plain.config)(**{**vars(plain.config), "prompt": prompt})
        network = Description(architecture, config, SD15).network(device="meta")
        found = sum(parameter.numel() for parameter in network.parameters())
        assert found == pytest.approx(expected, rel=0.1)

    @pytest.mark.parametrize(("architecture", "expected"), [("resnet", 14e9), ("unet", 37e9)])
    def test_flops_at_batch_two(self, architecture, expected):
        assert flops_of(describe(architecture, SD15), (2, 640, 32, 32)) == pytest.approx(expected, rel=0.1)

    def test_flops_of_the_light_unet_are_the_tables_to_its_last_digit(self):
        """289 - 287 says 1 to 3, for both are rounded."""
        flops = flops_of(describe("unet-light", SD15), (2, 640, 32, 32))
        assert flops == pytest.approx(1.51e9, rel=0.01)

    def test_widths_follow_the_unets(self):
        half = Seam(3, 160, 320, embedding=640, context=768)
        assert [describe(name, half).config.width for name in PAPERS] == [192, 320, 64]
        tiny = Seam(3, 16, 32, embedding=64, context=16)
        assert [describe(name, tiny).config.width for name in PAPERS] == [32, 32, 32]


@pytest.mark.parametrize("variant", VARIANTS)
class TestNetworks:
    @pytest.mark.parametrize("size", [(8, 8), (15, 17), (1, 3)])
    def test_untrained_is_the_identity_bit_for_bit(self, variant, size):
        past, present = features(VARIANTS[variant], size)
        assert torch.equal(untrained(VARIANTS[variant]).predict(past, present), past[0].r_out)

    def test_everything_that_it_is_given_matters(self, variant):
        description = VARIANTS[variant]
        adaptor = as_if_trained(description)
        past, present = features(description, (15, 17))
        output = adaptor.predict(past, present)
        assert output.shape == past[0].r_out.shape
        changed = {
            "r_out": adaptor.predict([replace(past[0], r_out=past[0].r_out * 1.1)], present) - 0.1 * past[0].r_out,
            **{
                part: adaptor.predict(past, Present(**{**vars(present), part: 1.5 * getattr(present, part)}))
                for part in ("r_in", "emb", "context")
            },
        }
        matters = {part for part, other in changed.items() if not torch.allclose(other, output)}
        assert matters == {"r_out", "r_in", "emb"} | ({"context"} if description.config.prompt else set())

    def test_samples_of_a_batch_do_not_meet(self, variant):
        adaptor = as_if_trained(VARIANTS[variant])
        past, present = features(VARIANTS[variant], batch=3)
        together = adaptor.predict(past, present)
        one = slice(1, 2)
        alone = adaptor.predict(
            [Past(past[0].log_snr[one], past[0].r_out[one], past[0].r_in[one])],
            Present(present.r_in[one], present.emb[one], present.context[one], present.log_snr),
        )
        assert torch.allclose(together[one], alone, atol=1e-5)

    @pytest.mark.parametrize("weights", [torch.float32, torch.bfloat16, torch.float16])
    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
    def test_computes_in_the_unets_dtype_whatever_its_own(self, variant, weights, dtype):
        adaptor = as_if_trained(VARIANTS[variant])
        exact = adaptor.predict(*features(VARIANTS[variant]))
        adaptor.network.to(weights)
        output = adaptor.predict(*features(VARIANTS[variant], dtype=dtype))
        assert output.dtype is dtype
        assert (output.float() - exact).norm() / exact.norm() < 0.05

    def test_same_seed_same_weights(self, variant):
        first, again, other = (untrained(VARIANTS[variant], seed).network.state_dict() for seed in (1, 1, 2))
        assert all(torch.equal(first[key], again[key]) for key in first)
        assert any(not torch.equal(first[key], other[key]) for key in first)

    def test_every_weight_learns(self, variant):
        """After the first updates gradients reach all layers, through `predict` as the engine calls it."""
        with torch.inference_mode():
            adaptor = untrained(VARIANTS[variant])
        network = adaptor.network.requires_grad_(True)
        optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
        past, present = features(VARIANTS[variant])
        for _ in range(3):
            optimizer.zero_grad()
            (adaptor.predict(past, present) - 2 * past[0].r_out).square().mean().backward()
            optimizer.step()
        silent = [name for name, parameter in network.named_parameters() if not parameter.grad.abs().any()]
        assert silent == []


class TestSettings:
    @pytest.mark.parametrize(
        ("build", "message"),
        [
            (lambda: ResNetConfig(width=100), "width is 100, but must be a multiple of 32 between 32 and 8192"),
            (lambda: ResNetConfig(width=0), "width is 0"),
            (lambda: UNetConfig(width=64, blocks=0), "blocks is 0, but must lie between 1 and 64"),
            (lambda: ResNetConfig(width=64, stride=3), "stride is 3, but must be 1 or 2"),
            (
                lambda: describe("transformer", TOY),
                "architecture is 'transformer', but must be one of resnet, trend, un",
            ),
        ],
    )
    def test_bad_values(self, build, message):
        with pytest.raises(ValueError, match=message):
            build()


class TestFit:
    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"kept_blocks": 6}, r"a cut with kept_blocks = 6, but this model has 3"),
            ({"r_in": 320}, "r_in channels: 320, but this model has 32"),
            ({"r_out": 640}, "r_out channels: 640, but this model has 64"),
            ({"embedding": 1280}, "embedding width: 1280, but this model has 128"),
            ({"context": 768}, "prompt width: 768, but this model has 16"),
        ],
    )
    def test_another_unet_is_refused_before_sampling(self, changes, message):
        adaptor = untrained(describe("unet-light", Seam(**{**vars(TOY), **changes})))
        with pytest.raises(ValueError, match=f"'unet-light' does not fit: it is made for {message}"):
            with_clockwork(toys.toy_model("sd15"), adaptor=adaptor)

    def test_a_cut_without_a_place_before_the_upsample(self):
        with pytest.raises(ValueError, match="choose 3 or 6 or 9"):
            with_clockwork(toys.toy_model("sd15"), kept_blocks=5, adaptor=untrained(describe("resnet", TOY)))

    def test_warnings(self):
        trained = TrainedFor(steps=8, sampler="euler", scheduler="normal", cfg=3.0, clock=2, prompts=10)
        plain = describe("resnet", TOY)
        adaptor = untrained(Description(plain.architecture, plain.config, TOY, trained, 0.5))
        assert adaptor.warnings(RunConditions("euler", 8, 3.0, "clock 2")) == []
        assert adaptor.warnings(RunConditions(None, 20, 7.0, "clock 3")) == [
            "The adaptor 'resnet' was trained for the sampler euler, but this run has another one.",
            "The adaptor 'resnet' was trained for the number of steps 8, but this run has 20.",
            "The adaptor 'resnet' was trained for the schedule clock 2, but this run has clock 3.",
            "The adaptor 'resnet' was trained for cfg 3.0, but this run has 7.0.",
        ]

    def test_a_run_it_was_trained_for_and_one_it_was_not(self, caplog):
        trained = TrainedFor(steps=6, sampler="euler", scheduler="normal", cfg=3.0, clock=2, prompts=10)
        plain = describe("unet-light", TOY)
        patched = with_clockwork(
            toys.toy_model("sd15"), adaptor=untrained(Description(plain.architecture, plain.config, TOY, trained))
        )
        toys.sample(patched, steps=6, sampler="euler")
        assert last_report(patched).warnings == []
        toys.sample(patched, steps=6, sampler="dpmpp_2m")
        warning = "was trained for the sampler euler, but this run has dpmpp_2m."
        assert f"warning: The adaptor 'unet-light' {warning}" in last_report(patched).text()
        assert warning in caplog.text


@pytest.fixture(scope="module", params=KEPT)
def cut_model(request):
    model = toys.toy_model(request.param)
    return model, KEPT[request.param], toys.FAMILIES[request.param].batch


class TestRuns:
    @pytest.mark.parametrize("architecture", ARCHITECTURES)
    def test_untrained_draws_what_the_identity_draws(self, cut_model, architecture):
        model, kept, batch = cut_model
        adaptor = untrained(describe(architecture, seam_of(model.model.diffusion_model, kept)))
        identity, learned = (with_clockwork(model, 3, kept, adaptor=each) for each in (BEFORE, adaptor))
        expected = toys.sample(identity, steps=4, batch=batch)
        assert torch.equal(toys.sample(learned, steps=4, batch=batch), expected)
        assert kinds(learned) == "FaaF"

    def test_trained_draws_something_else(self, cut_model):
        model, kept, batch = cut_model
        adaptor = as_if_trained(describe("resnet", seam_of(model.model.diffusion_model, kept)))
        identity, learned = (with_clockwork(model, 3, kept, adaptor=each) for each in (BEFORE, adaptor))
        drawn, other = (toys.sample(each, steps=4, batch=batch) for each in (identity, learned))
        assert torch.isfinite(drawn).all()
        assert not torch.allclose(drawn, other)

    @pytest.mark.parametrize("architecture", ["resnet", "unet-light"])
    def test_split_and_batched_conditionings_agree(self, architecture, monkeypatch):
        patched = with_clockwork(toys.toy_model("sd15"), adaptor=as_if_trained(VARIANTS[architecture]))
        batched = toys.sample(patched, steps=4, batch=2)
        # The host asks this before it batches conditionings together.
        monkeypatch.setattr(comfy.samplers.model_management, "get_free_memory", lambda *_: 1)
        split = toys.sample(patched, steps=4, batch=2)
        assert [e.calls.total() for e in last_report(patched).evaluations] == [2] * 4
        assert (batched - split).norm() / split.norm() < 1e-4

    def test_same_seed_twice_and_odd_sizes(self):
        patched = with_clockwork(toys.toy_model("sd15"), adaptor=as_if_trained(VARIANTS["unet"]))
        first = toys.sample(patched, size=(15, 19))
        toys.sample(patched, size=(24, 8))
        assert torch.equal(toys.sample(patched, size=(15, 19)), first)

    def test_the_host_loads_the_network_with_the_unet(self):
        adaptor = untrained(VARIANTS["resnet"])
        patched = with_clockwork(toys.toy_model("sd15"), adaptor=adaptor)
        toys.sample(patched.clone())
        loaded = [each.model for each in comfy.model_management.loaded_models()]
        assert adaptor.network in loaded
        assert not with_clockwork(patched).get_nested_additional_models(), "another adaptor replaces it"

    def test_the_network_may_lie_elsewhere_in_another_dtype(self):
        """As offloaded layers do: cast as they run."""
        adaptor = as_if_trained(VARIANTS["resnet"])
        patched = with_clockwork(toys.toy_model("sd15"), adaptor=adaptor)
        expected = toys.sample(patched)
        adaptor.network.double()
        assert torch.equal(toys.sample(patched), expected)

    def test_offloaded_weights(self):
        """The host leaves them where they are, and each layer fetches its own."""
        adaptor = as_if_trained(VARIANTS["resnet"])
        past, present = features(VARIANTS["resnet"])
        expected = adaptor.predict(past, present)
        (managed,) = adaptor.models()
        managed.patch_model(torch.device("cpu"), lowvram_model_memory=1)
        assert managed.model.model_lowvram
        assert torch.equal(adaptor.predict(past, present), expected)
        managed.unpatch_model(torch.device("cpu"))
        assert torch.equal(adaptor.predict(past, present), expected)

    def test_a_unet_that_computes_in_bfloat16(self):
        model = toys.toy_model("sd15")
        model.set_model_compute_dtype(torch.bfloat16)
        identity, untrained_one, trained = (
            toys.sample(with_clockwork(model, adaptor=adaptor), steps=4)
            for adaptor in (BEFORE, untrained(VARIANTS["resnet"]), as_if_trained(VARIANTS["resnet"]))
        )
        assert torch.equal(untrained_one, identity)
        assert torch.isfinite(trained).all()
        assert not torch.equal(trained, identity)

    def test_its_compute_is_in_the_report(self):
        adaptor = untrained(VARIANTS["resnet"])
        patched = with_clockwork(toys.toy_model("sd15"), adaptor=adaptor)
        toys.sample(patched)
        report = last_report(patched)
        shape = CallShape((2, 4, 16, 16), (2, 77, toys.CONTEXT), None)
        costs = count_passes(report.unet_config, shape, Cut(3, Place.BEFORE_UPSAMPLE))
        assert costs.r_out == (2, 64, 8, 8)
        own = adaptor.flops(costs.r_out)
        assert own > 0
        assert report.flops()[0] == 3 * costs.full.total + 3 * (costs.adaptor.total + own)


def test_changes_come_in_their_typical_size():
    """exp(c0 + c1 lambda + c2 lambda² + c3 log gap), by hand: exp(0.1 + 0.2 * 2 + 0.3 * 4) * 0.5 ** 0.4."""
    size = size_of_change(torch.tensor([0.1, 0.2, 0.3, 0.4]), torch.tensor([2.0]), torch.tensor([0.5]))
    torch.testing.assert_close(size, torch.tensor([math.exp(1.7) * 0.5**0.4]))


def test_the_typical_size_is_found_again():
    log_snr, gap = torch.linspace(-3.0, 3.0, 50), torch.linspace(0.2, 1.0, 50)
    truth = torch.tensor([0.5, -1.0, -0.2, 0.7])
    sizes = size_of_change(truth, log_snr, gap)
    found = solved_size(sums_of_sizes(size_terms(log_snr, gap), sizes)).float()
    torch.testing.assert_close(size_of_change(found, log_snr, gap), sizes, rtol=0.1, atol=0.0)


def test_older_passes_are_seen_as_what_has_changed_since():
    config = ResNetConfig(width=32, past=2, past_r_in=True)
    one = torch.ones(1, 1, 1, 1)
    past = [Past((0.5,), 10 * one, 3 * one), Past((0.25,), 7 * one, 2 * one)]
    seen = Features.of(past, Present(5 * one, torch.zeros(1, 4), None, 1.0), depth=2)
    assert seen.for_network(config, torch.tensor(1.0), torch.tensor(1.0)).flatten().tolist() == [5, 2, 3, 10, 3]
    assert seen.gaps.tolist() == [[0.5, 0.75]]
