"""Short ways to write graphs of toy models: cached models, the host's nodes called as functions, both orders."""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Iterator
from typing import Any

import comfy.samplers
import comfy.supported_models as supported
import torch
import toys
from cell import Cell, Draw, Patch
from comfy.model_patcher import ModelPatcher
from comfy_extras import nodes_custom_sampler as custom
from torch import Tensor

STEPS = 4


# As SD 1.5, with three levels of one block each, for cells that do not depend on how many there are.
SMALL = toys.Family(
    supported.SD15,
    {
        **toys.TINIEST.unet_config,
        "num_res_blocks": [1, 1, 1],
        "channel_mult": [1, 2, 4],
        "transformer_depth": [1, 1, 1],
        "transformer_depth_output": [1, 1, 1, 1, 1, 1],
    },
)


@functools.cache
def toy(family: str | toys.Family = SMALL, seed: int = 0) -> ModelPatcher:
    """One model of a family for all cells; nodes patch clones of it."""
    return toys.model_of(family, seed) if isinstance(family, toys.Family) else toys.toy_model(family, seed)


@functools.cache
def graph(draw: Callable[..., Tensor], **arguments: Hashable) -> Draw:
    """A partial of `draw`; one object for the same arguments, so that cells share what it draws without Clockwork."""
    return functools.partial(draw, **arguments)


def small() -> ModelPatcher:
    return toy(SMALL)


def tiny() -> ModelPatcher:
    return toy(toys.TINIEST)


def call(node: type, *args: Any, **kwargs: Any) -> Any:
    """Run a node of the host, of either API; its first output, or all of them if it has several."""
    if hasattr(node, "define_schema"):
        result = node.execute(*args, **kwargs)  # type: ignore[attr-defined]
    else:
        result = getattr(node(), node.FUNCTION)(*args, **kwargs)  # type: ignore[attr-defined]
    outputs = getattr(result, "result", result)
    return outputs[0] if len(outputs) == 1 else outputs


def sample(model: ModelPatcher, **options: Any) -> Tensor:
    """toys.sample in few steps."""
    return toys.sample(model, **{"steps": STEPS, "scheduler": "karras", **options})


def sample_with(
    guider: comfy.samplers.CFGGuider,
    sampler: comfy.samplers.Sampler | None = None,
    sigmas: Tensor | None = None,
    latent: Tensor | None = None,
    steps: int = STEPS,
) -> Tensor:
    """SamplerCustomAdvanced: a guider, by default with Euler on a karras list of `steps`."""
    if sigmas is None:
        sigmas = comfy.samplers.calculate_sigmas(
            guider.model_patcher.get_model_object("model_sampling"), "karras", steps
        )
    samples = torch.zeros(1, 4, 16, 16) if latent is None else latent
    noise = call(custom.RandomNoise, 1)
    sampler = sampler or comfy.samplers.ksampler("euler")
    with torch.inference_mode():
        return call(custom.SamplerCustomAdvanced, noise, guider, sampler, sigmas, {"samples": samples})[0]["samples"]


def both_orders(
    axis: str,
    subject: str,
    node: Callable[[ModelPatcher], ModelPatcher],
    draw: Callable[[ModelPatcher], Tensor] = sample,
    model: Callable[[], ModelPatcher] = small,
    **fields: Any,
) -> Iterator[Cell]:
    """Two cells for a node that patches a MODEL: the Clockwork node before it, and after it."""

    def clockwork_before(patch: Patch) -> Tensor:
        return draw(node(patch(model())))

    def clockwork_after(patch: Patch) -> Tensor:
        return draw(patch(node(model())))

    without = _without(draw, model)
    yield Cell(axis, subject, clockwork_before, variant="Clockwork before", without=without, **fields)
    yield Cell(axis, subject, clockwork_after, variant="Clockwork after", without=without, **fields)


@functools.cache
def _without(draw: Callable[[ModelPatcher], Tensor], model: Callable[[], ModelPatcher]) -> Draw:
    """The graph without any node; one object for each graph, so that it is drawn once."""
    return lambda patch: draw(patch(model()))
