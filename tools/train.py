"""Train an adaptor for Clockwork on a model of yours, without a server: the code behind the node, headless.

    ./run train --checkpoint-file MODEL.safetensors --prompts PROMPTS.txt --output ADAPTOR.safetensors --resume NAME.pt

Stopped by Ctrl-C or by a crash, the same command goes on from the file that --resume names. With --processes N the
work is shared by N processes, one for each GPU where there are GPUs.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from in_process import load_pack, prepare_host

PROGRESS_EVERY = 10
GIGABYTE = 2**30
INTERRUPTED = 130


def span(text: str) -> tuple[int, int]:
    """A number such as "8", or a range such as "6-12": its ends; the second is 0 for a number alone."""
    match = re.fullmatch(r"(\d{1,4})(?:-(\d{1,4}))?", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number nor a range such as 6-12")
    return int(match[1]), int(match[2] or 0)


def picture_size(text: str) -> tuple[int, int]:
    """Width and height of "512" or "768x512"."""
    match = re.fullmatch(r"(\d{2,5})(?:x(\d{2,5}))?", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no size such as 512 or 768x512")
    return int(match[1]), int(match[2] or match[1])


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The command line; names and numbers are checked by the training itself."""
    parser = argparse.ArgumentParser(prog="run train", description=__doc__.partition("\n")[0])
    model = parser.add_mutually_exclusive_group(required=True)
    model.add_argument("--checkpoint-file", type=Path, help="the model, as the host's checkpoint loader reads it")
    model.add_argument("--demo", action="store_true", help="the model that comes with Clockwork")
    parser.add_argument("--prompts", type=Path, required=True, help="a text file, one prompt a line")
    parser.add_argument("--negative", default="", help="the negative prompt")
    parser.add_argument("--output", type=Path, required=True, help="the adaptor file to write (.safetensors)")
    parser.add_argument("--resume", type=Path, help="a file to keep the training in, and to go on from")
    parser.add_argument("--processes", type=int, default=1, help="how many processes share the work (default: 1)")
    run = parser.add_argument_group("the runs to train for")
    run.add_argument("--size", type=picture_size, default=(512, 512), help="of the pictures (default: 512)")
    run.add_argument("--steps", type=span, default=(20, 0), help="a number or a range such as 6-12 (default: 20)")
    run.add_argument("--clock", type=span, default=(2, 0), help="a number or a range such as 2-4 (default: 2)")
    run.add_argument("--sampler", default="dpmpp_2m", help="default: %(default)s")
    run.add_argument("--scheduler", default="karras", help="default: %(default)s")
    run.add_argument("--cfg", type=float, default=7.0, help="default: %(default)s")
    run.add_argument("--cut", default="stage 1", help="as in the Clockwork node (default: %(default)s)")
    run.add_argument("--kept-blocks", type=int, default=3, help="with --cut custom (default: %(default)s)")
    how = parser.add_argument_group("the training")
    how.add_argument("--architecture", default="refined", help="default: %(default)s")
    how.add_argument("--loss", default="guided output", help="default: %(default)s")
    how.add_argument("--iterations", type=int, default=2000, help="updates (default: %(default)s)")
    how.add_argument("--batch", type=int, default=16, help="default: %(default)s")
    how.add_argument("--learning-rate", type=float, default=1e-3, help="default: %(default)s")
    how.add_argument("--trajectories", type=int, default=256, help="pictures to draw in all (default: %(default)s)")
    how.add_argument("--teacher-batch", type=int, default=8, help="pictures drawn together (default: %(default)s)")
    how.add_argument("--on-policy", action="store_true", help="the adaptor draws what it learns from")
    how.add_argument("--memory-limit", type=float, default=4.0, help="GB of main memory for it (default: %(default)s)")
    how.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    return parser.parse_args(arguments)


def load_model(options: argparse.Namespace, pack: ModuleType) -> tuple[Any, Any]:
    """MODEL and CLIP."""
    if options.demo:
        return pack.demo_model.load_demo_model()[:2]
    if not options.checkpoint_file.is_file():
        raise FileNotFoundError(f"There is no checkpoint {options.checkpoint_file}.")
    import comfy.sd
    import folder_paths

    return comfy.sd.load_checkpoint_guess_config(
        str(options.checkpoint_file),
        output_vae=False,
        embedding_directory=folder_paths.get_folder_paths("embeddings"),
    )[:2]


def encode_all(clip: Any, path: Path, negative: str) -> tuple[list[Any], Any]:
    """The prompts of a file, and the negative one."""
    from clockwork_pack.adaptors.training.prompts import Conditioning

    def encode(text: str) -> list[Any]:
        return Conditioning.all_of(clip.encode_from_tokens_scheduled(clip.tokenize(text)), "the prompt")

    lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    return [prompt for line in lines if line for prompt in encode(line)], encode(negative)[0]


def plan_of(options: argparse.Namespace, model: Any, clip: Any) -> Any:
    """What the options ask for. Raises ValueError or OSError with a sentence."""
    from clockwork_pack.adaptors.training.plan import TrainingPlan, describe_for
    from clockwork_pack.adaptors.training.point import OperatingPoint, points_between
    from clockwork_pack.adaptors.training.settings import TrainingSettings
    from clockwork_pack.clockwork_core.cut import choose_kept_blocks, geometry_of

    (steps, most_steps), (clock, most_clock) = options.steps, options.clock
    first = OperatingPoint(steps, options.sampler, options.scheduler, options.cfg, clock)
    points = points_between(first, most_steps, most_clock)
    settings = TrainingSettings(
        options.iterations,
        options.batch,
        options.learning_rate,
        options.loss,
        trajectories=options.trajectories,
        teacher_batch=options.teacher_batch,
        on_policy=options.on_policy,
        seed=options.seed,
    )
    kept_blocks = choose_kept_blocks(geometry_of(model), options.cut, options.kept_blocks)
    prompts, negative = encode_all(clip, options.prompts, options.negative)
    width, height = options.size
    latent_format = model.get_model_object("latent_format")
    latent = torch.zeros(1, latent_format.latent_channels, height // 8, width // 8)
    memory = int(options.memory_limit * GIGABYTE)
    description = describe_for(model, kept_blocks, options.architecture, points)
    return TrainingPlan(model, description, prompts, negative, latent, points, settings, memory, options.resume)


def stop_when_asked() -> None:
    """Ctrl-C, and the end that torchrun asks for, stop between two operations, so that the training can be kept."""
    import comfy.model_management

    def ask(*_signal: object) -> None:
        comfy.model_management.interrupt_current_processing()

    signal.signal(signal.SIGINT, ask)
    signal.signal(signal.SIGTERM, ask)


def reporter(iterations: int) -> Callable[[Any], None]:
    """Prints a line now and then."""

    def report(progress: Any) -> None:
        if progress.iteration % PROGRESS_EVERY == 0 or progress.iteration == iterations:
            say(progress.text())

    return report


def say(line: str) -> None:
    """Print a progress line at once."""
    print(f"[train] {line}", flush=True)


def run(options: argparse.Namespace, pack: ModuleType) -> int:
    """Train; returns the exit status."""
    from clockwork_pack.adaptors.files import save_adaptor
    from clockwork_pack.adaptors.training.session import train
    from clockwork_pack.adaptors.training.shares import share_of_torchrun

    stop_when_asked()
    plan = plan_of(options, *load_model(options, pack))
    with share_of_torchrun() as share:
        if share.count > 1:
            say(f"process {share.rank + 1} of {share.count} has the id {os.getpid()}")
        trained = train(plan, reporter(options.iterations), share, say)
        if share.writes:
            options.output.parent.mkdir(parents=True, exist_ok=True)
            save_adaptor(trained.adaptor, options.output)
            for line in [*trained.lines(options.loss), f"Saved as {options.output}."]:
                say(line)
    return 0


def choose_device() -> None:
    """Of several processes each gets a GPU of its own, before the host looks for one."""
    local_rank = int(os.environ.get("LOCAL_RANK", "0"))
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    if os.environ.get("WORLD_SIZE", "1") != "1":
        os.environ["CUDA_VISIBLE_DEVICES"] = visible[local_rank % len(visible)] or str(local_rank)


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status."""
    options = parse(arguments)
    choose_device()
    prepare_host(cpu=not torch.accelerator.is_available())
    pack = load_pack()
    import comfy.model_management

    go_on = f"The same command goes on from {options.resume}." if options.resume else "Nothing was kept: use --resume."
    try:
        return run(options, pack)
    except comfy.model_management.InterruptProcessingException:
        print(f"Stopped. {go_on}", file=sys.stderr)
        return INTERRUPTED
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
    except RuntimeError as error:
        print(f"error: the training broke off: {error} {go_on}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
