"""Teach the judge on fresh renders, and test it on others."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ...tools.pocket.data import COLOURS
from ...tools.pocket.icons import IconSet
from ..yardsticks.measures import frechet_distance
from .network import Judge
from .renders import Renderer, Renders

UPDATES = 1500
BATCH = 64
LEARNING_RATE = 3e-3
WEIGHT_DECAY = 0.02
SEED = 1
REPORT_EVERY = 100

HELD_OUT_SEED = 2
HELD_OUT_BATCHES = 32

REFERENCE_SEED = 5
REFERENCE_BATCHES = 64


def train_judge(icons: IconSet, updates: int = UPDATES, report: Callable[[str], None] = print) -> Judge:
    """A judge of these icons; the same on each call."""
    torch.manual_seed(SEED)
    judge = Judge(icons.names, tuple(COLOURS))
    renderer = Renderer(icons)
    generator = torch.Generator().manual_seed(SEED)
    optimizer = torch.optim.AdamW(judge.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=updates)
    for update in range(1, updates + 1):
        loss = _loss(judge, renderer.augmented(BATCH, generator))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if update % REPORT_EVERY == 0:
            report(f"judge: update {update} of {updates}, loss {loss.item():.3f}")
    return judge.eval()


def _loss(judge: Judge, renders: Renders) -> Tensor:
    verdict = judge(renders.pictures)
    return F.cross_entropy(verdict.icons, renders.icons) + F.cross_entropy(verdict.colours, renders.colours)


@torch.no_grad()
def take_reference(judge: Judge, renderer: Renderer, batches: int = REFERENCE_BATCHES) -> None:
    """Note the mean and covariance of the judge's features of true renders, drawn as the pocket models saw them."""
    generator = torch.Generator().manual_seed(REFERENCE_SEED)
    pictures = (renderer.as_trained(BATCH, generator).pictures for _ in range(batches))
    features = torch.cat([judge(each).features for each in pictures])  # (n, FEATURES)
    judge.reference_mean.copy_(features.mean(0))
    judge.reference_covariance.copy_(features.T.cov())


@torch.no_grad()
def measure(judge: Judge, icons: IconSet, batches: int = HELD_OUT_BATCHES) -> dict[str, float]:
    """Shares of held-out renders that the judge is right about, from 0 to 1, and its distance to as few as BATCH."""
    renderer = Renderer(icons)
    shares = {}
    for name, draw in (("as_trained", renderer.as_trained), ("augmented", renderer.augmented)):
        generator = torch.Generator().manual_seed(HELD_OUT_SEED)
        right = [_right(judge, draw(BATCH, generator)) for _ in range(batches)]
        icon, colour = torch.cat(right).mean(0).tolist()
        shares |= {f"icon_top1_{name}": icon, f"colour_top1_{name}": colour}
    few = renderer.each_in_turn(BATCH, torch.Generator().manual_seed(HELD_OUT_SEED)).pictures
    return {**shares, f"frechet_of_{BATCH}_true_renders": frechet_distance(judge, few)}


def _right(judge: Judge, renders: Renders) -> Tensor:
    """(b, 2): 1 where the icon, and where the colour, is the right one."""
    verdict = judge(renders.pictures)
    icons = verdict.icons.argmax(1) == renders.icons
    return torch.stack([icons, verdict.colours.argmax(1) == renders.colours], dim=1).float()
