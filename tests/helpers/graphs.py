"""API-format graphs around the demo model, as a client posts them to /prompt."""

from __future__ import annotations

from typing import Any

Graph = dict[str, dict[str, Any]]

APPLY = {"clock": 2, "cut": "stage 1", "kept_blocks": 3, "start_percent": 0.0, "end_percent": 1.0}


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}


def base(apply: dict[str, Any] | None = None, batch: int = 1) -> Graph:
    """Loader, prompts, empty latent, and the Clockwork node as "clockwork" (left out with apply=None)."""
    graph = {
        "loader": node("ClockworkLoadDemoModel"),
        "positive": node("CLIPTextEncode", clip=["loader", 1], text="rocket"),
        "negative": node("CLIPTextEncode", clip=["loader", 1], text=""),
        "latent": node("EmptyLatentImage", width=256, height=256, batch_size=batch),
    }
    if apply is not None:
        graph["clockwork"] = node("ClockworkApply", model=["loader", 0], **{**APPLY, **apply})
    return graph


def finish(graph: Graph, sampler_output: int = 0) -> Graph:
    """Add report, decoding and saving behind the node "sampler"."""
    latent = ["sampler", sampler_output]
    if "clockwork" in graph:
        graph["report"] = node("ClockworkReport", model=["clockwork", 0], latent=latent)
        latent = ["report", 0]
    graph["decode"] = node("VAEDecode", samples=latent, vae=["loader", 2])
    graph["save"] = node("SaveImage", images=["decode", 0], filename_prefix="test")
    return graph


def model_of(graph: Graph) -> list:
    return ["clockwork", 0] if "clockwork" in graph else ["loader", 0]


def ksampler(graph: Graph, **changes: Any) -> Graph:
    settings = {
        "seed": 5,
        "steps": 6,
        "cfg": 4.0,
        "sampler_name": "dpmpp_2m",
        "scheduler": "karras",
        "denoise": 1.0,
    }
    graph["sampler"] = node(
        "KSampler",
        model=model_of(graph),
        positive=["positive", 0],
        negative=["negative", 0],
        latent_image=["latent", 0],
        **{**settings, **changes},
    )
    return finish(graph)


def ksampler_advanced(graph: Graph) -> Graph:
    graph["sampler"] = node(
        "KSamplerAdvanced",
        model=model_of(graph),
        positive=["positive", 0],
        negative=["negative", 0],
        latent_image=["latent", 0],
        add_noise="enable",
        noise_seed=5,
        steps=10,
        cfg=4.0,
        sampler_name="euler",
        scheduler="normal",
        start_at_step=0,
        end_at_step=6,
        return_with_leftover_noise="disable",
    )
    return finish(graph)


def sampler_custom(graph: Graph) -> Graph:
    _sampler_and_sigmas(graph)
    graph["sampler"] = node(
        "SamplerCustom",
        model=model_of(graph),
        add_noise=True,
        noise_seed=5,
        cfg=4.0,
        positive=["positive", 0],
        negative=["negative", 0],
        sampler=["select", 0],
        sigmas=["sigmas", 0],
        latent_image=["latent", 0],
    )
    return finish(graph)


def sampler_custom_advanced(graph: Graph, guider: str) -> Graph:
    _sampler_and_sigmas(graph)
    positive, negative = ["positive", 0], ["negative", 0]
    guiders = {
        "CFGGuider": {"positive": positive, "negative": negative, "cfg": 4.0},
        "BasicGuider": {"conditioning": positive},
        "DualCFGGuider": {
            "cond1": positive,
            "cond2": positive,
            "negative": negative,
            "cfg_conds": 4.0,
            "cfg_cond2_negative": 2.0,
            "style": "regular",
        },
    }
    graph["guider"] = node(guider, model=model_of(graph), **guiders[guider])
    graph["noise"] = node("RandomNoise", noise_seed=5)
    graph["sampler"] = node(
        "SamplerCustomAdvanced",
        noise=["noise", 0],
        guider=["guider", 0],
        sampler=["select", 0],
        sigmas=["sigmas", 0],
        latent_image=["latent", 0],
    )
    return finish(graph)


def _sampler_and_sigmas(graph: Graph) -> None:
    graph["select"] = node("KSamplerSelect", sampler_name="euler")
    graph["sigmas"] = node("BasicScheduler", model=model_of(graph), scheduler="karras", steps=6, denoise=1.0)


SAMPLER_NODES = {
    "KSampler": ksampler,
    "KSamplerAdvanced": ksampler_advanced,
    "SamplerCustom": sampler_custom,
    "SamplerCustomAdvanced with CFGGuider": lambda graph: sampler_custom_advanced(graph, "CFGGuider"),
    "SamplerCustomAdvanced with BasicGuider": lambda graph: sampler_custom_advanced(graph, "BasicGuider"),
    "SamplerCustomAdvanced with DualCFGGuider": lambda graph: sampler_custom_advanced(graph, "DualCFGGuider"),
}
