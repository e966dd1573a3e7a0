"""Trains an adaptor on the user's own model, from prompts alone."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import comfy.utils
import folder_paths
from comfy_api.latest import io

from ..adaptors import TRAINABLE
from ..adaptors.training.losses import DEFAULT_LOSS, LOSSES
from ..adaptors.training.plan import TrainingPlan, describe_for
from ..adaptors.training.point import MOST_STEPS, OperatingPoint, points_between
from ..adaptors.training.session import Progress, train
from ..adaptors.training.settings import LARGEST_SEED, TrainingSettings
from ..clockwork_core.checks import require_text, shown
from ..clockwork_core.cut import choose_kept_blocks, geometry_of
from ..clockwork_core.schedule import MAX_CLOCK
from . import teacher_inputs
from .adaptor_files import FOLDER
from .contained import path_inside
from .loss_plot import loss_plot
from .prompts import fingerprint_of, read_negative, read_prompts
from .teacher_inputs import MOST_GIGABYTES, empty_latent, memory_bytes, text_of
from .types import CATEGORY, Adaptor

LossMap = io.Custom("LOSS_MAP")
CHECKPOINTS = "checkpoints"
LONGEST_NAME = 100
TEXT_EVERY = 10


class ClockworkTrainAdaptor(io.ComfyNode):
    """Distil an adaptor from the model that it will stand in for."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ClockworkTrainAdaptor",
            display_name="Train Clockwork Adaptor",
            category=CATEGORY,
            description="Trains what stands in for the skipped part of the UNet, on your own model, from prompts "
            "alone: the model draws pictures, and the adaptor learns what its skipped part did. Train it for the "
            "sampler settings that you use. Takes minutes to hours; connect Save Clockwork Adaptor behind it.",
            inputs=[*teacher_inputs.what(), *teacher_inputs.run(), *_how(), *teacher_inputs.prompts(), *_optional()],
            outputs=[
                Adaptor.Output(display_name="adaptor"),
                io.Image.Output(display_name="loss_plot"),
                LossMap.Output(display_name="loss_map"),
                io.String.Output(display_name="text"),
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def fingerprint_inputs(cls, prompts_file="", **_others) -> str:
        return fingerprint_of(prompts_file)

    @classmethod
    def execute(
        cls, model, prompts, latent, steps, sampler_name, scheduler, cfg, clock, cut, kept_blocks, architecture, loss,
        iterations, batch_size, learning_rate, trajectories, on_policy, memory_limit, seed,
        clip=None, positive=None, negative=None, prompts_file="", checkpoint="", most_steps=0, most_clock=0,
    ) -> io.NodeOutput:  # fmt: skip
        kept_blocks = choose_kept_blocks(geometry_of(model), cut, kept_blocks)
        points = points_between(OperatingPoint(steps, sampler_name, scheduler, cfg, clock), most_steps, most_clock)
        settings = TrainingSettings(
            iterations, batch_size, learning_rate, loss, trajectories=trajectories, on_policy=on_policy, seed=seed
        )
        description = describe_for(model, kept_blocks, architecture, points)
        size, memory, path = empty_latent(latent), memory_bytes(memory_limit), checkpoint_path(checkpoint)
        encoded, without = read_prompts(clip, prompts, prompts_file, positive), read_negative(clip, negative)
        plan = TrainingPlan(model, description, encoded, without, size, points, settings, memory, path)
        node_id = getattr(cls.hidden, "unique_id", None)
        trained = train(plan, reporter(iterations, node_id), say=lambda line: tell(line, node_id))
        text = text_of(trained.lines(loss), model)
        checks = [(checked.iteration, checked.errors[loss]) for checked in trained.checks]
        plot = loss_plot(trained.losses, checks)
        return io.NodeOutput(trained.adaptor, plot, {"loss": trained.losses}, text, ui={"text": [text]})


def _how() -> list[Any]:
    return [
        io.Combo.Input(
            "architecture",
            options=list(TRAINABLE),
            default=TRAINABLE[0],
            tooltip="refined: fits maps first, as Fit Clockwork Adaptor does, and trains a small network on top. "
            "trend: a larger network alone; for ranges of steps. resnet: the paper's default. unet: ten times its "
            "size. unet-light: the smallest and fastest.",
        ),
        io.Combo.Input(
            "loss",
            options=list(LOSSES),
            default=DEFAULT_LOSS,
            tooltip="What to make small: the error of the guided output (best in pictures; without "
            "guidance the same as output), of the UNet's output, or of the features that are stood in for (the "
            "paper's; fastest).",
        ),
        io.Int.Input("iterations", default=2000, min=1, max=1_000_000, tooltip="Updates of the adaptor."),
        io.Int.Input(
            "batch_size",
            default=16,
            min=1,
            max=1024,
            tooltip="Examples in each update. What does not fit into the graphics memory is done in parts.",
        ),
        io.Float.Input(
            "learning_rate",
            default=1e-3,
            min=1e-7,
            max=1.0,
            step=1e-5,
            round=False,
            tooltip="Size of the updates; it falls to zero. Smaller if the loss jumps.",
        ),
        io.Int.Input(
            "trajectories",
            default=256,
            min=1,
            max=100_000,
            tooltip="Pictures that the model draws to learn from, all in the first half of the training. This is where "
            "most of the time goes with a large model: each costs as much as one of yours.",
        ),
        io.Boolean.Input(
            "on_policy",
            default=False,
            tooltip="The adaptor takes part in drawing what it learns from, so that it learns from its own mistakes. "
            "Slightly slower.",
        ),
        io.Float.Input(
            "memory_limit",
            default=4.0,
            min=0.0,
            max=MOST_GIGABYTES,
            step=0.5,
            tooltip="Main memory, in GB, for what the pictures leave; what is more goes to the disk, in ComfyUI's "
            "temp folder. SDXL at 1024 × 1024 leaves some 10 MB for each evaluation without a full pass.",
        ),
        io.Int.Input("seed", default=0, min=0, max=LARGEST_SEED, tooltip="The same seed gives the same adaptor."),
    ]


def _optional() -> list[Any]:
    return [
        io.String.Input(
            "checkpoint",
            default="",
            optional=True,
            tooltip="A name under which the training is kept in models/clockwork/checkpoints, also when you cancel it; "
            "the same name and settings go on from there. Empty: nothing is kept.",
        ),
        io.Int.Input(
            "most_steps",
            default=0,
            min=0,
            max=MOST_STEPS,
            optional=True,
            tooltip="Train for all numbers of steps from steps to this one; 0 = for steps alone.",
        ),
        io.Int.Input(
            "most_clock",
            default=0,
            min=0,
            max=MAX_CLOCK,
            optional=True,
            tooltip="Train for all clocks from clock to this one; 0 = for clock alone.",
        ),
    ]


def checkpoint_path(name: str) -> Path | None:
    """The checkpoint of that name; None for no name. Raises ValueError if the name leads elsewhere."""
    require_text("checkpoint", name)
    if not name.strip():
        return None
    root = Path(folder_paths.get_folder_paths(FOLDER)[0]).absolute() / CHECKPOINTS
    path = path_inside(root, f"{name.strip()}.pt")
    if len(name) > LONGEST_NAME or path is None:
        raise ValueError(
            f"checkpoint is {shown(name)}, but must be a name inside {root} of at most {LONGEST_NAME} characters."
        )
    return path


def reporter(iterations: int, node_id: str | None) -> Callable[[Progress], None]:
    """Moves the host's progress bar, which raises when the user cancels, and writes on the node."""
    bar = comfy.utils.ProgressBar(iterations, node_id)

    def report(progress: Progress) -> None:
        bar.update_absolute(progress.iteration)
        if progress.iteration % TEXT_EVERY == 0:
            tell(progress.text(), node_id)

    return report


def tell(text: str, node_id: str | None) -> None:
    """Write on the node, where there is one and a server runs."""
    # Not imported: a process without a server is none, and importing its module would begin to make it one.
    server = getattr(getattr(sys.modules.get("server"), "PromptServer", None), "instance", None)
    if server is not None and node_id is not None:
        server.send_progress_text(text, node_id)
