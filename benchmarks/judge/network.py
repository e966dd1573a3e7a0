"""The judge: a small network that tells which icon a picture shows, and on which colour."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

WEIGHTS = Path(__file__).with_name("judge.safetensors")

WIDTHS = (32, 48, 96, 128)
FEATURES = 64
GROUPS = 8


class Verdict(NamedTuple):
    """icons (b, icons) and colours (b, colours): logits. features (b, FEATURES): what they are computed from."""

    icons: Tensor
    colours: Tensor
    features: Tensor


class Judge(nn.Module):
    """Four convolutions that each halve the picture, an average over what is left, and two heads.

    icons, colours: the words of its verdicts, in the order of the logits. reference_mean (FEATURES,) and
    reference_covariance (FEATURES, FEATURES): of its features of true renders, for Frechet distances.
    """

    reference_mean: Tensor
    reference_covariance: Tensor

    def __init__(self, icons: tuple[str, ...], colours: tuple[str, ...]) -> None:
        super().__init__()
        self.icons = icons
        self.colours = colours
        layers: list[nn.Module] = []
        for before, after in zip((3, *WIDTHS), WIDTHS, strict=False):
            layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.GroupNorm(GROUPS, after), nn.SiLU()]
        self.convolutions = nn.Sequential(*layers)
        # A grid of 2x2 means, not one mean: whether the leaf is above or below the fruit counts.
        self.penultimate = nn.Linear(4 * WIDTHS[-1], FEATURES)
        self.icon_head = nn.Linear(FEATURES, len(icons))
        self.colour_head = nn.Linear(FEATURES, len(colours))
        self.register_buffer("reference_mean", torch.zeros(FEATURES))
        self.register_buffer("reference_covariance", torch.zeros(FEATURES, FEATURES))

    def forward(self, pictures: Tensor) -> Verdict:
        """The verdict on pictures (b, 3, 64, 64) from 0 to 1."""
        maps = self.convolutions(2 * pictures - 1)
        features = self.penultimate(F.adaptive_avg_pool2d(maps, 2).flatten(1))
        active = F.silu(features)
        return Verdict(self.icon_head(active), self.colour_head(active), features)


def save_judge(judge: Judge, path: Path, measured: dict[str, float]) -> None:
    """Write the judge, its weights in half precision; `measured` (accuracies from 0 to 1) goes into the metadata."""
    metadata = {
        "icons": json.dumps(judge.icons),
        "colours": json.dumps(judge.colours),
        "measured": json.dumps(measured),
    }
    weights = {name: weight.half().contiguous() for name, weight in judge.named_parameters()}
    save_file({**weights, **dict(judge.named_buffers())}, path, metadata)


def load_judge(path: Path = WEIGHTS) -> Judge:
    """The judge that `path` holds, ready to judge. Raises FileNotFoundError if there is no such file."""
    if not path.is_file():
        raise FileNotFoundError(f"There is no judge at {path}: train one with ./run bench judge")
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
        weights = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118 (not a dict)
    judge = Judge(tuple(json.loads(metadata["icons"])), tuple(json.loads(metadata["colours"])))
    judge.load_state_dict(weights)
    return judge.eval().requires_grad_(False)
