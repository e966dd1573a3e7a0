"""A whole run as data: what hypothesis draws, how it becomes a sampler call, and the strategies to draw it from."""

from __future__ import annotations

import copy
import functools
from dataclasses import dataclass

import comfy.model_patcher
import comfy.samplers
import torch
import toys
from hypothesis import strategies as st

from clockwork_pack.clockwork_core.schedule import DenseEarly, EveryN, ExplicitList, FullSteps

CPU = torch.device("cpu")
# Left out: dpm_adaptive, which evaluates as often as its error tells it, hundreds of times on random weights.
SAMPLERS = sorted(set(comfy.samplers.SAMPLER_NAMES) - {"dpm_adaptive"})
# The host's kl_optimal divides by zero where there is one step, and the SDE samplers then fail on NaN.
ONE_STEP_SCHEDULERS = sorted(set(comfy.samplers.SCHEDULER_NAMES) - {"kl_optimal"})
# Drawn by the hundred: the structure of three families with one block in each of three levels, 6 output blocks.
_SHALLOW = {"num_res_blocks": [1, 1, 1], "channel_mult": [1, 2, 2], "transformer_depth": [1, 1, 0]}
_SHALLOW_OUTPUT = {"transformer_depth_output": [1, 1, 1, 1, 0, 0]}
_SHALLOW_XL = {"transformer_depth": [0, 1, 2], "transformer_depth_output": [0, 0, 1, 1, 2, 2]}
SHALLOW_FAMILIES = {
    "shallow sd15": ("sd15", {**_SHALLOW, **_SHALLOW_OUTPUT}),
    "shallow inpaint": ("sd15 inpaint", {**_SHALLOW, **_SHALLOW_OUTPUT}),
    "shallow sdxl": ("sdxl", {**_SHALLOW, **_SHALLOW_XL, "transformer_depth_middle": 2}),
    "shallow koala": ("koala 700m", {**_SHALLOW, **_SHALLOW_XL}),
}
SHALLOW_BLOCKS = 6
# What the weights are kept in, and what the host casts them to when it computes.
DTYPES = {
    "float32": (torch.float32, None),
    "bfloat16": (torch.bfloat16, None),
    "float16": (torch.float16, None),
    "float16 cast to float32": (torch.float16, torch.float32),
}
LENGTHS = (7, 8, 77, 154)


@dataclass(frozen=True)
class Prompt:
    """One conditioning. area: (height, width, y, x) as shares of the picture. mask: a seed, or None."""

    tokens: int = 8
    area: tuple[float, float, float, float] | None = None
    mask: int | None = None
    strength: float = 1.0
    start: float = 0.0
    end: float = 1.0


@dataclass(frozen=True)
class Case:
    """rule: kind of schedule and its value, see scheduled_reference. window: start and end as shares of the run."""

    sampler: str = "euler"
    scheduler: str = "normal"
    steps: int = 4
    denoise: float = 1.0
    cfg: float = 3.0
    rule: tuple = ("clock", (2, 0))
    window: tuple[float, float] = (0.0, 1.0)
    family: str = "shallow sd15"
    kept: int = 3
    dtype: str = "float32"
    batch: int = 1
    size: tuple[int, int] = (8, 8)
    positive: tuple[Prompt, ...] = (Prompt(),)
    negative: tuple[Prompt, ...] = (Prompt(),)
    seed: int = 0


SCHEDULES = {
    "clock": lambda value: EveryN(*value),
    "list": ExplicitList,
    "full steps": FullSteps,
    "dense early": DenseEarly,
}


def schedule_of(case: Case):
    kind, value = case.rule
    return SCHEDULES[kind](value)


@functools.cache
def model_of(family: str, dtype: str):
    """The family's toy with weights of a dtype; made once."""
    kept_in, cast_to = DTYPES[dtype]
    name, changes = SHALLOW_FAMILIES.get(family, (family, {}))
    source = toys.FAMILIES[name]
    config = source.model_config({**copy.deepcopy(source.unet_config), **copy.deepcopy(changes)})
    config.unet_config.update(toys.HEADS)
    config.set_inference_dtype(kept_in, cast_to)
    base_model = config.get_model({}, device=CPU)
    toys.randomize(base_model.diffusion_model, seed=0)
    return comfy.model_patcher.ModelPatcher(base_model, CPU, CPU)


def run(case: Case, model) -> torch.Tensor:
    """The latent that the host's sampler makes of a case with a MODEL."""
    generator = torch.Generator().manual_seed(case.seed)
    return toys.sample(
        model,
        steps=case.steps,
        denoise=case.denoise,
        cfg=case.cfg,
        sampler=case.sampler,
        scheduler=case.scheduler,
        seed=case.seed,
        positive=_conditioning(case, case.positive, seed=100),
        negative=_conditioning(case, case.negative, seed=200),
        latent=torch.randn(case.batch, 4, *case.size, generator=generator),
    )


def _conditioning(case: Case, prompts: tuple[Prompt, ...], seed: int) -> list:
    conditioning = []
    for index, prompt in enumerate(prompts):
        options = {"strength": prompt.strength, "start_percent": prompt.start, "end_percent": prompt.end}
        if prompt.area is not None:
            options["area"] = ("percentage", *prompt.area)
        if prompt.mask is not None:
            generator = torch.Generator().manual_seed(prompt.mask)
            options["mask"] = torch.rand(1, *case.size, generator=generator)
        conditioning += toys.conditioning(seed + index, tokens=prompt.tokens, **options)
    return conditioning


shares = st.sampled_from((0.0, 0.1, 0.25, 0.3, 0.5, 0.6, 0.75, 0.9, 1.0))


@st.composite
def _areas(draw):
    """No smaller than half of each side: the toys' narrow blocks cannot normalise a single pixel."""
    height, width = draw(st.sampled_from((0.5, 0.7))), draw(st.sampled_from((0.5, 1.0)))
    return height, width, draw(st.sampled_from((0.0, 0.3))), draw(st.sampled_from((0.0, 0.5))) if width < 1 else 0.0


@st.composite
def _ranges(draw):
    start, end = sorted((draw(shares), draw(shares)))
    return {"start": start, "end": end}


@st.composite
def _prompts(draw):
    timing = draw(st.one_of(st.just({}), _ranges()))
    return Prompt(
        tokens=draw(st.sampled_from(LENGTHS)),
        area=draw(st.one_of(st.none(), _areas())),
        mask=draw(st.one_of(st.none(), st.integers(0, 9))),
        strength=draw(st.sampled_from((1.0, 0.5))),
        **timing,
    )


_prompt_lists = st.lists(_prompts(), min_size=1, max_size=2).map(tuple)


@st.composite
def _clocks(draw):
    clock = draw(st.sampled_from((2, 2, 3, 3, 4, 5, 1)))
    return "clock", (clock, draw(st.integers(0, clock - 1)))


_rules = st.one_of(
    _clocks(),
    st.text("01", max_size=9).map(lambda rest: ("list", "1" + rest)),
    st.frozensets(st.integers(1, 9), max_size=4).map(lambda steps: ("full steps", steps | {0})),
    st.integers(1, 9).map(lambda passes: ("dense early", passes)),
)


@st.composite
def cases(draw):
    """Whole runs. Most conditionings are plain, most dtypes float32: those are the likely ones."""
    steps = draw(st.sampled_from((4, 3, 5, 6, 2, 1)))
    sides = st.one_of(st.just((Prompt(),)), _prompt_lists)
    return Case(
        sampler=draw(st.sampled_from(SAMPLERS)),
        scheduler=draw(st.sampled_from(comfy.samplers.SCHEDULER_NAMES if steps > 1 else ONE_STEP_SCHEDULERS)),
        steps=steps,
        denoise=draw(st.sampled_from((1.0, 1.0, 0.7, 0.35))),
        cfg=draw(st.sampled_from((3.0, 3.0, 1.0))),
        rule=draw(_rules),
        window=tuple(sorted((draw(shares), draw(shares)))) if draw(st.integers(0, 3)) == 3 else (0.0, 1.0),
        family=draw(st.sampled_from(sorted(SHALLOW_FAMILIES))),
        kept=draw(st.integers(1, SHALLOW_BLOCKS - 1)),
        dtype=draw(st.sampled_from(("float32", "float32", *DTYPES))),
        batch=draw(st.sampled_from((1, 1, 1, 2, 3))),
        size=(draw(st.integers(6, 17)), draw(st.integers(6, 10))),
        positive=draw(sides),
        negative=draw(sides),
        seed=draw(st.integers(0, 99)),
    )
