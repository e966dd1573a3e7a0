"""LPIPS (Zhang et al. 2018), for those who have its package and the weights that it builds on; nothing is fetched."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

# Pictures and references (B, 3, H, W) from 0 to 1; gives (B,), 0 for equal ones.
PerceptualDistance = Callable[[Tensor, Tensor], Tensor]
BACKBONE = "alexnet-owt-7be5be79.pth"


def missing_for_lpips() -> str | None:
    """Why LPIPS cannot be measured here, in a sentence; None if it can."""
    if importlib.util.find_spec("lpips") is None:
        return "LPIPS was left out: the Python package lpips is not installed."
    weights = _backbone()
    if not weights.is_file():
        return f"LPIPS was left out: its weights are not there ({weights})."
    return None


def lpips_distance() -> PerceptualDistance:
    """LPIPS on AlexNet, version 0.1; only where nothing is missing for it."""
    import lpips  # type: ignore[import-not-found]

    network = lpips.LPIPS(net="alex", verbose=False).train(False).requires_grad_(False)

    def distance(pictures: Tensor, references: Tensor) -> Tensor:
        return network(pictures, references, normalize=True).flatten()

    return distance


def _backbone() -> Path:
    """Where torchvision keeps the AlexNet that lpips loads."""
    return Path(torch.hub.get_dir()) / "checkpoints" / BACKBONE
