"""Distil a student that draws in a few Euler steps without guidance; the same command again resumes."""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path

from ...demo_model import DEFAULT, read_pocket_file
from .geometry import GEOMETRIES
from .train import CACHE, Budget, choose_device, load_checkpoint, train
from .trainer import Settings, Trainer
from .trajectories import Trajectories


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./run pocket distil", description=__doc__)
    parser.add_argument("--teacher", type=Path, default=DEFAULT)
    parser.add_argument(
        "--geometry", choices=GEOMETRIES, default="pocket", help="of the teacher, and so of the student"
    )
    parser.add_argument("--checkpoint", type=Path, default=CACHE / "distilled.pt", help="resumed if it exists")
    parser.add_argument("--steps", type=int, default=8, help="the student's Euler steps")
    parser.add_argument("--trajectories", type=int, default=320)
    parser.add_argument("--minutes", type=float, default=math.inf, help="stop this call after so long")
    parser.add_argument("--updates", type=float, default=math.inf, help="stop this call after so many updates")
    parser.add_argument("--total-updates", type=int, default=500, help="length of the whole run")
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--device", default="auto")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """The command line; returns the exit status."""
    options = _options(arguments)

    def report(line: str) -> None:
        print(line, flush=True)

    try:
        settings = Settings(options.geometry, options.total_updates, learning_rate=options.learning_rate)
        teacher = read_pocket_file(options.teacher)
        device = choose_device(options.device)
        examples = Trajectories(options.teacher, teacher.icons, options.steps, options.trajectories, device, report)
        trainer = Trainer(settings, examples, device)
        if options.checkpoint.exists():
            trainer.load_state(load_checkpoint(options.checkpoint))
            report(f"Resuming {options.checkpoint} at update {trainer.update}.")
        else:
            trainer.start_from(teacher)
    except (OSError, RuntimeError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    budget = Budget(options.updates, options.minutes)
    train(trainer, options.checkpoint, budget, save_seconds=180.0, report=report)
    return 0
