"""One training run: its settings, its whole state, and one update of it.

v-prediction (Salimans and Ho, 2022, https://arxiv.org/abs/2202.00512), for at high noise a network that predicts the
noise must copy its input exactly, which one this small never learned.
"""

from __future__ import annotations

import copy
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from comfy.ldm.modules.diffusionmodules.util import make_beta_schedule
from torch import Tensor

from ...demo_model import PocketFile
from .data import Batch, Examples
from .geometry import GEOMETRIES
from .muon import Muon
from .networks import PocketNetworks

# Stable Diffusion's schedule; the host calls the one that is linear in the square root "linear".
TIMESTEPS, FIRST_BETA, LAST_BETA = 1000, 0.00085, 0.012

WARM_UP_UPDATES = 100
LONGEST_AVERAGE = 0.998
MOMENTA = (0.9, 0.99)
# What no hidden layer's matrix is, Muon is not made for: AdamW moves it.
NO_HIDDEN_MATRIX = ("embedding.weight", "unet.input_blocks.0.0.weight", "unet.out.2.weight")

PRECISIONS = ("bfloat16", "float32")


@dataclass(frozen=True)
class Settings:
    """All that decides the weights, beside the examples: a run that is resumed must have the same.

    geometry: which networks, a name in GEOMETRIES.
    total_updates: where the learning rate comes to zero; the run may stop earlier and go on later.
    precision: what convolutions and products compute in; weights are float32.
    """

    geometry: str = "pocket"
    total_updates: int = 4_000
    batch: int = 16
    learning_rate: float = 3e-3
    seed: int = 0
    precision: str = "float32"

    def __post_init__(self) -> None:
        for name in ("total_updates", "batch", "learning_rate"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} is {getattr(self, name)}, but must be above 0.")
        for name, choices in (("precision", PRECISIONS), ("geometry", GEOMETRIES)):
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} is {getattr(self, name)!r}, but must be one of {', '.join(choices)}.")

    def rate_at(self, update: int) -> float:
        """The learning rate of update 0, 1, …: by its number, not by the clock, so that a pause changes nothing."""
        warm_up = min(1.0, (update + 1) / WARM_UP_UPDATES)
        return self.learning_rate * warm_up * max(0.0, 1 - update / self.total_updates)


def average_decay(update: int) -> float:
    """How much of the averaged weights stays: short memory at first, or the start would linger."""
    return min(LONGEST_AVERAGE, (1 + update) / (10 + update))


def _optimizers(networks: PocketNetworks, learning_rate: float) -> dict[str, torch.optim.Optimizer]:
    """Muon for the hidden layers' matrices, AdamW for all else."""
    matrices, others = [], []
    for name, weight in networks.named_parameters():
        (matrices if weight.ndim > 1 and not name.endswith(NO_HIDDEN_MATRIX) else others).append(weight)
    return {
        "muon": Muon(matrices, learning_rate),
        "adamw": torch.optim.AdamW(others, learning_rate, MOMENTA, weight_decay=0.0, fused=True),
    }


class Trainer:
    """A training run at some update; `state` and `load_state` move it to another process, exactly.

    update: how many updates it has made. prior_updates: how many the weights had that it started from.
    average: the exponential moving average of the networks, which is what one ships.
    """

    def __init__(self, settings: Settings, examples: Examples, device: torch.device) -> None:
        self.settings = settings
        self.update = 0
        self.prior_updates = 0
        self._device = device
        self._generator = torch.Generator().manual_seed(settings.seed)
        self._examples = examples
        networks = PocketNetworks(
            GEOMETRIES[settings.geometry], tokens=len(self._examples.token_ids), end_token=self._examples.end_token
        )
        networks.initialize(self._generator)
        self.networks = networks.to(device)
        self.average = copy.deepcopy(self.networks).requires_grad_(False)
        self._optimizers = _optimizers(self.networks, settings.learning_rate)
        betas = torch.as_tensor(make_beta_schedule("linear", TIMESTEPS, FIRST_BETA, LAST_BETA))
        signal_power = torch.cumprod(1 - betas, dim=0)
        self._signal = signal_power.sqrt().float().to(device)
        self._sigma = (1 - signal_power).sqrt().float().to(device)

    @property
    def finished(self) -> bool:
        """Whether the learning rate has come to its end."""
        return self.update >= self.settings.total_updates

    def start_from(self, file: PocketFile) -> None:
        """Begin a new run with the weights of a pocket file, as far as `PocketNetworks.load_pocket` takes them over."""
        self.networks.load_pocket(file, self._examples.token_ids)
        self.average.load_state_dict(self.networks.state_dict())
        self.prior_updates = file.updates

    def step(self) -> Tensor:
        """Make one update; returns its loss, a scalar on the device."""
        batch = self._examples.batch(self.settings.batch, TIMESTEPS, self._generator)
        loss = self._loss(batch)
        self.networks.zero_grad(set_to_none=True)
        loss.backward()
        for optimizer in self._optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = self.settings.rate_at(self.update)
            optimizer.step()
        self._update_average()
        self.update += 1
        return loss.detach()

    def _loss(self, batch: Batch) -> Tensor:
        signal = self._signal[batch.timesteps][:, None, None, None]
        sigma = self._sigma[batch.timesteps][:, None, None, None]
        noisy = signal * batch.latents + sigma * batch.noise
        target = signal * batch.noise - sigma * batch.latents
        reduced = self.settings.precision == "bfloat16"
        with torch.autocast(self._device.type, dtype=torch.bfloat16, enabled=reduced):
            predicted = self.networks(noisy, batch.timesteps.float(), batch.tokens)
        return F.mse_loss(predicted.float(), target)

    @torch.no_grad()
    def _update_average(self) -> None:
        share = 1 - average_decay(self.update)
        torch._foreach_lerp_(list(self.average.parameters()), list(self.networks.parameters()), share)

    def state(self) -> dict[str, Any]:
        """All that the next update depends on, as plain values and tensors."""
        return {
            "settings": asdict(self.settings),
            "icons": list(self._examples.icons),
            "token_ids": self._examples.token_ids,
            "update": self.update,
            "prior_updates": self.prior_updates,
            "networks": self.networks.state_dict(),
            "average": self.average.state_dict(),
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self._optimizers.items()},
            "generator": self._generator.get_state(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Continue where `state` was taken. Raises ValueError if that run had other settings or icons."""
        for name, value in asdict(self.settings).items():
            if state["settings"][name] != value:
                raise ValueError(
                    f"The checkpoint's run has {name} {state['settings'][name]}, not {value}: "
                    "resume it with the same settings, or begin a new run in another file."
                )
        if tuple(state["icons"]) != self._examples.icons:
            raise ValueError("The checkpoint's run was trained on other icons.")
        self.networks.load_state_dict(state["networks"])
        self.average.load_state_dict(state["average"])
        for name, optimizer in self._optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        self._generator.set_state(state["generator"])
        self.update = state["update"]
        self.prior_updates = state["prior_updates"]
