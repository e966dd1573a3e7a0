"""What the model is trained on: an icon of random size and place on one of ten colours, and its caption."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from comfy.sd1_clip import SDTokenizer
from torch import Tensor

from .geometry import CONTEXT_TOKENS
from .icons import IconSet

COLOURS = {
    "white": (1.0, 1.0, 1.0),
    "black": (0.05, 0.05, 0.05),
    "red": (0.9, 0.2, 0.2),
    "green": (0.3, 0.75, 0.35),
    "blue": (0.25, 0.45, 0.9),
    "yellow": (0.98, 0.85, 0.3),
    "purple": (0.6, 0.35, 0.8),
    "gray": (0.6, 0.6, 0.6),
    "pink": (0.98, 0.7, 0.8),
    "orange": (0.98, 0.6, 0.2),
}
WHITE = 0  # the background that a caption does not mention

PICTURE = 64
FOLD = 2
# Drawn at twice the size and averaged, so that edges are smooth.
CANVAS = 2 * PICTURE

WHITE_SHARE = 0.3
NO_PROMPT_SHARE = 0.1
SMALLEST, LARGEST = 0.92, 0.97
# Above 1: more examples at high noise, where the icon's shape is decided.
NOISE_EMPHASIS = 1.35


def caption(icon: str, colour: str) -> str:
    """The prompt for an icon on a background."""
    return icon if colour == "white" else f"{icon} on a {colour} background"


class Captions:
    """Captions as tokens, numbered 0, 1, … by their place in `token_ids`.

    The vocabulary has 49,408 tokens, of which the captions use some 170: training only those rows of the
    embedding is a quarter less work for the optimizer.
    token_ids (n,): the tokens in use, ascending. tokens (icons, colours, CONTEXT_TOKENS). empty (CONTEXT_TOKENS,): for
    no prompt. end_token: the number of the token that ends a prompt.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        tokenizer = SDTokenizer()
        tokens = torch.tensor([[_token_ids(tokenizer, caption(name, colour)) for colour in COLOURS] for name in names])
        empty = torch.tensor(_token_ids(tokenizer, ""))
        self.token_ids = torch.cat([tokens.flatten(), empty]).unique()
        self.tokens = torch.searchsorted(self.token_ids, tokens)
        self.empty = torch.searchsorted(self.token_ids, empty)
        self.end_token = int(torch.searchsorted(self.token_ids, tokenizer.end_token))


def _token_ids(tokenizer: SDTokenizer, text: str) -> list[int]:
    """Token ids padded to CONTEXT_TOKENS, as the host makes them."""
    return [token for token, _weight in tokenizer.tokenize_with_weights(text)[0]][:CONTEXT_TOKENS]


@dataclass(frozen=True)
class Batch:
    """latents (b, 12, 32, 32) in [-1, 1], their noise, tokens (b, CONTEXT_TOKENS) and timesteps (b,) from 0 to 999."""

    latents: Tensor
    noise: Tensor
    tokens: Tensor
    timesteps: Tensor


class Examples(Protocol):
    """What a trainer learns from.

    icons: the words of the captions. token_ids (n,) and end_token: as in `Captions`.
    """

    icons: tuple[str, ...]
    token_ids: Tensor
    end_token: int

    def batch(self, size: int, timesteps: int, generator: torch.Generator) -> Batch:
        """`size` examples, each at one of `timesteps` noise levels."""
        ...


class Pictures:
    """Draws examples. All chance comes from the caller's generator on the CPU, so a run is the same on any device."""

    def __init__(self, icons: IconSet, device: torch.device) -> None:
        captions = Captions(icons.names)
        self.icons = icons.names
        self.token_ids = captions.token_ids
        self.end_token = captions.end_token
        self._tokens = captions.tokens.to(device)
        self._empty = captions.empty.to(device)
        self._colours = torch.tensor(list(COLOURS.values()), device=device)
        self._rgba = premultiplied(icons.rgba).to(device)
        self._device = device

    def batch(self, size: int, timesteps: int, generator: torch.Generator) -> Batch:
        """`size` fresh examples, each at one of `timesteps` noise levels."""
        icon = torch.randint(len(self._rgba), (size,), generator=generator)
        colour = torch.randint(len(self._colours), (size,), generator=generator)
        colour[torch.rand(size, generator=generator) < WHITE_SHARE] = WHITE
        no_prompt = torch.rand(size, generator=generator) < NO_PROMPT_SHARE
        placements = random_placements(size, generator).to(self._device)
        timestep = _spread_timesteps(size, timesteps, generator).to(self._device)
        channels, side = 3 * FOLD**2, PICTURE // FOLD
        noise = torch.randn(size, channels, side, side, generator=generator).to(self._device)

        icon, colour = icon.to(self._device), colour.to(self._device)
        tokens = self._tokens[icon, colour]
        tokens[no_prompt.to(self._device)] = self._empty
        pictures = compose(self._rgba[icon], self._colours[colour], placements)
        latents = F.pixel_unshuffle(2 * pictures - 1, FOLD)
        return Batch(latents, noise, tokens, timestep)


def premultiplied(rgba: Tensor) -> Tensor:
    """uint8 icons (n, 4, side, side) of straight alpha as floats from 0 to 1, colours times alpha.

    Resampling straight alpha would mix the black of transparent pixels into every edge.
    """
    straight = rgba.float() / 255
    return torch.cat([straight[:, :3] * straight[:, 3:], straight[:, 3:]], dim=1)


def compose(icons: Tensor, backgrounds: Tensor, placements: Tensor) -> Tensor:
    """Pictures (b, 3, PICTURE, PICTURE) from 0 to 1: premultiplied icons (b, 4, side, side) on colours (b, 3).

    placements (b, 2, 3): affine maps from the picture's coordinates to the icon's, both from -1 to 1.
    """
    grid = F.affine_grid(placements, [len(icons), 4, CANVAS, CANVAS], align_corners=False)
    canvas = F.grid_sample(icons, grid, align_corners=False)
    canvas = F.avg_pool2d(canvas, CANVAS // PICTURE)
    return canvas[:, :3] + backgrounds[:, :, None, None] * (1 - canvas[:, 3:])


def _spread_timesteps(size: int, timesteps: int, generator: torch.Generator) -> Tensor:
    """Timesteps (size,), one from each of `size` equally likely ranges: so batches differ less in their difficulty."""
    quantile = (torch.arange(size) + torch.rand(size, generator=generator)) / size
    return (timesteps * quantile ** (1 / NOISE_EMPHASIS)).long().clamp(max=timesteps - 1)


def random_placements(
    size: int, generator: torch.Generator, smallest: float = SMALLEST, largest: float = LARGEST
) -> Tensor:
    """Affine maps (size, 2, 3) from picture to icon: any size between the two limits, anywhere inside the picture."""
    share = smallest + (largest - smallest) * torch.rand(size, generator=generator)
    scale = 1 / share
    shift = (2 * torch.rand(2, size, generator=generator) - 1) * (scale - 1)
    placements = torch.zeros(size, 2, 3)
    placements[:, 0, 0] = placements[:, 1, 1] = scale
    placements[:, :, 2] = shift.T
    return placements
