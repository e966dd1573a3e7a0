"""Pictures with known answers, for the judge to learn from and to be tested on."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ...tools.pocket.data import COLOURS, compose, premultiplied, random_placements
from ...tools.pocket.icons import IconSet

# Wider than what the pocket models were trained on, so that the judge knows no more of their data than it must.
SMALLEST, LARGEST = 0.75, 1.0
LARGEST_TURN = 0.2  # radians
LARGEST_GAIN = 0.25  # of each of an icon's primary colours, so that shape counts beside colour
GRAY_SHARE = 0.15  # of the icons, which then show shape only
LARGEST_NOISE = 0.08


class Renders(NamedTuple):
    """pictures (b, 3, 64, 64) from 0 to 1, and the places (b,) of their icons and colours in the lists of names."""

    pictures: Tensor
    icons: Tensor
    colours: Tensor


class Renderer:
    """Draws icons on colours; all chance comes from the caller's generator."""

    def __init__(self, icons: IconSet) -> None:
        self._rgba = premultiplied(icons.rgba)
        self._colours = torch.tensor(list(COLOURS.values()))

    def as_trained(self, size: int, generator: torch.Generator) -> Renders:
        """As the pocket models see them: what a perfect model would draw."""
        icons, colours = self._choose(size, generator)
        return self._as_trained(icons, colours, generator)

    def each_in_turn(self, size: int, generator: torch.Generator) -> Renders:
        """The same, but every icon comes before one comes again, as in the cases of the benchmarks."""
        _, colours = self._choose(size, generator)
        return self._as_trained(torch.arange(size) % len(self._rgba), colours, generator)

    def _as_trained(self, icons: Tensor, colours: Tensor, generator: torch.Generator) -> Renders:
        placements = random_placements(len(icons), generator)
        return Renders(compose(self._rgba[icons], self._colours[colours], placements), icons, colours)

    def augmented(self, size: int, generator: torch.Generator) -> Renders:
        """Turned, recoloured and noisy: what the judge learns from."""
        icons, colours = self._choose(size, generator)
        placements = _turned(random_placements(size, generator, SMALLEST, LARGEST), generator)
        pictures = compose(_recoloured(self._rgba[icons], generator), self._colours[colours], placements)
        strength = LARGEST_NOISE * torch.rand(size, 1, 1, 1, generator=generator)
        noise = strength * torch.randn(pictures.shape, generator=generator)
        return Renders((pictures + noise).clamp(0, 1), icons, colours)

    def _choose(self, size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        icons = torch.randint(len(self._rgba), (size,), generator=generator)
        return icons, torch.randint(len(self._colours), (size,), generator=generator)


def _turned(placements: Tensor, generator: torch.Generator) -> Tensor:
    """Affine maps (b, 2, 3), each with a small rotation before it."""
    angle = LARGEST_TURN * (2 * torch.rand(len(placements), generator=generator) - 1)
    rotation = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], dim=1).view(-1, 2, 2)
    return torch.cat([placements[:, :, :2] @ rotation, placements[:, :, 2:]], dim=2)


def _recoloured(icons: Tensor, generator: torch.Generator) -> Tensor:
    """Premultiplied icons (b, 4, side, side) of changed colours, some of them gray."""
    size = len(icons)
    colour, alpha = icons[:, :3], icons[:, 3:]
    gray = (torch.rand(size, 1, 1, 1, generator=generator) < GRAY_SHARE).float()
    colour = torch.lerp(colour, colour.mean(1, keepdim=True).expand_as(colour), gray)
    gain = 1 + LARGEST_GAIN * (2 * torch.rand(size, 3, 1, 1, generator=generator) - 1)
    return torch.cat([(colour * gain).minimum(alpha), alpha], dim=1)
