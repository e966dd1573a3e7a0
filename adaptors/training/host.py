"""The host's sampler, noise and loading of models, for training. No other file here imports the host."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import comfy.model_management
import comfy.sample
import comfy.samplers
import folder_paths
import torch
from torch import Tensor

from ...clockwork_core.checks import shown
from ...clockwork_core.host import ModelPatcher
from .point import OperatingPoint

# More bytes than any device has.
EVERYTHING = 1e30


def require_known(point: OperatingPoint) -> None:
    """Raise ValueError unless the host has the point's sampler and scheduler."""
    for what, name, known in (
        ("sampler", point.sampler, comfy.samplers.KSampler.SAMPLERS),
        ("scheduler", point.scheduler, comfy.samplers.KSampler.SCHEDULERS),
    ):
        if name not in known:
            raise ValueError(f"{what} is {shown(name)}, but must be one of {', '.join(known)}.")


def sample(
    model: ModelPatcher,
    point: OperatingPoint,
    noise: Tensor,
    latent: Tensor,
    positive: list[list[Any]],
    negative: list[list[Any]],
    seed: int,
) -> Tensor:
    """One run of the host's sampler on noise and empty latents (B, C, H, W); returns the latents."""
    latent = comfy.sample.fix_empty_latent_channels(model, latent)
    return comfy.sample.sample(
        model, noise, point.steps, point.cfg, point.sampler, point.scheduler, positive, negative, latent,
        disable_pbar=True, seed=seed,
    )  # fmt: skip


class _AtEachSigma(comfy.samplers.Sampler):
    """Evaluates an image under the same noise at each sigma of a run, where a sampler would denoise it."""

    def sample(self, model_wrap, sigmas, extra_args, callback, noise, latent_image: Any = None, *_others) -> Tensor:  # noqa: ARG002
        for sigma in sigmas[:-1]:
            noised = model_wrap.inner_model.model_sampling.noise_scaling(sigma, noise, latent_image)
            model_wrap(noised, sigma.expand(len(noised)), **extra_args)
        return latent_image


def evaluate_noised(
    model: ModelPatcher,
    point: OperatingPoint,
    noise: Tensor,
    latent: Tensor,
    positive: list[list[Any]],
    negative: list[list[Any]],
    seed: int,
) -> Tensor:
    """As `sample`, but each evaluation is of the latents themselves, under noise of its sigma; returns them."""
    sampling = model.get_model_object("model_sampling")
    sigmas = comfy.samplers.calculate_sigmas(sampling, point.scheduler, point.steps)
    comfy.sample.sample_custom(
        model, noise, point.cfg, _AtEachSigma(), sigmas, positive, negative, latent, disable_pbar=True, seed=seed
    )
    return latent


def noise_for(model: ModelPatcher, latent: Tensor, seeds: list[int]) -> Tensor:
    """The noise (B, C, H, W) that the host's samplers begin with: one sample for each seed. latent: (1, C, H, W)."""
    latent = comfy.sample.fix_empty_latent_channels(model, latent)
    noises: list[Tensor] = [comfy.sample.prepare_noise(latent, seed) for seed in seeds]  # pyright: ignore
    return torch.cat(noises)


def unload(model: ModelPatcher) -> None:
    """Have the host take a model off its device, and everything off the network that was patched into it."""
    others = [loaded for loaded in comfy.model_management.current_loaded_models if loaded.model is not model]
    comfy.model_management.free_memory(EVERYTHING, model.load_device, others)


def temporary_folder() -> Path:
    """Where the host keeps what it removes when it starts and ends."""
    folder = Path(folder_paths.get_temp_directory())
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def load(models: list[ModelPatcher]) -> torch.device:
    """Have the host load models, patched, as for sampling; returns the device to compute on."""
    comfy.model_management.load_models_gpu(models)
    return models[0].load_device


def interrupted() -> None:
    """Raise the host's own exception if the user has asked to stop."""
    comfy.model_management.throw_exception_if_processing_interrupted()
