"""What all pictures of a comparison have in common, checked before anything is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ..clockwork_core.checks import require_number, require_text, require_whole_number, shown
from . import host

MOST_STEPS = 10_000
MOST_SEEDS = 32
LARGEST_CFG = 100.0
LARGEST_SEED = 2**64 - 1


@dataclass(frozen=True)
class Sampling:
    """The settings of the host's KSampler for the uncached run; variants change the steps at most.

    denoise: as in image-to-image, above 0 and up to 1. Raises ValueError, naming the value, if one is out of bounds.
    """

    sampler: str
    scheduler: str
    steps: int
    cfg: float
    denoise: float

    def __post_init__(self) -> None:
        _require_choice("sampler_name", self.sampler, host.SAMPLERS)
        _require_choice("scheduler", self.scheduler, host.SCHEDULERS)
        _require_range("steps", self.steps, 1, MOST_STEPS)
        require_number("cfg", self.cfg)
        if not 0.0 <= self.cfg <= LARGEST_CFG:
            raise ValueError(f"cfg is {shown(self.cfg)}, but must lie between 0 and {LARGEST_CFG:g}.")
        require_number("denoise", self.denoise)
        if not 0.0 < self.denoise <= 1.0:
            raise ValueError(f"denoise is {shown(self.denoise)}, but must lie above 0 and not above 1.")

    def describe(self) -> str:
        """In a line, for pictures."""
        denoise = "" if self.denoise == 1.0 else f", denoise {self.denoise:g}"
        return f"{self.steps} steps, {self.sampler}, {self.scheduler}, cfg {self.cfg:g}{denoise}"


@dataclass(frozen=True)
class Scene:
    """What is drawn.

    positive, negative: CONDITIONING, lists of [embedding, options]. latent: a LATENT with samples (B, C, H, W), and
    noise_mask and batch_index where it has them. vae: to see it with; None to compare latents.
    Raises ValueError for anything else.
    """

    positive: list[Any]
    negative: list[Any]
    latent: dict[str, Any]
    vae: host.VAE | None = None

    def __post_init__(self) -> None:
        for name, value in (("positive", self.positive), ("negative", self.negative)):
            if not _is_conditioning(value):
                raise ValueError(f"{name} is {shown(value)}, but must be a CONDITIONING, as CLIP Text Encode gives it.")
        samples = self.latent.get("samples") if isinstance(self.latent, dict) else None
        if not isinstance(samples, Tensor) or samples.ndim != 4 or len(samples) == 0:
            raise ValueError(f"latent is {shown(self.latent)}, but must be a LATENT of a UNet model (B, C, H, W).")
        if self.vae is not None and not isinstance(self.vae, host.VAE):
            raise ValueError(f"vae is {shown(self.vae)}, but must be a VAE, as a loader of ComfyUI gives it out.")


def seeds_from(seed: int, count: int) -> list[int]:
    """`count` seeds, one after the other. Raises ValueError, naming the value, if one is out of bounds."""
    _require_range("seed", seed, 0, LARGEST_SEED)
    _require_range("seed_count", count, 1, MOST_SEEDS)
    return [(seed + offset) % (LARGEST_SEED + 1) for offset in range(count)]


def _require_range(name: str, value: int, low: int, high: int) -> None:
    require_whole_number(name, value)
    if not low <= value <= high:
        raise ValueError(f"{name} is {shown(value)}, but must lie between {low} and {high}.")


def _require_choice(name: str, value: object, choices: list[str]) -> None:
    require_text(name, value)
    if value not in choices:
        raise ValueError(f"{name} is {shown(value)}, but must be one that this ComfyUI has, such as {choices[0]}.")


def _is_conditioning(value: object) -> bool:
    return (
        isinstance(value, list)
        and len(value) > 0
        and all(
            isinstance(entry, (list, tuple))
            and len(entry) == 2
            and isinstance(entry[0], Tensor)
            and isinstance(entry[1], dict)
            for entry in value
        )
    )
