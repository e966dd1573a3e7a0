"""Distillation by gradient: an adaptor's network learns what the teacher's low-res part does (paper, section 3.2)."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from ..inputs import Features
from ..layers import size_terms
from ..learned import LearnedAdaptor
from .buffer import ReplayBuffer
from .losses import LOSSES, relative
from .pairs import Batch, Pair
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
        """Draw the trajectories that the next update needs."""
        due = self.settings.trajectories_at(self.iteration)
        while self._drawn < due:
            numbers = range(self._drawn, min(due, self._drawn + self.settings.teacher_batch * self._share.count))
            own = [number for number in numbers if self._share.owns(number)]
            for number, pairs in self._source.draw(own, self._policy(numbers.start)).items():
                self._buffer.add(number, pairs)
            if self._drawn == 0:
                self._measure_scales(own)
            self._drawn = numbers.stop

    def step(self) -> float:
        """One update; returns its loss. Raises DivergedError if that is no number."""
        self.prepare()
        pairs = self._choose()
        with torch.inference_mode(False), torch.enable_grad():
            loss = self._loss(pairs)
            self._optimizer.zero_grad(set_to_none=True)
            loss.backward()
        value = self._share.total(float(loss.detach())) / self._share.count
        if not math.isfinite(value):
            raise DivergedError(
                f"The loss became {value} at iteration {self.iteration}: try a smaller learning_rate than "
                f"{self.settings.learning_rate:g}. The weights of before are kept."
            )
        self._update()
        return value

    def check(self, held_out: Sequence[Pair]) -> Checked:
        """The averaged weights on pairs that are not trained on."""
        totals = dict.fromkeys(LOSSES, 0.0)
        size = self.settings.batch
        with torch.no_grad():
            for start in range(0, len(held_out), size):
                batch = Batch.of(held_out[start : start + size], self._source.device)
                errors = self._errors(batch, self.average).items()
                for (name, error), identity_error in zip(errors, batch.identity_errors, strict=True):
                    totals[name] += float(relative(error, identity_error, 1.0, 1.0).sum())
        count = self._share.total(len(held_out))
        return Checked(self.iteration, {name: self._share.total(total) / count for name, total in totals.items()})

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

    def _loss(self, own: list[Pair]) -> Tensor:
        """This process's part of the mean over the batch; the mean over the processes is that of the batch."""
        weight = len(own) * self._share.count / self.settings.batch
        # A process without a pair in the batch takes part all the same, for the others wait for its gradients.
        batch = Batch.of(own or self._buffer.all_of(self._share.rank)[:1], self._source.device)
        name, settings = self.settings.loss, self.settings
        error = self._errors(batch, self._network, name)[name]
        identity_error = batch.identity_errors[list(LOSSES).index(name)]
        return relative(error, identity_error, settings.evenness, self._typical).mean() * weight

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
        torch.nn.utils.clip_grad_norm_(self.adaptor.network.parameters(), LARGEST_GRADIENT)
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
    def _measure_scales(self, own: list[int]) -> None:
        """From the first trajectories: how large the features and their changes are, how far the identity is off."""
        pairs = [pair for number in own for pair in self._buffer.all_of(number)]
        batch = Batch.of(pairs, self._source.device)
        features, _ = self._source.high_res.enter(batch)
        index = list(LOSSES).index(self.settings.loss)
        measured = [
            1.0 / features.r_in.std(),
            1.0 / batch.r_outs[0].std(),
            batch.identity_errors[index].mean(),
            *_fit_of_sizes(batch, features),
        ]
        r_in_scale, r_out_scale, self._typical, *change_size = (
            self._share.total(float(value)) / self._share.count for value in measured
        )
        for network in (self.adaptor.network, self.average):
            network.r_in_scale.fill_(r_in_scale)
            network.r_out_scale.fill_(r_out_scale)
            network.change_size.copy_(torch.tensor(change_size))


def _fit_of_sizes(batch: Batch, features: Features) -> Tensor:
    """The coefficients (4,) of `size_of_change` that fit a batch best.

    A little ridge, for one kind of run may hold fewer gaps and noise levels than there are terms.
    """
    target = batch.r_out if not features.r_outs else batch.r_out - features.r_outs[0]
    sizes = target.square().flatten(1).mean(1).clamp(min=1e-12).log() / 2
    terms = size_terms(features.log_snr, features.gaps[:, 0]).double()
    ridge = 1e-3 * len(terms) * torch.eye(terms.shape[1], dtype=terms.dtype, device=terms.device)
    return torch.linalg.solve(terms.T @ terms + ridge, terms.T @ sizes.double())
