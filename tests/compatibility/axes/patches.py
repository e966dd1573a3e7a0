"""Nodes that patch the UNet, its weights or its sampling, before and after Clockwork in the graph."""

from __future__ import annotations

import math
from functools import partial

import comfy.sd
import torch
import toys
from cell import Expectation, Outcome
from checks import agrees_with_the_naive_reference
from comfy.ldm.modules.attention import optimized_attention
from comfy.model_patcher import ModelPatcher
from comfy.patcher_extension import WrappersMP
from comfy_extras import (
    nodes_attention_multiply,
    nodes_differential_diffusion,
    nodes_easycache,
    nodes_freelunch,
    nodes_hypertile,
    nodes_model_advanced,
    nodes_model_downscale,
    nodes_model_merging,
    nodes_tomesd,
)
from torch import Tensor
from toy_graph import both_orders, call, sample, tiny, toy

from clockwork_pack.clockwork_core.act import RESIZED_INSIDE

AXIS = "patches"
DOWNSCALE = nodes_model_downscale.PatchModelAddDownscale


def _attention_replace(model: ModelPatcher) -> ModelPatcher:
    """Attention at half strength, in kept and in left-out blocks."""

    def weaker(q: Tensor, k: Tensor, v: Tensor, options: dict) -> Tensor:
        return 0.5 * optimized_attention(q, k, v, options["n_heads"])

    patched = model.clone()
    for block in (("input", 1), ("middle", 0), ("output", 1), ("output", 4), ("output", 5)):
        patched.set_model_attn1_replace(weaker, *block)
    return patched


def _image_prompt(model: ModelPatcher) -> ModelPatcher:
    """As IPAdapter: cross-attention to image tokens of its own, added to that to the text, in every block."""
    generator = torch.Generator().manual_seed(2)
    blocks = [("input", 1), ("input", 3), ("input", 5), ("middle", 0), *(("output", index) for index in range(6))]

    def decoupled(tokens: Tensor):
        def attend(q: Tensor, k: Tensor, v: Tensor, options: dict) -> Tensor:
            # Only the conditional side sees the image.
            seen = torch.tensor([1.0 - side for side in options["cond_or_uncond"]]).repeat_interleave(
                q.shape[0] // len(options["cond_or_uncond"])
            )
            image = tokens[:, :, : q.shape[-1]].expand(q.shape[0], -1, -1)
            own = optimized_attention(q, image, image, options["n_heads"])
            return optimized_attention(q, k, v, options["n_heads"]) + 0.7 * seen.view(-1, 1, 1) * own

        return attend

    patched = model.clone()
    for block in blocks:
        patched.set_model_attn2_replace(decoupled(torch.randn(1, 4, 128, generator=generator)), *block)
    return patched


def _attention_patches(model: ModelPatcher) -> ModelPatcher:
    patched = model.clone()
    patched.set_model_attn1_patch(lambda q, k, v, _options: (q * 0.9, k, v))
    patched.set_model_attn2_patch(lambda q, k, v, _options: (q, k * 1.1, v * 1.2))
    patched.set_model_attn1_output_patch(lambda n, _options: n * 0.8)
    patched.set_model_attn2_output_patch(lambda n, options: n * (1 + 0.05 * options["transformer_index"]))
    return patched


def _block_patches(model: ModelPatcher) -> ModelPatcher:
    patched = model.clone()
    patched.set_model_input_block_patch(lambda h, options: h * (1 + 0.02 * options["block"][1]))
    patched.set_model_input_block_patch_after_skip(lambda h, _options: h * 1.05)
    patched.set_model_emb_patch(lambda emb, _channels, _options: emb * 0.95)
    return patched


def _output_patch_in_place(model: ModelPatcher) -> ModelPatcher:
    """As FreeU, but writes into both inputs at every block: a kept feature must not change with it."""

    def write(h: Tensor, skip: Tensor, _options: dict) -> tuple[Tensor, Tensor]:
        h.mul_(1.1)
        skip.mul_(0.9)
        return h, skip

    patched = model.clone()
    patched.set_model_output_block_patch(write)
    return patched


def _function_wrapper(model: ModelPatcher) -> ModelPatcher:
    patched = model.clone()
    patched.set_model_unet_function_wrapper(
        lambda apply, args: apply(args["input"], args["timestep"], **args["c"]) * 0.98
    )
    return patched


def _wrapper(model: ModelPatcher) -> ModelPatcher:
    patched = model.clone()
    patched.add_wrapper_with_key(
        WrappersMP.DIFFUSION_MODEL,
        "another pack",
        lambda executor, x, *args, **kwargs: executor(x * 0.99, *args, **kwargs),
    )
    return patched


def _lora(model: ModelPatcher) -> ModelPatcher:
    generator = torch.Generator().manual_seed(7)
    lora = {}
    for key, weight in list(model.model.diffusion_model.state_dict().items()):
        if key.endswith(("to_q.weight", "to_v.weight")):
            name = "diffusion_model." + key.removesuffix(".weight")
            lora[f"{name}.lora_up.weight"] = 0.5 * torch.randn(weight.shape[0], 4, generator=generator)
            lora[f"{name}.lora_down.weight"] = torch.randn(4, weight.shape[1], generator=generator) / math.sqrt(
                weight.shape[1]
            )
    return comfy.sd.load_lora_for_models(model, None, lora, 1.0, 0.0)[0]


def _hypernetwork(model: ModelPatcher) -> ModelPatcher:
    """What the loader node makes of a file, with a linear map for each of keys and values."""
    generator = torch.Generator().manual_seed(9)
    maps = torch.randn(2, toys.CONTEXT, toys.CONTEXT, generator=generator) / 4

    def patch(q: Tensor, k: Tensor, v: Tensor, _options: dict) -> tuple[Tensor, Tensor, Tensor]:
        return q, k + 0.5 * k @ maps[0], v + 0.5 * v @ maps[1]

    patched = model.clone()
    patched.set_model_attn2_patch(patch)
    return patched


def _merge(model: ModelPatcher) -> ModelPatcher:
    return call(nodes_model_merging.ModelMergeSimple, model, toy(toys.TINIEST, seed=1), 0.7)


def _merge_blocks(model: ModelPatcher) -> ModelPatcher:
    return call(nodes_model_merging.ModelMergeBlocks, model, toy(toys.TINIEST, seed=1), input=0.9, middle=0.5, out=0.8)


def _merge_add(model: ModelPatcher) -> ModelPatcher:
    return call(nodes_model_merging.ModelAdd, model, toy(toys.TINIEST, seed=1))


def _draws_by_block(model: ModelPatcher) -> ModelPatcher:
    """HyperTile with depth: its draws of each block start from a seed of that block.

    Without it, the left-out blocks' draws are missing and all later ones differ: another tiling, not a wrong one.
    """
    patched = model.clone()

    def seed(q: Tensor, k: Tensor, v: Tensor, options: dict) -> tuple[Tensor, Tensor, Tensor]:
        torch.manual_seed(options["transformer_index"])
        return q, k, v

    patched.set_model_attn1_patch(seed)
    return call(nodes_hypertile.HyperTile, patched, 32, 3, 1, False)


def _masked_sample(model: ModelPatcher) -> Tensor:
    mask = torch.linspace(0, 1, 16).expand(1, 16, 16)
    latent = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(3))
    return sample(model, latent=latent, noise_mask=mask)


def _resizes_are_seen(outcome: Outcome) -> None:
    agrees_with_the_naive_reference(outcome)
    assert RESIZED_INSIDE in outcome.reasons


RESIZES = Expectation(
    "Where it changes the resolution at the cut, that evaluation is full; all others reuse, as the naive reference.",
    _resizes_are_seen,
)
SKIPS_NOTE = (
    "It skips whole evaluations by itself, and judges by outputs that Clockwork approximated: "
    "together the two save more and err more. The clock ticks on over the evaluations that it skips."
)

NODES = {
    "FreeU": partial(call, nodes_freelunch.FreeU, b1=1.1, b2=1.2, s1=0.9, s2=0.2),
    "FreeU v2": partial(call, nodes_freelunch.FreeU_V2, b1=1.3, b2=1.4, s1=0.9, s2=0.2),
    "HyperTile": partial(call, nodes_hypertile.HyperTile, tile_size=32, swap_size=3, max_depth=0, scale_depth=False),
    "ToMe": partial(call, nodes_tomesd.TomePatchModel, ratio=0.4),
    "attention replaced": _attention_replace,
    "an image prompt (as IPAdapter)": _image_prompt,
    "attention patches": _attention_patches,
    "block and embedding patches": _block_patches,
    "an output patch that writes in place": _output_patch_in_place,
    "a UNet function wrapper": _function_wrapper,
    "another pack's UNet wrapper": _wrapper,
    "hypernetwork": _hypernetwork,
    "LoRA": _lora,
    "UNetSelfAttentionMultiply": partial(
        call, nodes_attention_multiply.UNetSelfAttentionMultiply, q=1.1, k=1.0, v=0.9, out=1.1
    ),
    "UNetCrossAttentionMultiply": partial(
        call, nodes_attention_multiply.UNetCrossAttentionMultiply, q=1.1, k=1.0, v=0.9, out=1.1
    ),
    "ModelComputeDtype": partial(call, nodes_model_advanced.ModelComputeDtype, dtype="bf16"),
}
MERGES = {"ModelMergeSimple": _merge, "ModelMergeBlocks": _merge_blocks, "ModelAdd": _merge_add}
MERGE_NOTE = "Clockwork must be on the first model: the host takes only weights from the second."
SAMPLINGS = {
    "lcm": partial(call, nodes_model_advanced.ModelSamplingDiscrete, sampling="lcm", zsnr=False),
    "v_prediction": partial(call, nodes_model_advanced.ModelSamplingDiscrete, sampling="v_prediction", zsnr=False),
    "v_prediction, zsnr": partial(call, nodes_model_advanced.ModelSamplingDiscrete, sampling="v_prediction", zsnr=True),
    "x0": partial(call, nodes_model_advanced.ModelSamplingDiscrete, sampling="x0", zsnr=False),
    "continuous EDM": partial(
        call, nodes_model_advanced.ModelSamplingContinuousEDM, sampling="edm", sigma_max=80.0, sigma_min=0.01
    ),
    "continuous V": partial(
        call, nodes_model_advanced.ModelSamplingContinuousV, sampling="v_prediction", sigma_max=100.0, sigma_min=0.03
    ),
}


def _downscale(block: int, after_skip: bool, end: float = 0.6) -> partial:
    return partial(
        call, DOWNSCALE, block_number=block, downscale_factor=2.0, start_percent=0.0, end_percent=end,
        downscale_after_skip=after_skip, downscale_method="bicubic", upscale_method="bicubic",
    )  # fmt: skip


DOWNSCALE_NOTE = (
    "Deep shrink. Below the cut it changes nothing for Clockwork; above it, switching it off costs one full pass."
)
CELLS = [
    *(cell for subject, node in NODES.items() for cell in both_orders(AXIS, subject, node)),
    *both_orders(
        AXIS,
        "HyperTile, max_depth 1",
        _draws_by_block,
        note="Its tiles are drawn at random, and left-out blocks draw none: other tiles than without Clockwork.",
    ),
    *(
        cell
        for subject, node in MERGES.items()
        for cell in both_orders(AXIS, subject, node, model=tiny, note=MERGE_NOTE)
    ),
    *(cell for name, node in SAMPLINGS.items() for cell in both_orders(AXIS, f"model sampling {name}", node)),
    *both_orders(AXIS, "PatchModelAddDownscale, block 3", _downscale(3, True), note=DOWNSCALE_NOTE),
    *both_orders(
        AXIS,
        "PatchModelAddDownscale, block 1, before the skip",
        _downscale(1, False),
        partial(sample, steps=8),
        note=DOWNSCALE_NOTE,
        expectation=RESIZES,
    ),
    *both_orders(
        AXIS,
        "Differential Diffusion",
        partial(call, nodes_differential_diffusion.DifferentialDiffusion),
        _masked_sample,
    ),
    *both_orders(
        AXIS,
        "EasyCache",
        partial(
            call, nodes_easycache.EasyCacheNode, reuse_threshold=0.6, start_percent=0.1, end_percent=0.95, verbose=False
        ),
        partial(sample, steps=12),
        note=SKIPS_NOTE,
    ),
    *both_orders(
        AXIS,
        "LazyCache",
        partial(
            call, nodes_easycache.LazyCacheNode, reuse_threshold=0.6, start_percent=0.1, end_percent=0.95, verbose=False
        ),
        partial(sample, steps=12),
        note=SKIPS_NOTE,
    ),
]
