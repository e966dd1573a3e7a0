"""Regular distillation: the teacher at noised images."""

from dataclasses import replace

import comfy.samplers
import pytest
import torch
import toys
from training import KEPT, SETTINGS, encoded, latent, plan_for, source_of

from clockwork_pack.adaptors import untrained
from clockwork_pack.adaptors.training.distil import Distillation
from clockwork_pack.adaptors.training.noised import NoisedImages
from clockwork_pack.adaptors.training.plan import describe_for
from clockwork_pack.adaptors.training.point import OperatingPoint
from clockwork_pack.adaptors.training.session import train
from clockwork_pack.adaptors.training.source import HELD_OUT_SEED

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


def test_a_plan_with_images_learns_from_them_and_checks_on_those_of_held_out_prompts(monkeypatch):
    model = toys.model_of(toys.TINIEST)
    images = torch.randn(8, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    plan = replace(plan_for(model, [POINT], iterations=2), prompts=encoded(8), images=images)
    seen = []
    unrolled = NoisedImages._unrolled

    def watched(self, point, numbers, policy):
        seen.append((self.seed, len(self.images)))
        return unrolled(self, point, numbers, policy)

    monkeypatch.setattr(NoisedImages, "_unrolled", watched)
    trained = train(plan)
    assert len(trained.losses) == 2
    assert set(seen) == {(0, 7), (HELD_OUT_SEED, 1)}


def test_some_prompts_keep_their_images():
    source = noised(toys.model_of(toys.TINIEST), torch.arange(3.0).view(3, 1, 1, 1).expand(3, 4, 8, 8))
    some = source.of_prompts([0, 2], seed=5)
    assert some.images[:, 0, 0, 0].tolist() == [0.0, 2.0]
    assert some.prompts == [source.prompts[0], source.prompts[2]]
    assert some.seed == 5


def test_each_prompt_needs_its_image():
    plan = plan_for(toys.model_of(toys.TINIEST))
    with pytest.raises(ValueError, match="There are 1 images, but 3 prompts"):
        replace(plan, images=torch.zeros(1, 4, 8, 8))
