"""Linear maps: what they compute, which one a run takes, what they cost, and their files."""

import math

import pytest
import torch
import toys
from clockwork import kinds, with_clockwork

from clockwork_pack.adaptors import Description, Identity, describe, untrained
from clockwork_pack.adaptors.affine import AffineConfig
from clockwork_pack.adaptors.files import load_adaptor, save_adaptor
from clockwork_pack.clockwork_core.adaptor import Past, Present
from clockwork_pack.clockwork_core.cut import Place, Seam

SEAM = Seam(kept_blocks=3, r_in=32, r_out=64, embedding=128, context=16)
SMALL = Seam(kept_blocks=3, r_in=1, r_out=1, embedding=4, context=4)
ONE_PAST = {"past": 1, "past_r_in": False}


def adaptor_for(lambdas, seam=SMALL, **changes):
    """An untrained adaptor with a solution for each lambda."""
    config = AffineConfig(**{"past": 2, "past_r_in": True, **changes}, solutions=len(lambdas))
    adaptor = untrained(Description("affine", config, seam))
    adaptor.network.log_snr.copy_(torch.tensor(lambdas))
    return adaptor


def plane(value):
    return torch.full((1, 1, 2, 2), float(value))


def predict(adaptor, log_snr):
    """r_in went from 2 and 3 to 5, r_out from 7 to 11."""
    past = [Past((0.0,), plane(11), plane(3)), Past((-1.0,), plane(7), plane(2))]
    return adaptor.predict(past, Present(plane(5), torch.zeros(1, 4), None, log_snr))


class TestMap:
    def test_each_input_by_hand(self):
        """The inputs: r_in 5, its changes 5 - 3 and 5 - 2, r_out 11, its change 11 - 7."""
        adaptor = adaptor_for([0.0])
        adaptor.network.weight.copy_(torch.tensor([[[1.0, 10.0, 100.0, 1000.0, 10000.0]]]))
        adaptor.network.bias.fill_(0.5)
        expected = 11 + 5 + 20 + 300 + 11000 + 40000 + 0.5
        assert torch.equal(predict(adaptor, 1.0), plane(expected))

    def test_scales_act_on_the_way_in_and_out(self):
        adaptor = adaptor_for([0.0], **ONE_PAST)
        adaptor.network.weight.copy_(torch.tensor([[[1.0, 1.0]]]))
        adaptor.network.r_in_scale.fill_(2.0)
        adaptor.network.r_out_scale.fill_(4.0)
        adaptor.network.change_size[0] = math.log(3.0)
        torch.testing.assert_close(predict(adaptor, 1.0), plane(11 + (2 * 5 + 4 * 11) * 3))

    @pytest.mark.parametrize(("log_snr", "expected"), [(-9.0, 1), (0.4, 1), (0.6, 2), (2.1, 3), (50.0, 3)])
    def test_the_nearest_solution_counts(self, log_snr, expected):
        adaptor = adaptor_for([0.0, 1.0, 2.0])
        adaptor.network.bias.copy_(torch.tensor([[1.0], [2.0], [3.0]]))
        assert torch.equal(predict(adaptor, log_snr), plane(11 + expected))

    def test_samples_of_different_evaluations_in_one_batch(self):
        adaptor = adaptor_for([0.0, 1.0])
        toys.randomize(adaptor.network, seed=0)
        adaptor.network.log_snr.copy_(torch.tensor([0.0, 1.0]))
        generator = torch.Generator().manual_seed(0)
        inputs = torch.randn(2, 5, 3, 3, generator=generator)
        given = type("Given", (), {"log_snr": torch.tensor([1.1, -0.2])})
        together = adaptor.network(inputs, given)
        for sample, solution in ((0, 1), (1, 0)):
            weight, bias = adaptor.network.weight[solution], adaptor.network.bias[solution]
            alone = torch.einsum("oc,chw->ohw", weight, inputs[sample]) + bias[:, None, None]
            torch.testing.assert_close(together[sample], alone)

    def test_zero_is_the_identity_bit_for_bit(self):
        model = toys.toy_model("sd15")
        found = toys.sample(with_clockwork(model, adaptor=untrained(describe("affine", SEAM))))
        expected = toys.sample(with_clockwork(model, adaptor=Identity(place=Place.BEFORE_UPSAMPLE)))
        assert torch.equal(found, expected)

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
    def test_computes_in_the_unets_dtype(self, dtype):
        adaptor = adaptor_for([0.0], SEAM)
        toys.randomize(adaptor.network, seed=0)
        generator = torch.Generator().manual_seed(0)
        r_out, r_in = (torch.randn(2, channels, 4, 4, generator=generator) for channels in (64, 32))

        def predict_in(kind):
            past = [Past((0.0, 0.0), r_out.to(kind), r_in.to(kind))]
            return adaptor.predict(past, Present((2 * r_in).to(kind), torch.zeros(2, 128, dtype=kind), None, 1.0))

        found, exact = predict_in(dtype), predict_in(torch.float32)
        assert found.dtype is dtype
        assert (found.float() - exact).norm() < 0.02 * exact.norm()

    def test_flops_are_those_of_one_linear_layer(self):
        r_in_channels, r_out_channels = 3 * 32, 2 * 64
        flops = untrained(describe("affine", SEAM)).flops((2, 64, 8, 8))
        assert flops == 2 * 2 * 64 * (r_in_channels + r_out_channels) * 8 * 8


class TestConfig:
    @pytest.mark.parametrize("solutions", [0, -1, 1001])
    def test_number_of_solutions(self, solutions):
        with pytest.raises(ValueError, match=f"solutions is {solutions}, but must lie between 1 and 1000"):
            AffineConfig(solutions=solutions)

    @pytest.mark.parametrize("name", ["prompt", "gaps"])
    def test_what_it_cannot_see(self, name):
        with pytest.raises(ValueError, match="prompt and gaps must be false"):
            AffineConfig(**{name: True})


class TestFile:
    def test_round_trip(self, tmp_path):
        adaptor = adaptor_for([0.5, -1.0, 3.0], SEAM)
        toys.randomize(adaptor.network, seed=0)
        save_adaptor(adaptor, tmp_path / "a.safetensors")
        loaded = load_adaptor(tmp_path / "a.safetensors")
        assert loaded.description == adaptor.description
        model = toys.toy_model("sd15")
        patched = with_clockwork(model, adaptor=loaded)
        assert torch.equal(toys.sample(patched), toys.sample(with_clockwork(model, adaptor=adaptor)))
        assert kinds(patched) == "FaFaFa"

    def test_fewer_solutions_than_it_says(self, tmp_path):
        adaptor = adaptor_for([0.5, 1.0], SEAM)
        other = Description("affine", AffineConfig.of(3), SEAM)
        adaptor.description = other
        save_adaptor(adaptor, tmp_path / "a.safetensors")
        with pytest.raises(ValueError, match=r"has the shape \[2.*must have \[3"):
            load_adaptor(tmp_path / "a.safetensors")
