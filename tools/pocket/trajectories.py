"""What a step-distilled student learns from: its teacher's way from noise to picture, at the student's few steps.

The teacher samples with guidance and several steps for each of the student's. At each of its steps the student learns
the denoised picture with which one Euler step leads to where the teacher arrives: progressive distillation (Salimans
and Ho, 2022) in one go, with guidance distilled along (Meng et al., 2023).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import comfy.sample
import comfy.samplers
import torch
from torch import Tensor

from ...demo_model import DemoModel, load_demo_model
from .data import COLOURS, FOLD, PICTURE, Batch, Captions, caption

SCHEDULER = "karras"
TEACHER_SAMPLER = "dpmpp_2m"
TEACHER_STEPS_A_STEP = 3
CFG = 4.0
AT_ONCE = 16
SEED = 7
LATENT = (3 * FOLD**2, PICTURE // FOLD, PICTURE // FOLD)


class Trajectories:
    """Examples from `count` of the teacher's trajectories of random captions, for a student of `steps` Euler steps.

    Raises FileNotFoundError if there is no teacher.
    """

    def __init__(
        self,
        teacher: Path,
        icons: tuple[str, ...],
        steps: int,
        count: int,
        device: torch.device,
        report: Callable[[str], None] = print,
    ) -> None:
        captions = Captions(icons)
        self.icons = icons
        self.token_ids = captions.token_ids
        self.end_token = captions.end_token
        demo = load_demo_model(teacher)
        sampling = demo.model.get_model_object("model_sampling")
        self._device = device
        self._sigmas = comfy.samplers.calculate_sigmas(sampling, SCHEDULER, steps)  # (steps + 1,)
        self._timesteps = sampling.timestep(self._sigmas[:-1]).long()  # (steps,)
        generator = torch.Generator().manual_seed(SEED)
        icon = torch.randint(len(icons), (count,), generator=generator)
        colour = torch.randint(len(COLOURS), (count,), generator=generator)
        self._tokens = captions.tokens[icon, colour]
        prompts = [caption(icons[i], list(COLOURS)[c]) for i, c in zip(icon, colour, strict=True)]
        noise = torch.randn(count, *LATENT, generator=generator)
        path = []
        for start in range(0, count, AT_ONCE):
            chosen = slice(start, start + AT_ONCE)
            path.append(_walk(demo, prompts[chosen], noise[chosen], self._sigmas))
            report(f"{min(start + AT_ONCE, count)} of {count} trajectories")
        self._path = torch.cat(path, dim=1)  # (steps + 1, count, 12, 32, 32)

    def batch(self, size: int, timesteps: int, generator: torch.Generator) -> Batch:  # noqa: ARG002 (see Examples)
        """Random steps of random trajectories."""
        which = torch.randint(len(self._tokens), (size,), generator=generator)
        step = torch.randint(len(self._timesteps), (size,), generator=generator)
        before, after = self._path[step, which], self._path[step + 1, which]
        sigma, next_sigma = (self._sigmas[each].view(-1, 1, 1, 1) for each in (step, step + 1))
        slope = (before - after) / (sigma - next_sigma)
        # before = denoised + sigma * slope: the noise that a forward process would have added.
        parts = (before - sigma * slope, slope, self._tokens[which], self._timesteps[step])
        return Batch(*(part.to(self._device) for part in parts))


def _walk(demo: DemoModel, prompts: list[str], noise: Tensor, sigmas: Tensor) -> Tensor:
    """Where the teacher stands at each of the student's sigmas, (steps + 1, n, 12, 32, 32)."""
    seen: list[Tensor] = []
    contexts = [demo.clip.encode_from_tokens(demo.clip.tokenize(prompt), return_pooled=True) for prompt in prompts]
    context, pooled = (torch.cat(parts) for parts in zip(*contexts, strict=True))
    empty, empty_pooled = demo.clip.encode_from_tokens(demo.clip.tokenize(""), return_pooled=True)
    with torch.inference_mode():
        end = comfy.sample.sample(
            demo.model, noise, len(sigmas) - 1, CFG, TEACHER_SAMPLER, SCHEDULER,
            [[context, {"pooled_output": pooled}]], [[empty, {"pooled_output": empty_pooled}]],
            torch.zeros_like(noise), sigmas=subdivided(sigmas), disable_pbar=True,
            callback=lambda _step, _x0, x, _steps: seen.append(x.clone()),
        )  # fmt: skip
    # The last interval ends in zero noise and is one step for the teacher too.
    return torch.stack([*seen[::TEACHER_STEPS_A_STEP], end]).clone()


def subdivided(sigmas: Tensor, parts: int = TEACHER_STEPS_A_STEP) -> Tensor:
    """Falling sigmas (steps + 1,) with `parts` in place of each step, in equal ratios; the last, to zero, stays."""
    share = torch.arange(parts) / parts
    ratios = (sigmas[1:-1] / sigmas[:-2])[:, None] ** share  # (steps - 1, parts)
    return torch.cat([(sigmas[:-2, None] * ratios).flatten(), sigmas[-2:]])
