"""Whole workflows: several samplers, sizes, models, tiles, windows and batches around one patched model."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial

import comfy.samplers
import torch
import toys
from cell import Cell, Expectation, Outcome, Patch
from comfy.model_patcher import ModelPatcher
from comfy_extras import nodes_context_windows, nodes_model_downscale
from comfy_extras import nodes_custom_sampler as custom
from torch import Tensor
from toy_graph import call, sample, sample_with, small, toy

import nodes as host_nodes
from clockwork_pack.clockwork_core.run import PART_OF_LATENT

from .families import IMAGE, ToyVAE

AXIS = "flows"
POSITIVE, NEGATIVE = toys.conditioning(10), toys.conditioning(11)


def _latent(batch: int = 1, size: tuple[int, int] = (16, 16)) -> Tensor:
    return torch.randn(batch, 4, *size, generator=torch.Generator().manual_seed(50))


def _flat(*latents: Tensor) -> Tensor:
    """Several latents as one row of numbers for each sample."""
    return torch.cat([latent.flatten(1) for latent in latents], dim=1)


def _ksampler(model: ModelPatcher, latent: dict, steps: int = 5, denoise: float = 1.0) -> dict:
    with torch.inference_mode():
        return call(
            host_nodes.KSampler, model, 1, steps, 3.0, "dpmpp_2m", "karras", POSITIVE, NEGATIVE, latent, denoise
        )


def _advanced(model: ModelPatcher, latent: dict, start: int, end: int, first: bool, last: bool, steps: int = 8) -> dict:
    with torch.inference_mode():
        return call(
            host_nodes.KSamplerAdvanced, model, "enable" if first else "disable", 1, steps, 3.0, "euler", "karras",
            POSITIVE, NEGATIVE, latent, start, end, "disable" if last else "enable",
        )  # fmt: skip


def _image_to_image(patch: Patch) -> Tensor:
    return _ksampler(patch(small()), {"samples": _latent()}, denoise=0.5)["samples"]


def _inpaint_by_mask(patch: Patch) -> Tensor:
    mask = torch.zeros(1, 1, 128, 128)
    mask[..., 32:96, 48:112] = 1.0
    return _ksampler(patch(small()), {"samples": _latent(), "noise_mask": mask})["samples"]


def _inpaint_by_model(patch: Patch) -> Tensor:
    mask = torch.zeros(1, 64, 64)
    mask[:, 16:48] = 1.0
    positive, negative, latent = call(
        host_nodes.InpaintModelConditioning, POSITIVE, NEGATIVE, IMAGE, ToyVAE(), mask, noise_mask=True
    )
    model = patch(toy("sd15 inpaint"))
    return sample(
        model, positive=positive, negative=negative, latent=latent["samples"], noise_mask=latent["noise_mask"]
    )


def _hires_fix(patch: Patch) -> Tensor:
    model = patch(small())
    first = _ksampler(model, {"samples": torch.zeros(1, 4, 16, 16)})
    larger = call(host_nodes.LatentUpscaleBy, first, "bicubic", 1.5)
    return _flat(first["samples"], _ksampler(model, larger, denoise=0.6)["samples"])


def _detailer(patch: Patch) -> Tensor:
    """A part of the picture, enlarged, inpainted and put back, by the same patched model; then all of it again."""
    model = patch(small())
    whole = _ksampler(model, {"samples": torch.zeros(1, 4, 16, 16)})
    crop = call(host_nodes.LatentCrop, whole, 64, 64, 32, 32)
    detailed = _ksampler(model, call(host_nodes.LatentUpscaleBy, crop, "bilinear", 2.0), denoise=0.4)
    pasted = call(
        host_nodes.LatentComposite, whole, call(host_nodes.LatentUpscaleBy, detailed, "bilinear", 0.5), 32, 32
    )
    return _flat(whole["samples"], detailed["samples"], _ksampler(model, pasted, denoise=0.3)["samples"])


def _sizes_back_and_forth(patch: Patch) -> Tensor:
    model = patch(small())
    runs = [sample(model, size=size) for size in ((16, 16), (24, 8), (16, 16))]
    assert torch.equal(runs[2], runs[0]), "the third run is not the first, though it has the same inputs"
    return _flat(*runs)


def _after_use_without(patch: Patch) -> Tensor:
    """Clockwork is used, then bypassed."""
    model = small()
    return _flat(sample(patch(model)), sample(model))


def _bypass_is_clean(outcome: Outcome) -> None:
    half = outcome.plain.shape[1] // 2
    assert torch.equal(outcome.ours, outcome.naive)
    assert not torch.equal(outcome.ours[:, :half], outcome.plain[:, :half])
    assert torch.equal(outcome.ours[:, half:], outcome.plain[:, half:])


BYPASS = Expectation("After a bypass the picture is the host's, bit for bit.", _bypass_is_clean)


def _base_and_refiner(patch: Patch) -> Tensor:
    base, refiner = patch(toy("sdxl")), patch(toy("sdxl refiner"))
    handed_over = _advanced(base, {"samples": torch.zeros(1, 4, 16, 16)}, 0, 4, first=True, last=False)
    return _advanced(refiner, handed_over, 4, 8, first=False, last=True)["samples"]


def _hand_over(patch: Patch) -> Tensor:
    model = patch(small())
    first = _advanced(model, {"samples": torch.zeros(1, 4, 16, 16)}, 0, 3, first=True, last=False)
    return _advanced(model, first, 3, 8, first=False, last=True)["samples"]


def _tiles_in_the_model(patch: Patch) -> Tensor:
    """As Tiled Diffusion: a UNet function wrapper that runs overlapping tiles and averages them."""

    def tiled(apply: Callable, args: dict) -> Tensor:
        x = args["input"]
        total, weight = torch.zeros_like(x), torch.zeros_like(x)
        for left in (0, 4, 8):
            tile = slice(left, left + 8)
            total[..., tile] += apply(x[..., tile], args["timestep"], **args["c"])
            weight[..., tile] += 1.0
        return total / weight

    model = patch(small()).clone()
    model.set_model_unet_function_wrapper(tiled)
    return sample(model)


def _tiles_as_runs(patch: Patch) -> Tensor:
    """As Ultimate SD Upscale: each tile is a sampling run of its own."""
    model = patch(small())
    latent = _latent(size=(8, 24))
    tiles = [_ksampler(model, {"samples": tile}, denoise=0.6)["samples"] for tile in latent.split(8, dim=3)]
    return torch.cat(tiles, dim=3)


def _sample_tiles(model: Callable, x: Tensor, sigmas: Tensor, extra_args: dict, callback=None, disable=None) -> Tensor:  # noqa: ARG001
    """Euler whose every step evaluates the denoiser on one tile after the other."""
    for sigma, following in itertools.pairwise(sigmas):
        tiles = [model(tile, sigma * tile.new_ones(tile.shape[0]), **extra_args) for tile in x.split(8, dim=3)]
        denoised = torch.cat(tiles, dim=3)
        x = denoised + (x - denoised) * following / sigma
    return x


def _tiles_in_the_sampler(patch: Patch) -> Tensor:
    guider = call(custom.CFGGuider, patch(small()), POSITIVE, NEGATIVE, 3.0)
    return sample_with(guider, comfy.samplers.KSAMPLER(_sample_tiles))


def _parts_are_full(outcome: Outcome) -> None:
    assert set(outcome.kinds) == {"F"}
    assert PART_OF_LATENT in outcome.reasons
    assert torch.equal(outcome.ours, outcome.plain)
    assert not torch.equal(outcome.naive, outcome.plain), "reuse from tile to tile would have been seen"


PARTS = Expectation(
    "Nothing is saved: the sampler calls the model for one tile after the other and nothing tells them apart, "
    "so every pass is full and the picture is the host's, bit for bit.",
    _parts_are_full,
)


def _batch(patch: Patch, batch: int) -> Tensor:
    return sample(patch(small()), batch=batch)


def _batch_of_seeds(patch: Patch) -> Tensor:
    """Pictures picked from a larger batch keep the noise of their place in it."""
    picked = call(host_nodes.LatentFromBatch, call(host_nodes.EmptyLatentImage, 128, 128, 4), 1, 2)
    return _ksampler(patch(small()), picked)["samples"]


def _odd_size(patch: Patch) -> Tensor:
    return sample(patch(small()), size=(13, 18))


def _context_windows(patch: Patch, schedule: str, fuse: str) -> Tensor:
    model = call(
        nodes_context_windows.ContextWindowsManualNode, patch(small()), context_length=3, context_overlap=1,
        context_schedule=schedule, context_stride=1, closed_loop=schedule == "looped_uniform", fuse_method=fuse, dim=0,
    )  # fmt: skip
    # The host compares the sigma list with the timesteps of the batch, one by one: only then does it work.
    frames = 6
    return sample(model, batch=frames, steps=frames - 1, size=(8, 8))


def _hires_with_deep_shrink(patch: Patch) -> Tensor:
    model = call(
        nodes_model_downscale.PatchModelAddDownscale, patch(small()), 2, 2.0, 0.0, 0.5, True, "bicubic", "bicubic"
    )
    return sample(model, size=(32, 32))


MOVING = "The windows move from step to step, and one that is new gets a full pass: it saves less."
CELLS = [
    Cell(AXIS, "image to image", _image_to_image),
    Cell(AXIS, "inpainting by mask", _inpaint_by_mask),
    Cell(AXIS, "inpainting by model", _inpaint_by_model),
    Cell(AXIS, "hires-fix", _hires_fix, note="Two samplers, two sizes, one patched model."),
    Cell(AXIS, "hires by deep shrink", _hires_with_deep_shrink),
    Cell(AXIS, "detailer", _detailer, note="Three runs of one patched model at two sizes."),
    Cell(AXIS, "second run after another size", _sizes_back_and_forth),
    Cell(AXIS, "bypass after use", _after_use_without, expectation=BYPASS),
    Cell(AXIS, "base and refiner", _base_and_refiner, note="Both patched; each sampler is a run of its own."),
    Cell(AXIS, "hand-over between two samplers", _hand_over, note="The second sampler begins with a full pass."),
    Cell(AXIS, "tiles", _tiles_in_the_model, "by a UNet function wrapper"),
    Cell(AXIS, "tiles", _tiles_as_runs, "each a run of its own"),
    Cell(AXIS, "tiles", _tiles_in_the_sampler, "by the sampler", expectation=PARTS),
    *(Cell(AXIS, "batch", partial(_batch, batch=batch), f"of {batch}") for batch in (2, 3, 8)),
    Cell(AXIS, "batch", _batch_of_seeds, "picked from a larger one"),
    Cell(AXIS, "sizes not divisible by 64", _odd_size),
    Cell(AXIS, "context windows", partial(_context_windows, schedule="standard_static", fuse="pyramid"), "static"),
    Cell(
        AXIS,
        "context windows",
        partial(_context_windows, schedule="standard_static", fuse="relative"),
        "static, relative",
    ),
    Cell(AXIS, "context windows", partial(_context_windows, schedule="batched", fuse="flat"), "batched"),
    Cell(
        AXIS,
        "context windows",
        partial(_context_windows, schedule="standard_uniform", fuse="overlap-linear"),
        "uniform",
        MOVING,
    ),
    Cell(AXIS, "context windows", partial(_context_windows, schedule="looped_uniform", fuse="flat"), "looped", MOVING),
]
