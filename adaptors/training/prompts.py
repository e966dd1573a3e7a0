"""Prompts as training uses them: encoded, many side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...clockwork_core.checks import shown

POOLED = "pooled_output"


@dataclass(frozen=True)
class Conditioning:
    """Encoded prompts side by side. context: (B, tokens, width). options: what else the host's CONDITIONING holds."""

    context: Tensor
    options: dict[str, Any]

    @classmethod
    def all_of(cls, conditioning: object, name: str) -> list[Conditioning]:
        """The prompts in a CONDITIONING of the host, each by itself.

        Raises ValueError, naming what is wrong, if it is none, is empty, or holds what cannot be trained on.
        """
        if not isinstance(conditioning, list) or not conditioning or not all(map(_is_encoded, conditioning)):
            raise ValueError(f"{name} is {shown(conditioning)}, but must be a CONDITIONING with at least one prompt.")
        prompts = []
        for context, options in conditioning:
            for key, value in options.items():
                if key != POOLED and value is not None and not isinstance(value, int | float | str | bool):
                    raise ValueError(
                        f"{name} holds {key}, which cannot be trained on: connect plain prompts, "
                        "without ControlNets, areas or masks."
                    )
            with torch.inference_mode(False):
                prompts += [
                    cls(context[index : index + 1].clone(), _of_sample(options, index)) for index in range(len(context))
                ]
        return prompts

    @classmethod
    def stacked(cls, prompts: Sequence[Conditioning]) -> Conditioning:
        """All in one batch; prompts of different lengths are repeated to a common one, as the host does.

        Raises ValueError if their other options differ.
        """
        length = math.lcm(*(prompt.context.shape[1] for prompt in prompts))
        contexts = [prompt.context.repeat(1, length // prompt.context.shape[1], 1) for prompt in prompts]
        options = dict(prompts[0].options)
        for prompt in prompts:
            for key, value in prompt.options.items():
                if key != POOLED and options.get(key) != value:
                    raise ValueError(f"The prompts differ in {key}: {shown(options.get(key))} and {shown(value)}.")
        if options.get(POOLED) is not None:
            options[POOLED] = torch.cat([prompt.options[POOLED] for prompt in prompts])
        return cls(torch.cat(contexts), options)

    def for_host(self) -> list[list[Any]]:
        """A CONDITIONING of the host."""
        return [[self.context, dict(self.options)]]


def _is_encoded(entry: object) -> bool:
    """Whether it is a prompt as the host's CONDITIONING holds them."""
    return (
        isinstance(entry, list | tuple)
        and len(entry) == 2
        and isinstance(entry[0], Tensor)
        and entry[0].ndim == 3
        and isinstance(entry[1], dict)
    )


def _of_sample(options: dict[str, Any], index: int) -> dict[str, Any]:
    pooled = options.get(POOLED)
    return dict(options) if pooled is None else {**options, POOLED: pooled[index : index + 1].clone()}
