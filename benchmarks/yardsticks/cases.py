"""The prompts and seeds of all measurements: one set to tune on, and another, without a prompt in common, to report."""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import Enum

from ...tools.pocket.data import caption

_SHUFFLE_SEED = 3


class Split(str, Enum):
    """TUNING: for choosing settings and training adaptors. HELD_OUT: for what is reported."""

    TUNING = "tuning"
    HELD_OUT = "held-out"


# Seeds of the two sets are as far apart as their prompts.
_FIRST_SEED = {Split.TUNING: 10_000, Split.HELD_OUT: 20_000}


@dataclass(frozen=True)
class Case:
    """One picture to draw: an icon on a colour, from the noise of a seed."""

    icon: str
    colour: str
    seed: int

    @property
    def prompt(self) -> str:
        return caption(self.icon, self.colour)


def cases(icons: tuple[str, ...], colours: tuple[str, ...], split: Split, count: int) -> list[Case]:
    """The first `count` cases of a split; every icon comes before one comes again.

    Half of an icon's colours belong to each split. Raises ValueError if the split has fewer than `count` cases.
    """
    half = len(colours) // 2
    if not 0 < count <= half * len(icons):
        raise ValueError(f"count is {count}, but {split.value} has {half * len(icons)} cases, and one is the least.")
    chance = random.Random(_SHUFFLE_SEED)
    colours_of = {icon: chance.sample(colours, len(colours)) for icon in icons}
    offset = 0 if split is Split.TUNING else half
    ordered = [(icon, colours_of[icon][offset + again]) for again in range(half) for icon in icons]
    first_seed = _FIRST_SEED[split]
    return [Case(icon, colour, first_seed + index) for index, (icon, colour) in enumerate(ordered[:count])]
