"""Whole runs on a trained UNet: the pocket model that comes with the pack."""

import comfy.sample
import pytest
import torch
from clockwork import kinds, with_clockwork
from comfy.patcher_extension import WrappersMP
from naive import NaiveClock

from clockwork_pack.clockwork_core.metrics import psnr
from clockwork_pack.demo_model import load_demo_model

SAMPLERS = [
    "euler",
    "euler_ancestral",
    "heun",
    "dpm_2",
    "dpmpp_2m",
    "dpmpp_sde",
    "dpmpp_2m_sde",
    "lms",
    "ddim",
    "uni_pc",
]


@pytest.fixture(scope="module")
def pocket():
    return load_demo_model()


@pytest.fixture(scope="module")
def draw(pocket):
    """draw(model) -> latents of two prompts, as the host's KSampler makes them."""
    _, clip, _ = pocket

    def encode(text):
        return clip.encode_from_tokens_scheduled(clip.tokenize(text))

    prompts, empty = [encode("rocket"), encode("tiger on a blue background")], encode("")

    def run(model, sampler="dpmpp_2m", steps=8, cfg=4.0):
        latents = []
        for positive in prompts:
            empty_latent = comfy.sample.fix_empty_latent_channels(model, torch.zeros(1, 4, 32, 32))
            noise = comfy.sample.prepare_noise(empty_latent, 5)
            with torch.inference_mode():
                latents.append(
                    comfy.sample.sample(
                        model,
                        noise,
                        steps,
                        cfg,
                        sampler,
                        "karras",
                        positive,
                        empty,
                        empty_latent,
                        seed=5,
                        disable_pbar=True,
                    )
                )
        return torch.cat(latents)

    return run


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_clock_one_is_bit_identical(pocket, draw, sampler):
    model = pocket[0]
    assert torch.equal(draw(with_clockwork(model, clock=1), sampler, steps=4), draw(model, sampler, steps=4))


@pytest.mark.parametrize("kept", range(1, 12))
def test_identity_equals_a_naive_clock_at_every_cut(pocket, draw, kept):
    model = pocket[0]
    naive = model.clone()
    # A naive clock counts on from prompt to prompt: 4 evaluations each keep it in phase.
    naive.add_wrapper_with_key(WrappersMP.DIFFUSION_MODEL, "naive", NaiveClock(model.model.diffusion_model, 2, kept))
    assert torch.equal(draw(with_clockwork(model, 2, kept), steps=4), draw(naive, steps=4))


def test_clock_two_draws_nearly_the_same_picture(pocket, draw):
    """A wrong r_out (another step's, another prompt's, another place's) falls far below this."""
    model, _, vae = pocket
    patched = with_clockwork(model)
    expected = vae.decode(draw(model, steps=20))
    close = psnr(vae.decode(draw(patched, steps=20)), expected)
    assert kinds(patched) == "Fa" * 10
    assert close.min() > 22.0
    assert close.max() < 60.0, "it is an approximation"
