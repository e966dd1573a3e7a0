"""What is trained and compared: each experiment is one adaptor, trained for some kinds of run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ...clockwork_core.schedule import EveryN, ExplicitList, Schedule

SAMPLER, SCHEDULER, CFG = "dpmpp_2m", "karras", 4.0
# Adaptor evaluations of 8, counted from 1 as the paper does, and the same as an explicit list of full ones.
SCHEDULES = {"2, 4, 6, 8": "10101010", "5, 6, 7, 8": "11110000", "3, 4, 5, 6": "11000011"}
# Output blocks that the cut "stage 2" keeps, of either model.
STAGE_2 = 6


@dataclass(frozen=True)
class Experiment:
    """table: where it is shown. name: in that table. architecture: "affine" is fitted, the others are trained.

    steps, clocks: of the runs that it is trained for, and, unless `tried` says others, tried at.
    config: what differs from the architecture's own settings. pattern: an explicit schedule in place of the clock.
    training: what differs from the usual `TrainingSettings`. from_images: regular distillation, not unrolled.
    guided: of a fit, whether it is to the guided change, not to that of cond and uncond by themselves.
    """

    table: str
    name: str
    architecture: str = "trend"
    steps: tuple[int, ...] = (8,)
    clocks: tuple[int, ...] = (2,)
    sampler: str = SAMPLER
    kept_blocks: int = 3
    pattern: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    tried: tuple[tuple[int, int], ...] = ()
    from_images: bool = False
    guided: bool = True

    @property
    def key(self) -> str:
        """A name for files."""
        return "".join(letter if letter.isalnum() else "-" for letter in f"{self.table}-{self.name}".lower())

    @property
    def points(self) -> tuple[tuple[int, int], ...]:
        """The (steps, clock) that it is tried at."""
        return self.tried or tuple((steps, clock) for steps in self.steps for clock in self.clocks)

    def schedule(self, clock: int) -> Schedule:
        """Of a run that it is tried at."""
        return ExplicitList(self.pattern) if self.pattern else EveryN(clock)


def _fits() -> list[Experiment]:
    points = ((8, 2), (8, 3), (20, 2), (20, 3), (20, 4))
    return [
        Experiment("fit", f"{name}, {steps} steps, clock {clock}", "affine", (steps,), (clock,), guided=guided)
        for steps, clock in points
        for name, guided in (("fitted", True), ("fitted to cond and uncond by themselves", False))
    ]


def _architectures() -> list[Experiment]:
    points = (((8,), (2,)), ((20,), (2,)), ((20,), (3,)), ((20,), (4,)))
    return [
        Experiment("architectures", f"{name}, {steps[0]} steps, clock {clocks[0]}", name, steps, clocks)
        for steps, clocks in points
        for name in ("refined", "trend", "resnet", "unet-light", "unet")
    ]


def _losses() -> list[Experiment]:
    return [
        Experiment("losses", "features (the paper's)", training={"loss": "features"}),
        Experiment("losses", "output", training={"loss": "output"}),
        Experiment("losses", "guided output, each evaluation alike", training={"evenness": 1.0}),
        Experiment("losses", "guided output, as the identity errs", training={"evenness": 0.0}),
        Experiment("losses", "guided output, on-policy", training={"on_policy": True}),
    ]


def _inputs() -> list[Experiment]:
    return [
        Experiment("inputs", "r_in, t", "resnet", config={"past": 0}),
        Experiment("inputs", "past r_out, t", "resnet", config={"r_in": False}),
        Experiment("inputs", "r_in, past r_out, t, text", "resnet", config={"prompt": True}),
    ]


def _schedules() -> list[Experiment]:
    return [Experiment("schedules", name, pattern=pattern) for name, pattern in SCHEDULES.items()]


def _cuts() -> list[Experiment]:
    fitted = [
        Experiment("cuts", f"fitted, stage 2, 8 steps, clock {clock}", "affine", clocks=(clock,), kept_blocks=STAGE_2)
        for clock in (2, 3)
    ]
    return [Experiment("cuts", "stage 2", kept_blocks=STAGE_2), *fitted]


def _samplers() -> list[Experiment]:
    return [Experiment("samplers", name, sampler=name) for name in ("euler", "dpm_2", "heun")]


def _sources() -> list[Experiment]:
    return [
        Experiment("sources", f"{kind}, {steps} steps", steps=(steps,), from_images=kind == "regular")
        for steps in (4, 6, 8, 16)
        for kind in ("unrolled", "regular")
    ]


def _ranges() -> list[Experiment]:
    tried = tuple((steps, clock) for steps in (6, 8, 12, 16, 20) for clock in (2, 3))
    return [
        Experiment("ranges", "8 steps, clock 2 only", tried=tried),
        Experiment(
            "ranges",
            "6 to 20 steps, clocks 2 and 3",
            steps=(6, 9, 12, 16, 20),
            clocks=(2, 3),
            config={"gaps": True},
            tried=tried,
        ),
    ]


EXPERIMENTS = [
    *_fits(),
    *_architectures(),
    *_losses(),
    *_inputs(),
    *_schedules(),
    *_cuts(),
    *_samplers(),
    *_ranges(),
    *_sources(),
]
