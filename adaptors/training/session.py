"""One whole training, from prompts to an adaptor: what the node and the command line both call."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from ..learned import LearnedAdaptor
from . import host
from .begin import begin, saved_state
from .buffer import ReplayBuffer
from .checkpoint import save_checkpoint
from .distil import Checked, Distillation, DivergedError
from .high_res import HighResPart
from .noised import NoisedImages
from .plan import TrainingPlan, split
from .point import trained_for
from .shares import ALONE, Share
from .source import HELD_OUT_SEED, PairSource
from .teacher import Teacher

CHECKS = 10
SAVE_SECONDS = 120.0
MOST_HELD_OUT = 16
FEWEST_HELD_OUT = 4
# What part of the memory limit their pairs may take.
HELD_OUT_SHARE = 8


@dataclass(frozen=True)
class Progress:
    """After an update. loss_name: of the loss in use. checked: of the latest check; None before the first."""

    loss_name: str
    iteration: int
    iterations: int
    loss: float
    trajectories: int
    checked: Checked | None

    def text(self) -> str:
        """All in a line."""
        held_out = "" if self.checked is None else f", held-out error {self.checked.errors[self.loss_name]:.3f}"
        return f"iteration {self.iteration} of {self.iterations}, loss {self.loss:.4f}{held_out}"


@dataclass
class Trained:
    """What came out. losses: of each update. checks: on held-out prompts. note: why it ended before its time, or ""."""

    adaptor: LearnedAdaptor
    losses: list[float]
    checks: list[Checked]
    seconds: float
    note: str = ""

    def lines(self, loss_name: str) -> list[str]:
        """What to tell the user."""
        lines = [f"{len(self.losses)} iterations in {self.seconds:.0f} s."]
        if self.checks:
            best = min(self.checks, key=lambda checked: checked.errors[loss_name])
            errors = ", ".join(f"{name} {error:.3f}" for name, error in best.errors.items())
            lines.append(f"Held-out errors (the identity's are 1): {errors}; kept: iteration {best.iteration}.")
        return [*lines, self.note] if self.note else lines


@dataclass
class _Record:
    """What a training has to remember beside the weights in training: its losses, its checks, its best weights."""

    loss_name: str
    losses: list[float] = field(default_factory=list)
    checks: list[Checked] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)

    @property
    def best_error(self) -> float:
        return min((checked.errors[self.loss_name] for checked in self.checks), default=float("inf"))

    def add(self, checked: Checked, weights: dict[str, Tensor]) -> None:
        """Keep the weights if they are the best so far."""
        if checked.errors[self.loss_name] < self.best_error:
            self.best = {name: tensor.clone() for name, tensor in weights.items()}
        self.checks.append(checked)

    def is_stuck(self, patience: int) -> bool:
        """Whether the last `patience` checks all brought nothing."""
        errors = [checked.errors[self.loss_name] for checked in self.checks]
        return 0 < patience < len(errors) and min(errors[-patience:]) >= min(errors[:-patience])

    def state(self) -> dict[str, Any]:
        checks = [[checked.iteration, checked.errors] for checked in self.checks]
        return {"losses": self.losses, "checks": checks, "best": self.best}

    def load_state(self, state: dict[str, Any]) -> None:
        self.losses, self.best = list(state["losses"]), state["best"]
        self.checks = [Checked(iteration, errors) for iteration, errors in state["checks"]]


def train(
    plan: TrainingPlan,
    report: Callable[[Progress], None] = lambda _progress: None,
    share: Share = ALONE,
    say: Callable[[str], None] = lambda _line: None,
) -> Trained:
    """Train an adaptor; goes on from the plan's checkpoint if there is one.

    report: called after each update, in the process that writes. Whatever it raises, and whatever stops the training,
    comes out of here after the checkpoint is saved. say: called there with a line on what takes long before the first.
    Raises ValueError, before any work, if the plan does not fit the model.
    """
    with torch.inference_mode(False):
        return _Session(plan, report, share, say if share.writes else lambda _line: None).run()


class _Session:
    def __init__(
        self, plan: TrainingPlan, report: Callable[[Progress], None], share: Share, say: Callable[[str], None]
    ) -> None:
        self._plan = plan
        self._report = report
        self._share = share
        self._say = say
        self._saved = saved_state(plan)
        adaptor = begin(plan, self._saved, say)
        teacher = Teacher(plan.model, plan.description.seam.kept_blocks, adaptor.depth, adaptor.remembers_r_in)
        adaptor.require_fit(teacher.seam)
        device = host.load([teacher.model])
        high_res = HighResPart(teacher.model, plan.description.seam.kept_blocks)
        everything = PairSource(
            teacher, high_res, plan.points, plan.prompts, plan.negative, plan.latent, plan.settings.seed, device
        )
        if plan.images is not None:
            everything = NoisedImages(**vars(everything), images=plan.images)
        learned, held_out = split(len(plan.prompts))
        self._source = everything.of_prompts(learned, plan.settings.seed)
        self._held_out_source = everything.of_prompts(held_out, plan.settings.seed + HELD_OUT_SEED)
        held_out_memory = plan.memory_bytes // HELD_OUT_SHARE
        memory = plan.memory_bytes - held_out_memory
        self._held_out = ReplayBuffer(held_out_memory)
        self._distillation = Distillation(adaptor, self._source, plan.settings, memory, share)
        self._record = _Record(plan.settings.loss)

    def run(self) -> Trained:
        begun = time.monotonic()
        note = ""
        try:
            self._resume()
            if not (self._distillation.finished and self._is_checked()):
                self._draw_held_out()
                note = self._update_until_done()
        finally:
            self._distillation.close()
            self._held_out.close()
            self._source.teacher.close()
        return self._result(time.monotonic() - begun, note)

    def _resume(self) -> None:
        state, self._saved = self._saved, None
        if state is not None:
            self._distillation.load_state(state["distillation"])
            self._record.load_state(state["record"])

    def _draw_held_out(self) -> None:
        """Pairs of prompts, or at least of noise, that is not trained on; each process has its own."""
        self._say("The model draws pictures to check on, and to learn from.")
        source = self._held_out_source
        wanted = max(FEWEST_HELD_OUT, len(source.prompts)) * len(self._plan.points)
        numbers = [number for number in range(min(MOST_HELD_OUT, wanted)) if self._share.owns(number)]
        size = self._plan.settings.teacher_batch
        for start in range(0, len(numbers), size):
            for number, pairs in source.draw(numbers[start : start + size]).items():
                self._held_out.add(number, pairs)

    def _update_until_done(self) -> str:
        """Update and check; returns why it ended before its time, or ""."""
        training, settings = self._distillation, self._plan.settings
        saved = time.monotonic()
        logging.info("[Clockwork] Training, %d of %d iterations done.", training.iteration, settings.iterations)
        try:
            # Where the training was stopped between an update and its check.
            self._check_if_due()
            while not training.finished:
                loss = training.step()
                self._record.losses.append(loss)
                self._check_if_due()
                self._tell(loss)
                if self._record.is_stuck(settings.patience):
                    return f"Stopped at iteration {training.iteration}: held-out prompts gained nothing any more."
                if self._due(time.monotonic() - saved):
                    self._save()
                    saved = time.monotonic()
        except DivergedError as error:
            logging.warning("[Clockwork] %s", error)
            return str(error)
        finally:
            self._save()
        return ""

    def _check_if_due(self) -> None:
        training = self._distillation
        every = max(1, self._plan.settings.iterations // CHECKS)
        is_due = training.iteration % every == 0 or training.finished
        if is_due and not self._is_checked():
            self._record.add(training.check(self._held_out.trajectories()), training.average.state_dict())

    def _is_checked(self) -> bool:
        """Whether the weights are those of the latest check; before the first update there is nothing to check."""
        return self._distillation.iteration == (self._record.checks[-1].iteration if self._record.checks else 0)

    def _due(self, seconds: float) -> bool:
        return self._plan.checkpoint is not None and seconds >= SAVE_SECONDS

    def _tell(self, loss: float) -> None:
        if not self._share.writes:
            return
        training = self._distillation
        latest = self._record.checks[-1] if self._record.checks else None
        settings = self._plan.settings
        progress = Progress(settings.loss, training.iteration, settings.iterations, loss, training.trajectories, latest)
        self._report(progress)

    def _save(self) -> None:
        if self._plan.checkpoint is not None and self._share.writes:
            state = {
                "plan": self._plan.facts(),
                "distillation": self._distillation.state(),
                "record": self._record.state(),
            }
            save_checkpoint(self._plan.checkpoint, state)

    def _result(self, seconds: float, note: str) -> Trained:
        adaptor = self._distillation.trained()
        if self._record.best:
            adaptor.network.load_state_dict(self._record.best)
        error = self._record.best_error
        description = replace(
            adaptor.description,
            trained_for=trained_for(self._plan.points, len(self._plan.prompts)),
            loss=error if error < float("inf") else None,
        )
        finished = LearnedAdaptor(description, adaptor.network)
        return Trained(finished, self._record.losses, self._record.checks, seconds, note)
