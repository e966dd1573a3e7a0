"""The few things that we rely on in ComfyUI, in one place; `contract` checks that they do what we think.

No other module of the core but this one and `runtime` imports `comfy`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import comfy.ldm.modules.attention
import comfy.ldm.modules.diffusionmodules.openaimodel as openaimodel
import comfy.model_patcher
import comfy.ops
import comfy.patcher_extension
import torch
from comfy.ldm.modules.diffusionmodules.util import timestep_embedding
from comfy_api.torch_helpers.torch_compile import TORCH_COMPILE_KWARGS

ModelPatcher = comfy.model_patcher.ModelPatcher
WrapperExecutor = comfy.patcher_extension.WrapperExecutor
WrappersMP = comfy.patcher_extension.WrappersMP
UNetModel = openaimodel.UNetModel
Downsample = openaimodel.Downsample
Upsample = openaimodel.Upsample
ResBlock = openaimodel.ResBlock
SpatialTransformer = comfy.ldm.modules.attention.SpatialTransformer

apply_control = openaimodel.apply_control
forward_timestep_embed = openaimodel.forward_timestep_embed
plain_operations = comfy.ops.disable_weight_init
create_model_options_clone = comfy.model_patcher.create_model_options_clone

__all__ = [
    "USED_WRAPPERS",
    "Downsample",
    "ModelPatcher",
    "ResBlock",
    "SpatialTransformer",
    "UNetModel",
    "Upsample",
    "WrapperExecutor",
    "WrappersMP",
    "apply_control",
    "changed_functions",
    "compile_settings",
    "context_window_of",
    "create_model_options_clone",
    "diffusion_model_of",
    "execute_around",
    "forward_timestep_embed",
    "meta_unet",
    "plain_attention",
    "plain_operations",
    "run_value",
    "sampler_name",
    "timestep_embedding",
]

# The parameters that our walk over the blocks passes on; a host that renames one would draw wrong pictures.
_EXPECTED_PARAMETERS: dict[Callable, tuple[str, ...]] = {
    UNetModel._forward: ("self", "x", "timesteps", "context", "y", "control", "transformer_options"),
    forward_timestep_embed: ("ts", "x", "emb", "context", "transformer_options", "output_shape"),
    apply_control: ("h", "control", "name"),
}


def changed_functions() -> list[str]:
    """Which functions that the engine calls take other parameters in this ComfyUI than it was written for."""
    changed = []
    for function, expected in _EXPECTED_PARAMETERS.items():
        found = tuple(inspect.signature(function).parameters)
        if found[: len(expected)] != expected:
            changed.append(f"{function.__qualname__} takes {', '.join(found)}, but {', '.join(expected)} was expected")
    return changed


def require_wrappers() -> None:
    """Raise ImportError with a sentence if this ComfyUI is too old for the wrappers that the engine hangs on."""
    for name in ("OUTER_SAMPLE", "PREDICT_NOISE", "CALC_COND_BATCH", "DIFFUSION_MODEL"):
        if not hasattr(WrappersMP, name):
            raise ImportError(
                f"Clockwork needs ComfyUI 0.3.75 or newer: this one has no {name} wrappers. Please update ComfyUI."
            )


require_wrappers()


USED_WRAPPERS = (
    WrappersMP.OUTER_SAMPLE,
    WrappersMP.PREDICT_NOISE,
    WrappersMP.CALC_COND_BATCH,
    WrappersMP.DIFFUSION_MODEL,
)


def diffusion_model_of(model: ModelPatcher) -> torch.nn.Module:
    """The network inside a MODEL, with object patches applied and torch.compile's shell taken off."""
    network = model.get_model_object("diffusion_model")
    return getattr(network, "_orig_mod", network)


def compile_settings(guider: Any) -> dict[str, Any] | None:
    """The keywords of torch.compile with which `guider` runs its UNet at this moment; None if it does not.

    The compiled shell is in the UNet's place only while the host's own wrapper of apply_model is at work.
    """
    if not hasattr(guider.model_patcher.model.diffusion_model, "_orig_mod"):
        return None
    return guider.model_options.get(TORCH_COMPILE_KWARGS, {})


def context_window_of(transformer_options: dict[str, Any]) -> tuple[int, ...] | None:
    """Which frames of a longer latent this UNet call is for; None where the host uses no context windows."""
    indices = getattr(transformer_options.get("context_window"), "index_list", None)
    return None if indices is None else tuple(indices)


def execute_around(executor: WrapperExecutor, innermost: Callable, *args: Any, **kwargs: Any) -> Any:
    """Run the rest of a chain of wrappers around `innermost` instead of around the host's own function.

    This keeps every other wrapper of the chain in force on an adaptor pass, wherever in the chain ours stands.
    """
    rest = WrapperExecutor.new_class_executor(innermost, executor.class_obj, executor.wrappers, executor.idx + 1)
    return rest.execute(*args, **kwargs)


def sampler_name(sampler: Any) -> str | None:
    """The host's name of a SAMPLER, such as "dpmpp_2m"; None if it is not a plain one of the host."""
    function = getattr(sampler, "sampler_function", None)
    name = getattr(function, "__name__", "")
    return name.removeprefix("sample_") if name.startswith("sample_") else None


@contextmanager
def run_value(guider: Any, key: str, value: object) -> Iterator[None]:
    """Make `value` visible as transformer_options[key] in everything that `guider` does inside the block."""
    original = guider.model_options
    guider.model_options = create_model_options_clone(original)
    guider.model_options.setdefault("transformer_options", {})[key] = value
    try:
        yield
    finally:
        guider.model_options = original


def meta_unet(unet_config: dict) -> UNetModel:
    """A UNet of the same geometry without memory for its weights, in float32."""
    config = {**unet_config, "dtype": torch.float32, "device": "meta"}
    return UNetModel(**config, operations=plain_operations)


def plain_attention(_function: Callable, *args: Any, **kwargs: Any) -> torch.Tensor:
    """An `optimized_attention_override` of two visible matrix products, whatever backend the user has chosen."""
    return comfy.ldm.modules.attention.attention_basic(*args, **kwargs)
