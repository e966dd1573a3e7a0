"""A network on fitted maps: what each of the two adds, and its file."""

import math

import pytest
import torch
import toys
from clockwork import kinds, with_clockwork

from clockwork_pack.adaptors import Description, describe, untrained
from clockwork_pack.adaptors.affine import AffineConfig
from clockwork_pack.adaptors.files import load_adaptor, save_adaptor
from clockwork_pack.adaptors.inputs import Features
from clockwork_pack.adaptors.refined import RefinedConfig
from clockwork_pack.clockwork_core.adaptor import Past, Present
from clockwork_pack.clockwork_core.cut import Seam

SEAM = Seam(kept_blocks=3, r_in=32, r_out=64, embedding=128, context=16)


def maps():
    """An adaptor of two random maps, with scales of its own, as a fit makes it."""
    adaptor = untrained(Description("affine", AffineConfig.of(2), SEAM))
    toys.randomize(adaptor.network, seed=3)
    network = adaptor.network
    generator = torch.Generator().manual_seed(4)
    network.weight.copy_(0.1 * torch.randn(network.weight.shape, generator=generator))
    network.bias.copy_(torch.randn(network.bias.shape, generator=generator))
    network.log_snr.copy_(torch.tensor([0.0, 1.0]))
    network.r_in_scale.fill_(2.0)
    network.r_out_scale.fill_(0.5)
    network.change_size.copy_(torch.tensor([-math.log(0.5), 0.0, 0.0, 0.0]))
    return adaptor


def refined_on(affine):
    adaptor = untrained(Description("refined", RefinedConfig.scaled_to(SEAM).on(2), SEAM))
    adaptor.network.begin_with(affine.network)
    return adaptor


def features():
    generator = torch.Generator().manual_seed(0)

    def noise(*shape):
        return torch.randn(shape, generator=generator)

    past = [Past((at,) * 2, noise(2, 64, 5, 7), noise(2, 32, 5, 7)) for at in (0.5, -0.5)]
    return past, Present(noise(2, 32, 5, 7), noise(2, 128), None, 0.9)


def test_before_it_is_trained_it_does_what_the_maps_do():
    affine = maps()
    adaptor = refined_on(affine)
    expected = affine.predict(*features())
    torch.testing.assert_close(adaptor.predict(*features()), expected)
    adaptor.network.set_scales(torch.tensor(7.0), torch.tensor(9.0), torch.tensor([-3.0, 0.5, 0.1, 0.2]))
    torch.testing.assert_close(adaptor.predict(*features()), expected, msg="in whichever unit the network works")


def test_the_network_adds_to_it_in_the_unit_of_what_is_left_over():
    affine = maps()
    adaptor = refined_on(affine)
    adaptor.network.set_scales(torch.tensor(7.0), torch.tensor(9.0), torch.tensor([math.log(3.0), 0.0, 0.0, 0.0]))
    adaptor.network.up.bias.fill_(2.0)
    torch.testing.assert_close(adaptor.predict(*features()), affine.predict(*features()) + 6.0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_knows_small_changes(dtype):
    """Where what is left over is smaller than half precision can tell, the maps still count in full."""
    adaptor = refined_on(maps())
    adaptor.network.set_scales(torch.tensor(1.0), torch.tensor(1.0), torch.tensor([-10.0, 0.0, 0.0, 0.0]))
    adaptor.network.fitted.weight.mul_(1e-3)
    adaptor.network.fitted.bias.mul_(1e-3)
    past, present = features()
    halves = [Past(each.log_snr, each.r_out.to(dtype), each.r_in.to(dtype)) for each in past]
    half = Present(present.r_in.to(dtype), present.emb.to(dtype), None, present.log_snr)
    exact = adaptor.predict(past, present) - past[0].r_out
    found = adaptor._change(Features.of(halves, half, 2), adaptor.network).float()
    assert (found - exact).norm() < 0.02 * exact.norm()


def test_maps_are_not_trained():
    names = {name for name, _ in refined_on(maps()).network.named_parameters()}
    assert names
    assert not [name for name in names if name.startswith("fitted.")]


def test_its_file(tmp_path):
    adaptor = refined_on(maps())
    toys.randomize(adaptor.network.up, seed=0)
    save_adaptor(adaptor, tmp_path / "a.safetensors")
    loaded = load_adaptor(tmp_path / "a.safetensors")
    assert loaded.description == adaptor.description
    model = toys.toy_model("sd15")
    patched = with_clockwork(model, adaptor=loaded)
    assert torch.equal(toys.sample(patched), toys.sample(with_clockwork(model, adaptor=adaptor)))
    assert kinds(patched) == "FaFaFa"


def test_number_of_solutions():
    with pytest.raises(ValueError, match="solutions is 0, but must lie between 1 and 1000"):
        RefinedConfig(width=32, solutions=0)


def test_it_costs_some_two_times_the_papers_default():
    sd15 = Seam(3, 320, 640, embedding=1280, context=768)
    refined, resnet = (untrained(describe(name, sd15)).flops((2, 640, 32, 32)) for name in ("refined", "resnet"))
    assert refined == pytest.approx(2.07 * resnet, rel=0.01)
