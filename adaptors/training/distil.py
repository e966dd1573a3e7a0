"""Distillation by gradient: an adaptor's network learns what the teacher's low-res part does (paper, section 3.2)."""

from __future__ import annotations

import copy
import logging
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from ..layers import size_terms, solved_size, sums_of_sizes
from ..learned import LearnedAdaptor
from .buffer import ReplayBuffer
from .losses import LOSSES, needs_r_out, relative
from .pairs import Batch, Pair, without_r_out
from .settings import TrainingSettings
from .shares import ALONE, Share
from .source import PairSource
from .teacher import Evaluated, Policy, follow_teacher

LARGEST_GRADIENT = 1.0
# Trajectories drawn by the adaptor itself are so by few versions of it, which a checkpoint can hold.
ON_POLICY_PARTS = 4
# Seeds of the updates' choices: a resumed training chooses the same pairs.
_DRAWS = 2**20


class DivergedError(ValueError):
    """The loss is no number any more; the message says when. The averaged weights are those of before."""


@dataclass(frozen=True)
class Checked:
    """How far an adaptor is on held-out prompts: its mean error on the scale of the identity's, of each loss."""

    iteration: int
    errors: dict[str, float]


class Distillation:
    """A training at some iteration; `state` and `load_state` move it to another process, exactly.

    adaptor: what is trained, and moves. average: the moving average of its weights, which is what one keeps.
    share: which part of each batch is this process's own.
    """

    def __init__(
        self,
        adaptor: LearnedAdaptor,
        source: PairSource,
        settings: TrainingSettings,
        memory_bytes: int,
        share: Share = ALONE,
    ) -> None:
        self.settings = settings
        self.adaptor = adaptor
        self.iteration = 0
        self._source = source
        self._share = share
        self._buffer = ReplayBuffer(memory_bytes)
        self._students: dict[int, dict[str, Tensor]] = {}
        self._drawn = 0
        self._typical = 0.0
        self._together = settings.batch
        if min(settings.teacher_batch, settings.trajectories) < share.count:
            raise ValueError(
                f"{share.count} processes need a teacher_batch and trajectories of at least {share.count}, but have "
                f"{settings.teacher_batch} and {settings.trajectories}."
            )
        network = adaptor.network.to(source.device).requires_grad_(True)
        self.average = copy.deepcopy(network).requires_grad_(False)
        self._network = share.replicated(network)
        self._optimizer = torch.optim.Adam(network.parameters(), settings.learning_rate)

    @property
    def finished(self) -> bool:
        return self.iteration >= self.settings.iterations

    @property
    def trajectories(self) -> int:
        """How many the teacher has drawn."""
        return self._drawn

    def prepare(self) -> None:
        """Draw the trajectories that the next update needs.

        Which are drawn together, and when, depends on neither pauses nor the number of processes.
        """
        while self._drawn < self.settings.trajectories_at(self.iteration):
            end = min(self.settings.trajectories, self._drawn + self.settings.teacher_batch)
            own = [number for number in range(self._drawn, end) if self._share.owns(number)]
            drawn = self._source.draw(own, self._policy(self._drawn))
            if self._drawn == 0 and self.iteration == 0:
                self._measure_scales([pair for pairs in drawn.values() for pair in pairs])
            for number, pairs in drawn.items():
                self._buffer.add(number, pairs if needs_r_out(self.settings.loss) else list(map(without_r_out, pairs)))
            self._drawn = end
            logging.info("[Clockwork] %d of %d trajectories drawn.", end, self.settings.trajectories)

    def step(self) -> float:
        """One update; returns its loss. Raises DivergedError if that, or its gradient, is no number."""
        self.prepare()
        with torch.inference_mode(False), torch.enable_grad():
            own_loss = self._gradients(self._choose())
        loss = self._share.total(own_loss) / self._share.count
        self._require_number("loss", loss)
        norm = torch.nn.utils.clip_grad_norm_(self.adaptor.network.parameters(), LARGEST_GRADIENT)
        self._require_number("gradient", float(norm))
        self._update()
        return loss

    def check(self, held_out: Iterable[Sequence[Pair]]) -> Checked:
        """The averaged weights on trajectories that are not trained on."""
        totals, count = dict.fromkeys(LOSSES, 0.0), 0
        with torch.no_grad():
            for pairs in held_out:
                for part in _parts(pairs, self._together):
                    batch = Batch.of(part, self._source.device)
                    errors = self._errors(batch, self.average).items()
                    for (name, error), identity_error in zip(errors, batch.identity_errors, strict=True):
                        totals[name] += float(relative(error, identity_error, 1.0, 1.0).sum())
                count += len(pairs)
        everywhere = self._share.total(count)
        return Checked(self.iteration, {name: self._share.total(each) / everywhere for name, each in totals.items()})

    def trained(self) -> LearnedAdaptor:
        """An adaptor with the averaged weights."""
        with torch.inference_mode(False):
            network = copy.deepcopy(self.average).requires_grad_(False).cpu()
        return LearnedAdaptor(self.adaptor.description, network)

    def state(self) -> dict[str, Any]:
        """All that the next update depends on beside the trajectories, as plain values and tensors."""
        return {
            "settings": asdict(self.settings),
            "iteration": self.iteration,
            "typical": self._typical,
            "students": self._students,
            "network": self.adaptor.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self._optimizer.state_dict(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Continue where `state` was taken; trajectories are drawn anew as they are needed.

        Raises ValueError if that training had other settings.
        """
        for name, value in asdict(self.settings).items():
            if state["settings"].get(name) != value:
                raise ValueError(
                    f"The checkpoint's training has {name} {state['settings'].get(name)}, not {value}: "
                    "resume it with the same settings, or begin anew under another name."
                )
        self.adaptor.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self._optimizer.load_state_dict(state["optimizer"])
        self.iteration = state["iteration"]
        self._typical = state["typical"]
        self._students = state["students"]

    def close(self) -> None:
        """Let go of the pairs."""
        self._buffer.close()

    def _choose(self) -> list[Pair]:
        """This process's share of the next batch: any pairs of the trajectories so far, the same in each process."""
        generator = torch.Generator().manual_seed(self.settings.seed * _DRAWS + self.iteration)
        numbers = torch.randint(self._drawn, (self.settings.batch,), generator=generator).tolist()
        places = torch.rand(self.settings.batch, generator=generator, dtype=torch.float64).tolist()
        return [
            self._buffer.pair(number, place)
            for number, place in zip(numbers, places, strict=True)
            if self._share.owns(number)
        ]

    def _gradients(self, own: list[Pair]) -> float:
        """Leaves the batch's gradients with the weights; returns this process's part of the loss.

        A batch that needs too much of the device's memory is done in parts, from then on.
        """
        while True:
            self._optimizer.zero_grad(set_to_none=True)
            try:
                return self._gradients_in_parts(own)
            except torch.cuda.OutOfMemoryError:
                # Other processes wait for the gradients of the whole.
                if self._together == 1 or self._share.count > 1:
                    raise
            self._together = (self._together + 1) // 2
            logging.info("[Clockwork] A batch takes too much memory: training on %d pairs at once.", self._together)

    def _gradients_in_parts(self, own: list[Pair]) -> float:
        """The mean over the processes of what each returns is the mean over the batch, and so for the gradients."""
        weight = self._share.count / self.settings.batch
        parts = list(_parts(own, self._together))
        if not parts:
            # A process without a pair in the batch takes part all the same, for the others wait for its gradients.
            parts, weight = [[self._buffer.pair(self._share.rank, 0.0)]], 0.0
        total = 0.0
        for part in parts[:-1]:
            with self._share.not_yet_averaged(self._network):
                total += self._backward(part, weight)
        return total + self._backward(parts[-1], weight)

    def _backward(self, pairs: Sequence[Pair], weight: float) -> float:
        batch = Batch.of(pairs, self._source.device)
        name, settings = self.settings.loss, self.settings
        error = self._errors(batch, self._network, name)[name]
        identity_error = batch.identity_errors[list(LOSSES).index(name)]
        loss = relative(error, identity_error, settings.evenness, self._typical).sum() * weight
        loss.backward()
        return float(loss.detach())

    def _require_number(self, what: str, value: float) -> None:
        if not math.isfinite(value):
            raise DivergedError(
                f"The {what} became {value} at iteration {self.iteration}: try a smaller learning_rate than "
                f"{self.settings.learning_rate:g}. The weights of before are kept."
            )

    def _errors(self, batch: Batch, network: Any, only: str | None = None) -> dict[str, Tensor]:
        """The errors (B,) of the losses, or of one of them."""
        features, skips = self._source.high_res.enter(batch)
        r_out = self.adaptor.r_out(features, network)
        names = [only] if only is not None else list(LOSSES)
        needs_output = names != ["features"]
        output = self._source.high_res.leave(batch, features, skips, r_out) if needs_output else batch.output
        cfg = self._source.points[0].cfg
        return {name: LOSSES[name](batch, r_out, output, cfg) for name in names}

    def _update(self) -> None:
        for group in self._optimizer.param_groups:
            group["lr"] = self.settings.rate_at(self.iteration)
        self._optimizer.step()
        decay = min(self.settings.average, (1 + self.iteration) / (10 + self.iteration))
        with torch.no_grad():
            for kept, moving in zip(self.average.parameters(), self.adaptor.network.parameters(), strict=True):
                kept.lerp_(moving, 1.0 - decay)
        self.iteration += 1

    def _policy(self, number: int) -> Policy:
        """Who draws this trajectory: the teacher, or the averaged adaptor as it was when its part of them began."""
        part = number * ON_POLICY_PARTS // self.settings.trajectories
        if not self.settings.on_policy or part == 0:
            return follow_teacher
        if part not in self._students:
            weights = self.average.state_dict()
            self._students[part] = {name: tensor.detach().cpu().clone() for name, tensor in weights.items()}
        network = copy.deepcopy(self.average)
        network.load_state_dict(self._students[part])
        student = LearnedAdaptor(self.adaptor.description, network)

        def follow_student(_now: Evaluated, _past: Sequence[Evaluated]) -> LearnedAdaptor:
            return student

        return follow_student

    @torch.no_grad()
    def _measure_scales(self, own: list[Pair]) -> None:
        """From the first trajectories: how large features and what there is to learn are; the identity's error."""
        index = list(LOSSES).index(self.settings.loss)
        sums = torch.zeros(3, dtype=torch.float64)  # squares of r_in, of r_out; the identity's errors
        counts = torch.zeros(3, dtype=torch.float64)
        changes = torch.zeros(4, 5, dtype=torch.float64)
        for part in _parts(own, self._together):
            batch = Batch.of(part, self._source.device)
            features = self._source.high_res.enter(batch)[0]
            r_in, r_out, errors = features.r_in, batch.r_outs[0], batch.identity_errors[index]
            assert batch.r_out is not None, "it is only dropped afterwards"
            sums += torch.stack([r_in.square().sum(), r_out.square().sum(), errors.sum()]).cpu()
            counts += torch.tensor([r_in.numel(), r_out.numel(), errors.numel()])
            change = batch.r_out - self.adaptor.r_out(features)
            terms = size_terms(features.log_snr, features.gaps[:, 0])
            changes += sums_of_sizes(terms, change.square().flatten(1).mean(1).sqrt()).cpu()
        means = self._share.total_of(sums) / self._share.total_of(counts)
        change_size = solved_size(self._share.total_of(changes))
        self._typical = float(means[2])
        for network in (self.adaptor.network, self.average):
            network.set_scales(means[0] ** -0.5, means[1] ** -0.5, change_size)


def _parts(pairs: Sequence[Pair], size: int) -> Iterator[Sequence[Pair]]:
    return (pairs[start : start + size] for start in range(0, len(pairs), size))
