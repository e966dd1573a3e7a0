"""Train the pocket model for a while; the same command again goes on where it stopped."""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ...demo_model import read_pocket_file
from .data import Pictures
from .geometry import GEOMETRIES
from .icons import load_icons
from .trainer import PRECISIONS, Settings, Trainer

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "pocket"
REPORT_SECONDS = 30.0


@dataclass(frozen=True)
class Budget:
    """How long one call may train: whichever of the two ends first."""

    updates: float = math.inf
    minutes: float = math.inf

    def allows(self, updates: int, seconds: float) -> bool:
        """Whether another update may begin after so many, and so long."""
        return updates < self.updates and seconds < 60 * self.minutes


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write a trainer's state, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.part")
    torch.save(state, unfinished)
    unfinished.replace(path)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """A trainer's state. Raises FileNotFoundError if there is no file at `path`."""
    if not path.is_file():
        raise FileNotFoundError(f"There is no checkpoint at {path}.")
    return torch.load(path, map_location="cpu", weights_only=True)


def train(
    trainer: Trainer,
    checkpoint: Path,
    budget: Budget,
    save_seconds: float = math.inf,
    report: Callable[[str], None] = print,
) -> None:
    """Update until the budget or the run ends; saves every `save_seconds` and at the end."""
    start = last_report = last_save = time.monotonic()
    losses: list[torch.Tensor] = []
    first = trainer.update
    while not trainer.finished and budget.allows(trainer.update - first, time.monotonic() - start):
        losses.append(trainer.step())
        now = time.monotonic()
        if now - last_report >= REPORT_SECONDS:
            report(_progress(trainer, losses, (now - last_report) / len(losses)))
            losses, last_report = [], now
        if now - last_save >= save_seconds:
            save_checkpoint(checkpoint, trainer.state())
            last_save = time.monotonic()
    if losses:
        report(_progress(trainer, losses, (time.monotonic() - last_report) / len(losses)))
    save_checkpoint(checkpoint, trainer.state())


def _progress(trainer: Trainer, losses: list[torch.Tensor], seconds: float) -> str:
    return (
        f"update {trainer.update} of {trainer.settings.total_updates}: loss {torch.stack(losses).mean():.4f} "
        f"(mean of {len(losses)}), {seconds:.2f} s an update"
    )


def choose_device(name: str) -> torch.device:
    """The device of that name; "auto" is an accelerator if there is one."""
    if name != "auto":
        return torch.device(name)
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    return accelerator or torch.device("cpu")


def _options(arguments: list[str]) -> argparse.Namespace:
    default = Settings()
    parser = argparse.ArgumentParser(prog="./run pocket train", description=__doc__)
    parser.add_argument("--checkpoint", type=Path, help="resumed if it exists; default .cache/pocket/GEOMETRY.pt")
    parser.add_argument("--init", type=Path, help="a pocket.safetensors whose weights a new run starts from")
    parser.add_argument("--minutes", type=float, default=math.inf, help="stop this call after so long")
    parser.add_argument("--updates", type=float, default=math.inf, help="stop this call after so many updates")
    parser.add_argument("--geometry", choices=GEOMETRIES, default=default.geometry)
    parser.add_argument("--total-updates", type=int, default=default.total_updates, help="length of the whole run")
    parser.add_argument("--batch", type=int, default=default.batch)
    parser.add_argument("--learning-rate", type=float, default=default.learning_rate)
    parser.add_argument("--seed", type=int, default=default.seed)
    parser.add_argument("--precision", choices=PRECISIONS, default=default.precision)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--save-every", type=float, default=180.0, metavar="SECONDS")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """The command line; returns the exit status."""
    options = _options(arguments)
    checkpoint = options.checkpoint or CACHE / f"{options.geometry}.pt"
    try:
        settings = Settings(
            options.geometry,
            options.total_updates,
            options.batch,
            options.learning_rate,
            options.seed,
            options.precision,
        )
        device = choose_device(options.device)
        trainer = Trainer(settings, Pictures(load_icons(CACHE), device), device)
        if checkpoint.exists():
            trainer.load_state(load_checkpoint(checkpoint))
            print(f"Resuming {checkpoint} at update {trainer.update}.", flush=True)
        elif options.init is not None:
            trainer.start_from(read_pocket_file(options.init))
    except (OSError, RuntimeError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    budget = Budget(options.updates, options.minutes)
    train(trainer, checkpoint, budget, options.save_every, lambda line: print(line, flush=True))
    return 0
