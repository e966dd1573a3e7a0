"""Guiders and guidance nodes of the host, and the functions that other packs set in their place."""

from __future__ import annotations

from functools import partial

import comfy.samplers
import toys
from cell import Cell, Patch
from comfy.model_patcher import ModelPatcher
from comfy_extras import (
    nodes_apg,
    nodes_cfg,
    nodes_eps,
    nodes_fresca,
    nodes_mahiro,
    nodes_model_advanced,
    nodes_pag,
    nodes_perpneg,
    nodes_sag,
    nodes_tcfg,
    nodes_video_model,
)
from comfy_extras import nodes_custom_sampler as custom
from torch import Tensor
from toy_graph import both_orders, call, graph, sample, sample_with, small

AXIS = "guidance"
POSITIVE, NEGATIVE, MIDDLE = toys.conditioning(10), toys.conditioning(11), toys.conditioning(12)
SAG_NOTE = (
    "Its blur follows the attention in the middle of the UNet, which only full passes compute: "
    "between them it keeps the last map."
)


def _cfg(patch: Patch, cfg: float) -> Tensor:
    return sample(patch(small()), cfg=cfg)


def _basic(patch: Patch) -> Tensor:
    return sample_with(call(custom.BasicGuider, patch(small()), POSITIVE))


def _cfg_guider(patch: Patch) -> Tensor:
    return sample_with(call(custom.CFGGuider, patch(small()), POSITIVE, NEGATIVE, 3.0))


def _dual(patch: Patch, style: str) -> Tensor:
    return sample_with(call(custom.DualCFGGuider, patch(small()), POSITIVE, MIDDLE, NEGATIVE, 3.0, 2.0, style))


def _perp_neg(patch: Patch, neg_scale: float) -> Tensor:
    return sample_with(call(nodes_perpneg.PerpNegGuider, patch(small()), POSITIVE, NEGATIVE, MIDDLE, 3.0, neg_scale))


def _weaker_cfg(args: dict) -> Tensor:
    return args["uncond"] + 0.8 * args["cond_scale"] * (args["cond"] - args["uncond"])


def _set_cfg_function(model: ModelPatcher) -> ModelPatcher:
    patched = model.clone()
    patched.set_model_sampler_cfg_function(_weaker_cfg)
    return patched


def _set_pre_cfg_function(model: ModelPatcher) -> ModelPatcher:
    patched = model.clone()
    patched.set_model_sampler_pre_cfg_function(lambda args: [args["conds_out"][0] * 1.1, *args["conds_out"][1:]])
    return patched


def _set_calc_cond_batch_function(model: ModelPatcher) -> ModelPatcher:
    """As packs do that evaluate cond and uncond one after the other."""

    def one_by_one(args: dict) -> list[Tensor]:
        rest = args["input"], args["sigma"], args["model_options"]
        return [comfy.samplers.calc_cond_batch(args["model"], [cond], *rest)[0] for cond in args["conds"]]

    patched = model.clone()
    patched.set_model_sampler_calc_cond_batch_function(one_by_one)
    return patched


def _set_post_cfg_evaluation(model: ModelPatcher) -> ModelPatcher:
    """As packs do that evaluate the cond once more, on another latent (as SAG and PAG)."""

    def push_away(args: dict) -> Tensor:
        rest = args["input"] * 0.9, args["sigma"], args["model_options"]
        (again,) = comfy.samplers.calc_cond_batch(args["model"], [args["cond"]], *rest)
        return args["denoised"] + 0.3 * (args["cond_denoised"] - again)

    patched = model.clone()
    patched.set_model_sampler_post_cfg_function(push_away)
    return patched


def _sag(model: ModelPatcher) -> ModelPatcher:
    return call(nodes_sag.SelfAttentionGuidance, model, 0.5, 2.0)


def _freeze_attention_map(patched: ModelPatcher) -> ModelPatcher:
    """Let SAG record on full evaluations only: the naive reference runs the middle block on all."""
    replace = patched.model_options["transformer_options"]["patches_replace"]["attn1"]
    record = replace[("middle", 0, 0)]
    (evaluation,) = patched.wrappers["predict_noise"]["seam"]
    reference = evaluation.__self__

    def record_when_full(q: Tensor, k: Tensor, v: Tensor, options: dict) -> Tensor:
        return record(q, k, v, options) if reference.full else q

    replace[("middle", 0, 0)] = record_when_full
    return patched


def _sag_cells() -> list[Cell]:
    orders = {
        "Clockwork before": (lambda patch: _sag(patch(small()))),
        "Clockwork after": (lambda patch: patch(_sag(small()))),
    }
    return [
        Cell(
            AXIS,
            "Self-Attention Guidance",
            lambda patch, build=build: sample(build(patch)),
            variant,
            SAG_NOTE,
            without=graph(_cfg, cfg=3.0),
            naive_draw=lambda patch, build=build: sample(_freeze_attention_map(build(patch))),
        )
        for variant, build in orders.items()
    ]


NODES = {
    "RescaleCFG": partial(call, nodes_model_advanced.RescaleCFG, multiplier=0.7),
    "CFGZeroStar": partial(call, nodes_cfg.CFGZeroStar),
    "CFGNorm": partial(call, nodes_cfg.CFGNorm, strength=1.0),
    "Adaptive Projected Guidance (APG)": partial(call, nodes_apg.APG, eta=0.5, norm_threshold=5.0, momentum=-0.5),
    "Perturbed-Attention Guidance": partial(call, nodes_pag.PerturbedAttentionGuidance, scale=1.0),
    "Tangential Damping CFG (TCFG)": partial(call, nodes_tcfg.TCFG),
    "Mahiro": partial(call, nodes_mahiro.Mahiro),
    "FreSca": partial(call, nodes_fresca.FreSca, scale_low=1.0, scale_high=1.5, freq_cutoff=4),
    "Epsilon Scaling": partial(call, nodes_eps.EpsilonScaling, scaling_factor=1.05),
    "Temporal Score Rescaling": partial(call, nodes_eps.TemporalScoreRescaling, tsr_k=0.9, tsr_sigma=1.0),
    "Perp-Neg (deprecated node)": partial(call, nodes_perpneg.PerpNeg, empty_conditioning=MIDDLE, neg_scale=1.0),
    "VideoLinearCFGGuidance": partial(call, nodes_video_model.VideoLinearCFGGuidance, min_cfg=1.0),
    "VideoTriangleCFGGuidance": partial(call, nodes_video_model.VideoTriangleCFGGuidance, min_cfg=1.0),
    "a CFG function": _set_cfg_function,
    "a pre-CFG function": _set_pre_cfg_function,
    "a batch function, conditionings one by one": _set_calc_cond_batch_function,
    "a post-CFG function that evaluates once more": _set_post_cfg_evaluation,
}

CELLS = [
    Cell(AXIS, "KSampler", partial(_cfg, cfg=1.0), "cfg 1"),
    Cell(AXIS, "KSampler", partial(_cfg, cfg=7.0), "cfg 7"),
    Cell(AXIS, "BasicGuider", _basic),
    Cell(AXIS, "CFGGuider", _cfg_guider),
    Cell(AXIS, "DualCFGGuider", partial(_dual, style="regular"), "regular"),
    Cell(AXIS, "DualCFGGuider", partial(_dual, style="nested"), "nested"),
    Cell(AXIS, "PerpNegGuider", partial(_perp_neg, neg_scale=1.0), "negative scale 1"),
    Cell(AXIS, "PerpNegGuider", partial(_perp_neg, neg_scale=0.0), "negative scale 0"),
    *_sag_cells(),
    *(cell for subject, node in NODES.items() for cell in both_orders(AXIS, subject, node)),
]
