"""UNets of the true sizes of SD 1.5 and SDXL, with random weights: an adaptor is fitted, trained, saved and used."""

import time

import comfy.model_patcher
import make_checkpoint
import psutil
import pytest
import torch
from clockwork import kinds, with_clockwork

from clockwork_pack.adaptors.files import load_adaptor, save_adaptor
from clockwork_pack.adaptors.training import begin, host
from clockwork_pack.adaptors.training.plan import TrainingPlan, describe_for
from clockwork_pack.adaptors.training.point import OperatingPoint
from clockwork_pack.adaptors.training.prompts import Conditioning
from clockwork_pack.adaptors.training.session import train
from clockwork_pack.adaptors.training.settings import TrainingSettings

pytestmark = pytest.mark.slow

# Free memory that each takes with weights in bfloat16, in GB.
NEEDS = {"sd15": 4, "sdxl": 9}
POINT = OperatingPoint(2, "euler", "normal", 3.0, 2)
PICTURES = 4
SETTINGS = TrainingSettings(iterations=2, batch=2, trajectories=1, teacher_batch=1)


def model_of(geometry):
    """A MODEL with the weights that tools/make_checkpoint.py would write."""
    config, _ = make_checkpoint.GEOMETRIES[geometry]()
    config.set_inference_dtype(torch.bfloat16, None)
    base_model = config.get_model({}, device=torch.device("cpu"))
    generator = torch.Generator().manual_seed(0)
    for name, parameter in base_model.diffusion_model.named_parameters():
        parameter.requires_grad_(False).copy_(make_checkpoint.random_weight(name, parameter.shape, generator))
    return comfy.model_patcher.ModelPatcher(base_model, torch.device("cpu"), torch.device("cpu"))


def prompt_of(model, seed):
    generator = torch.Generator().manual_seed(seed)
    width = model.model.model_config.unet_config["context_dim"]
    pooled = {"pooled_output": torch.randn(1, 1280, generator=generator)}
    return Conditioning.all_of([[torch.randn(1, 77, width, generator=generator), pooled]], "positive")[0]


@pytest.mark.parametrize("geometry", list(NEEDS))
def test_an_adaptor_is_fitted_trained_saved_loaded_and_used(geometry, tmp_path, monkeypatch):
    if psutil.virtual_memory().available < NEEDS[geometry] * 1e9:
        pytest.skip(f"{geometry} needs {NEEDS[geometry]} GB of free memory")
    model = model_of(geometry)
    prompt, negative, latent = prompt_of(model, 0), prompt_of(model, 1), torch.zeros(1, 4, 16, 16)
    description = describe_for(model, 3, "refined", [POINT])
    monkeypatch.setattr(begin, "FITTED_ON", PICTURES)
    times = [time.monotonic()]
    trained = train(
        TrainingPlan(model, description, [prompt], negative, latent, [POINT], SETTINGS),
        lambda _progress: times.append(time.monotonic()),
        say=lambda _line: times.append(time.monotonic()),
    )
    started, _fitting, drawing, first, second = times
    assert all(torch.isfinite(torch.tensor(trained.losses)))
    peak = psutil.Process().memory_info().rss / 1e9
    print(
        f"{geometry}: {drawing - started:.1f} s to load it and to fit on {PICTURES} pictures, {first - drawing:.1f} s "
        f"to draw and for the first update, {second - first:.1f} s for an update and its check; {peak:.1f} GB in use"
    )

    save_adaptor(trained.adaptor, tmp_path / "adaptor.safetensors")
    patched = with_clockwork(model, adaptor=load_adaptor(tmp_path / "adaptor.safetensors"))
    noise = host.noise_for(patched, latent, [0])
    with torch.inference_mode():
        picture = host.sample(patched, POINT, noise, latent, prompt.for_host(), negative.for_host(), 0)
    assert torch.isfinite(picture).all()
    assert kinds(patched) == "Fa"
