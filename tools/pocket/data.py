"""What the model is trained on: an icon of random size and place on one of ten colours, and its caption."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from comfy.sd1_clip import SDTokenizer
from torch import Tensor

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
SMALLEST, LARGEST = 0.72, 0.98


def caption(icon: str, colour: str) -> str:
    """The prompt for an icon on a background."""
    return icon if colour == "white" else f"{icon} on a {colour} background"


class Captions:
    """Captions as tokens, numbered 0, 1, … by their place in `token_ids`.

    The vocabulary has 49,408 tokens, of which the captions use some 170: training only those rows of the
    embedding is a quarter less work for the optimizer.
    token_ids (n,): the tokens in use, ascending. tokens (icons, colours, 77). empty (77,): for no prompt.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        tokenizer = SDTokenizer()
        tokens = torch.tensor([[_token_ids(tokenizer, caption(name, colour)) for colour in COLOURS] for name in names])
        empty = torch.tensor(_token_ids(tokenizer, ""))
        self.token_ids = torch.cat([tokens.flatten(), empty]).unique()
        self.tokens = torch.searchsorted(self.token_ids, tokens)
        self.empty = torch.searchsorted(self.token_ids, empty)


def _token_ids(tokenizer: SDTokenizer, text: str) -> list[int]:
    """Token ids padded to 77, as the host makes them."""
    return [token for token, _weight in tokenizer.tokenize_with_weights(text)[0]]


@dataclass(frozen=True)
class Batch:
    """latents (b, 12, 32, 32) in [-1, 1], their noise, tokens (b, 77) and timesteps (b,) from 0 to 999."""

    latents: Tensor
    noise: Tensor
    tokens: Tensor
    timesteps: Tensor


class Pictures:
    """Draws batches. All chance comes from the caller's generator on the CPU, so a run is the same on any device."""

    def __init__(self, icons: IconSet, device: torch.device) -> None:
        captions = Captions(icons.names)
        self.token_ids = captions.token_ids
        self._tokens = captions.tokens.to(device)
        self._empty = captions.empty.to(device)
        self._colours = torch.tensor(list(COLOURS.values()), device=device)
        rgba = icons.rgba.to(device).float() / 255
        # Premultiplied: resampling straight alpha would mix the black of transparent pixels into every edge.
        self._rgba = torch.cat([rgba[:, :3] * rgba[:, 3:], rgba[:, 3:]], dim=1)
        self._device = device

    def batch(self, size: int, timesteps: int, generator: torch.Generator) -> Batch:
        """`size` fresh examples, each at one of `timesteps` noise levels."""
        icon = torch.randint(len(self._rgba), (size,), generator=generator)
        colour = torch.randint(len(self._colours), (size,), generator=generator)
        colour[torch.rand(size, generator=generator) < WHITE_SHARE] = WHITE
        no_prompt = torch.rand(size, generator=generator) < NO_PROMPT_SHARE
        placement = _random_placement(size, generator).to(self._device)
        timestep = torch.randint(timesteps, (size,), generator=generator).to(self._device)
        channels, side = 3 * FOLD**2, PICTURE // FOLD
        noise = torch.randn(size, channels, side, side, generator=generator).to(self._device)

        icon, colour = icon.to(self._device), colour.to(self._device)
        tokens = self._tokens[icon, colour]
        tokens[no_prompt.to(self._device)] = self._empty
        return Batch(self._draw(icon, colour, placement), noise, tokens, timestep)

    def _draw(self, icon: Tensor, colour: Tensor, placement: Tensor) -> Tensor:
        grid = F.affine_grid(placement, [len(icon), 4, CANVAS, CANVAS], align_corners=False)
        canvas = F.grid_sample(self._rgba[icon], grid, align_corners=False)
        canvas = F.avg_pool2d(canvas, CANVAS // PICTURE)
        picture = canvas[:, :3] + self._colours[colour][:, :, None, None] * (1 - canvas[:, 3:])
        return F.pixel_unshuffle(2 * picture - 1, FOLD)


def _random_placement(size: int, generator: torch.Generator) -> Tensor:
    """Affine maps (size, 2, 3) from picture to icon: any size between the two limits, anywhere inside the picture."""
    share = SMALLEST + (LARGEST - SMALLEST) * torch.rand(size, generator=generator)
    scale = 1 / share
    shift = (2 * torch.rand(2, size, generator=generator) - 1) * (scale - 1)
    placement = torch.zeros(size, 2, 3)
    placement[:, 0, 0] = placement[:, 1, 1] = scale
    placement[:, :, 2] = shift.T
    return placement
