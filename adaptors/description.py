"""What there is to know of a learned adaptor besides its weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..clockwork_core.adaptor import RunConditions
from ..clockwork_core.checks import require_text, shown
from ..clockwork_core.cut import Seam
from ..clockwork_core.schedule import EveryN
from .affine import Affine, AffineConfig
from .layers import AdaptorNetwork
from .refined import Refined, RefinedConfig
from .resnet import ResNet, ResNetConfig
from .unet import UNet, UNetConfig


class Architecture(NamedTuple):
    """config: the class of its settings. network: built from those and a Seam. scaled_to: the paper's settings."""

    config: type
    network: Callable[..., AdaptorNetwork]
    scaled_to: Callable[[Seam], Any]


# The names are saved in files: add new ones, never change one.
ARCHITECTURES: dict[str, Architecture] = {
    "resnet": Architecture(ResNetConfig, ResNet, ResNetConfig.scaled_to),
    "trend": Architecture(ResNetConfig, ResNet, ResNetConfig.trend),
    "unet": Architecture(UNetConfig, UNet, UNetConfig.scaled_to),
    "unet-light": Architecture(UNetConfig, UNet, UNetConfig.light),
    "affine": Architecture(AffineConfig, Affine, AffineConfig.scaled_to),
    "refined": Architecture(RefinedConfig, Refined, RefinedConfig.scaled_to),
}

# Those that are trained by gradient, the one to begin with first; "affine" is fitted.
TRAINABLE = ("refined", "trend", "resnet", "unet", "unet-light")
# Their maps are fitted to the evaluations of one run.
FOR_ONE_KIND_OF_RUN = ("refined",)


@dataclass(frozen=True)
class TrainedFor:
    """The runs that an adaptor was trained on. sampler, scheduler: the host's names. prompts: how many.

    most_steps, most_clock: the ends of the ranges that begin with steps and clock; 0 where there is no range.
    """

    steps: int
    sampler: str
    scheduler: str
    cfg: float
    clock: int
    prompts: int
    most_steps: int = 0
    most_clock: int = 0

    def departures(self, conditions: RunConditions) -> list[tuple[str, str, str]]:
        """In what a run differs from these: what, as trained, as found."""
        clocks = range(self.clock, max(self.clock, self.most_clock) + 1)
        steps = range(self.steps, max(self.steps, self.most_steps) + 1)
        found = [
            ("the sampler", self.sampler, conditions.sampler or "another one", conditions.sampler == self.sampler),
            ("the number of steps", _span(steps), str(conditions.steps), conditions.steps in steps),
            (
                "the schedule",
                f"clock {_span(clocks)}",
                conditions.schedule,
                conditions.schedule in {EveryN(clock).describe() for clock in clocks},
            ),
            ("cfg", str(self.cfg), str(conditions.cfg), conditions.cfg == self.cfg),
        ]
        return [(what, trained, now) for what, trained, now, same in found if not same]


def _span(values: range) -> str:
    return str(values.start) if len(values) == 1 else f"{values.start} to {values.stop - 1}"


@dataclass(frozen=True)
class Description:
    """architecture: a name in ARCHITECTURES. config: of that architecture's class. seam: what it fits.

    trained_for, loss: of its training; None while it is untrained.
    """

    architecture: str
    config: Any
    seam: Seam
    trained_for: TrainedFor | None = None
    loss: float | None = None

    def network(self, **where: Any) -> AdaptorNetwork:
        """The network with weights yet to be filled. where: dtype and device."""
        return ARCHITECTURES[self.architecture].network(self.config, self.seam, **where)


def describe(architecture: str, seam: Seam) -> Description:
    """The named architecture with the paper's settings, scaled to the UNet that `seam` is of.

    Raises ValueError naming the architectures that there are.
    """
    require_text("architecture", architecture)
    if architecture not in ARCHITECTURES:
        raise ValueError(f"architecture is {shown(architecture)}, but must be one of {', '.join(ARCHITECTURES)}.")
    return Description(architecture, ARCHITECTURES[architecture].scaled_to(seam), seam)
