"""What it saves, and costs, to let a ControlNet rest on adaptor evaluations.

On SD 1.5's true geometry, with random weights: FLOPs and seconds of a run with the ControlNet on each evaluation and
with its residuals reused. On the demo model: the error against the run without Clockwork. No ControlNet was trained
for that model: the one used is what the training of a ControlNet starts from, a copy of the UNet's own encoder, with
its "zero convolutions" set to a share of the identity, so that its residuals follow the latent and the prompt as a
trained one's do. Writes benchmarks/results/controlnet.json.

    ./run bench controlnet [pocket] [sd15]
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
# Python put this folder here; the tools are what a benchmark needs.
sys.path[0] = str(ROOT / "tools")

from in_process import load_pack, prepare_host  # noqa: E402
from make_checkpoint import make_checkpoint, random_weight  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "controlnet.json"
CHECKPOINT = ROOT / ".cache" / "checkpoints" / "clockwork_sd15_random.safetensors"
PROMPTS = (
    "red apple on a blue background",
    "tiger on a yellow background",
    "strawberry",
    "ghost on a black background",
)
SHARE = 0.15
POCKET_STEPS = (8, 20)
CLOCKS = (2, 3)
SD15_STEPS = 6


def network_of(unet_config: dict[str, Any], device: str = "cpu"):
    """A ControlNet of the host's class with the geometry of a UNet, without weights."""
    import torch
    from comfy.cldm.cldm import ControlNet

    config = {key: value for key, value in unet_config.items() if key not in ("dtype", "device", "out_channels")}
    config["transformer_depth"] = list(config["transformer_depth"])
    return ControlNet(**config, hint_channels=3, dtype=torch.float32, device=device)


def conditioned(control, positive, negative, pixels: int):
    """Both sides with the ControlNet on them, as the host's node puts it there; the hint is a chequered picture."""
    import torch

    from nodes import ControlNetApplyAdvanced

    line = torch.arange(pixels) // (pixels // 8) % 2
    hint = (line[:, None] ^ line).float()[None, :, :, None].expand(1, pixels, pixels, 3)
    return ControlNetApplyAdvanced().apply_controlnet(positive, negative, control, hint, 1.0, 0.0, 1.0)


def with_clockwork(model, clock: int, reuse: bool):
    from clockwork_pack.nodes.apply import ClockworkApply

    return ClockworkApply.execute(model, clock, "stage 1", 3, 0.0, 1.0, reuse_control=reuse).result[0]


def sample(model, latent, steps: int, cfg: float, positive, negative):
    import comfy.sample
    import torch

    noise = comfy.sample.prepare_noise(latent, 7)
    with torch.inference_mode():
        return comfy.sample.sample(
            model, noise, steps, cfg, "dpmpp_2m", "karras", positive, negative, latent, seed=7, disable_pbar=True
        )


def random_network(unet_config: dict[str, Any]):
    """A ControlNet of a UNet's geometry with random weights."""
    import torch

    network = network_of(unet_config).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.copy_(random_weight(name, parameter.shape, generator))
    return network


def encoder_copy(model):
    """The ControlNet that a training would start from, its zero convolutions opened by SHARE."""
    import comfy.controlnet
    import torch

    network = random_network(model.model.model_config.unet_config)
    with torch.no_grad():
        network.load_state_dict(model.model.diffusion_model.state_dict(), strict=False)
        for convolution in [*network.zero_convs, network.middle_block_out]:
            torch.nn.init.dirac_(convolution[0].weight).mul_(SHARE)
            convolution[0].bias.zero_()
    return comfy.controlnet.ControlNet(network, load_device=model.load_device)


def measure_pocket() -> list[dict[str, Any]]:
    """PSNR in dB against the run with the same ControlNet and without Clockwork, mean over the prompts."""
    import torch

    from clockwork_pack.clockwork_core.metrics import psnr
    from clockwork_pack.demo_model import load_demo_model

    model, clip, vae = load_demo_model()
    control = encoder_copy(model)
    empty = clip.encode_from_tokens_scheduled(clip.tokenize(""))
    sides = [
        conditioned(control, clip.encode_from_tokens_scheduled(clip.tokenize(prompt)), empty, 256) for prompt in PROMPTS
    ]

    def draw(used, steps: int):
        latents = [sample(used, torch.zeros(4, 12, 32, 32), steps, 4.0, *side) for side in sides]
        return vae.decode(torch.cat(latents))

    rows = []
    for steps in POCKET_STEPS:
        plain = draw(model, steps)
        for clock in CLOCKS:
            each, reused = (draw(with_clockwork(model, clock, reuse), steps) for reuse in (False, True))
            rows.append(
                {
                    "steps": steps,
                    "clock": clock,
                    "psnr_control_each_evaluation": psnr(each, plain).mean().item(),
                    "psnr_control_reused": psnr(reused, plain).mean().item(),
                    "psnr_between_the_two": psnr(reused, each).mean().item(),
                    "pictures": len(plain),
                }
            )
    return rows


def control_flops(unet_config: dict[str, Any], latent: tuple[int, ...], context: tuple[int, ...]) -> int:
    """FLOPs of one call of the ControlNet's network, attention products included."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    network = network_of(unet_config, device="meta")
    batch, _, height, width = latent

    def empty(*size: int):
        return torch.empty(size, device="meta")

    with FlopCounterMode(display=False) as counter:
        network(
            x=empty(*latent),
            hint=empty(batch, 3, 8 * height, 8 * width),
            timesteps=empty(batch),
            context=empty(*context),
        )
    return counter.get_total_flops()


def load_sd15():
    """The random checkpoint: its MODEL, and positive and negative conditionings."""
    import comfy.sd

    make_checkpoint("sd15", CHECKPOINT)
    model, clip, *_ = comfy.sd.load_checkpoint_guess_config(str(CHECKPOINT), output_vae=False)
    return model, *(clip.encode_from_tokens_scheduled(clip.tokenize(text)) for text in ("a photo of a clock", ""))


def random_controlnet(model):
    """A ControlNet of the UNet's geometry with random weights."""
    import comfy.controlnet

    network = random_network(model.model.model_config.unet_config)
    return comfy.controlnet.ControlNet(network, load_device=model.load_device)


def measure_sd15() -> dict[str, Any]:
    """One run each without ControlNet, with it on each evaluation, and reused: medians of seconds per evaluation."""
    model, positive, negative = load_sd15()
    sides = conditioned(random_controlnet(model), positive, negative, 512)
    flops = control_flops(model.model.model_config.unet_config, (2, 4, 64, 64), (2, 77, 768))
    rows = {
        "without ControlNet": run_sd15(model, False, (positive, negative), 0),
        "ControlNet on each evaluation": run_sd15(model, False, sides, SD15_STEPS * flops),
        "ControlNet reused": run_sd15(model, True, sides, SD15_STEPS * flops),
    }
    return {"steps": SD15_STEPS, "clock": 2, "controlnet_tflops_a_call": flops / 1e12, "runs": rows}


def run_sd15(model, reuse: bool, sides, control_flops_all: int) -> dict[str, Any]:
    """Figures of a run at 512 x 512. control_flops_all: what the ControlNet costs if it runs on each evaluation."""
    import torch

    from clockwork_pack.clockwork_core.runtime import reports_of
    from clockwork_pack.clockwork_core.schedule import Kind

    patched = with_clockwork(model, 2, reuse)
    sample(patched, torch.zeros(1, 4, 64, 64), SD15_STEPS, 7.0, *sides)
    report = reports_of(patched).latest
    unet_spent, unet_full = report.flops()
    control_spent = control_flops_all * (report.control_calls[Kind.FULL] / SD15_STEPS if reuse else 1)
    return {
        "median_seconds_full": report.median_seconds(Kind.FULL),
        "median_seconds_adaptor": report.median_seconds(Kind.ADAPTOR),
        "run_seconds": report.seconds,
        "flops_saved_percent": 100 * (1 - (unet_spent + control_spent) / (unet_full + control_flops_all)),
        "control_peak_mb": report.control_peak_bytes / 1e6,
    }


MEASURES = {"pocket": measure_pocket, "sd15": measure_sd15}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("parts", nargs="*", metavar="|".join(MEASURES), help="default: all")
    options = parser.parse_args()
    unknown = set(options.parts) - set(MEASURES)
    if unknown:
        parser.error(f"{unknown.pop()!r} is not one of {', '.join(MEASURES)}")
    import torch

    prepare_host(cpu=not torch.accelerator.is_available())
    load_pack()
    results = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    for part in options.parts or MEASURES:
        results[part] = MEASURES[part]()
        RESULTS.parent.mkdir(parents=True, exist_ok=True)
        RESULTS.write_text(json.dumps(results, indent=2) + "\n")
        print(json.dumps(results[part], indent=2))


if __name__ == "__main__":
    main()
