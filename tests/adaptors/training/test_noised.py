"""Regular distillation: the teacher at noised images."""

import comfy.samplers
import pytest
import torch
import toys
from training import KEPT, NEGATIVE, SETTINGS, encoded, latent, source_of

from clockwork_pack.adaptors import untrained
from clockwork_pack.adaptors.training.distil import Distillation
from clockwork_pack.adaptors.training.noised import NoisedImages
from clockwork_pack.adaptors.training.plan import describe_for
from clockwork_pack.adaptors.training.point import OperatingPoint

POINT = OperatingPoint(4, "dpmpp_2m", "karras", 3.0, 2)


def noised(model, images):
    source = source_of(model, [POINT])
    return NoisedImages(**{**vars(source), "prompts": encoded(len(images)), "images": images})


def test_both_evaluations_look_at_the_image_under_the_same_noise():
    model = toys.model_of(toys.TINIEST)
    images = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    source = noised(model, images)
    pairs = source.draw([3])[3]
    sampling = model.get_model_object("model_sampling")
    sigmas = comfy.samplers.calculate_sigmas(sampling, "karras", 4)
    noise = torch.randn(latent().shape, generator=torch.manual_seed(3))
    unet = source.teacher.model.model.diffusion_model
    image = model.model.process_latent_in(images[1:])
    for pair, index in zip(pairs, (1, 3), strict=True):
        x = [sampling.calculate_input(sigmas[at], image + sigmas[at] * noise) for at in (index - 1, index)]
        assert (pair.x - x[1]).abs().max() < 1e-5
        assert float(pair.gaps) == pytest.approx(float(torch.log(sigmas[index - 1] / sigmas[index])), rel=1e-4)
        with torch.no_grad():
            output = unet(x[1].repeat(2, 1, 1, 1), pair.timesteps, pair.context, pair.y)
        assert (pair.output - output).abs().max() < 1e-5

    adaptor = untrained(describe_for(model, KEPT, "resnet", [POINT]))
    training = Distillation(adaptor, source, SETTINGS, 2**30)
    losses = [training.step() for _ in range(6)]
    assert losses[-1] < losses[0]
    training.close()


def test_each_prompt_needs_its_image():
    with pytest.raises(ValueError, match="There are 1 images, but 2 prompts"):
        NoisedImages(None, None, [POINT], encoded(2), NEGATIVE, latent(), 0, None, images=torch.zeros(1, 4, 8, 8))
