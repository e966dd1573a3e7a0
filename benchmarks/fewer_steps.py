"""Clockwork against its peer that costs nothing: taking fewer steps. On the pocket model, at equal compute.

For each variant: full-pass equivalents (the compute of a run in full UNet passes), and mean PSNR in dB against the
uncached picture of the same step count ("same") and against a converged one of 120 steps ("converged"), all from the
same seeds. Writes benchmarks/results/fewer_steps.json.

    ./run bench fewer_steps
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# Python put this folder here; the tools are what a benchmark needs.
sys.path[0] = str(ROOT / "tools")

from in_process import load_pack, prepare_host  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "fewer_steps.json"
PROMPTS = (
    "airplane", "red heart on a blue background", "pizza on a yellow background", "rocket",
    "broccoli on a red background", "tiger", "bus on a pink background", "crab", "penguin on a blue background",
    "hamburger", "key on a purple background", "mushroom", "guitar on a green background", "banana", "frog",
    "unicorn on an orange background",
)  # fmt: skip
SEEDS = (7, 8)
CFG = 4.0
CONVERGED_STEPS = 120
# Steps of the uncached run, clocks to try, and the step counts of the peer.
TABLES = {8: ((2, 3), (4, 5, 6)), 20: ((2, 3, 4), (9, 10, 11, 12, 13))}


class PocketSampler:
    """Draws the same pictures, one for each prompt and seed, with whatever model and step count it is given."""

    def __init__(self, prompts: tuple[str, ...] = PROMPTS, seeds: tuple[int, ...] = SEEDS) -> None:
        from clockwork_pack.demo_model import load_demo_model

        self.prompts, self.seeds = prompts, seeds
        self.model, self._clip, self._vae = load_demo_model()
        self._empty = self._encode("")

    def _encode(self, text: str):
        return self._clip.encode_from_tokens_scheduled(self._clip.tokenize(text))

    def draw(self, model, steps: int):
        """Pictures (prompts * seeds, 64, 64, 3) in 0 .. 1, one for each true pixel of the model."""
        import comfy.sample
        import torch

        pictures = []
        for prompt in self.prompts:
            empty = torch.zeros(len(self.seeds), 12, 32, 32)
            noise = torch.cat([comfy.sample.prepare_noise(empty[:1], seed) for seed in self.seeds])
            with torch.inference_mode():
                latent = comfy.sample.sample(
                    model, noise, steps, CFG, "dpmpp_2m", "karras", self._encode(prompt), self._empty, empty,
                    disable_pbar=True,
                )  # fmt: skip
            pictures.append(self._vae.decode(latent)[:, ::4, ::4])
        return torch.cat(pictures)


def table(sampler: PocketSampler, steps: int, converged) -> list[dict]:
    """All variants around one step count."""
    from clockwork_pack.clockwork_core.metrics import psnr
    from clockwork_pack.clockwork_core.runtime import reports_of
    from clockwork_pack.nodes.apply import ClockworkApply

    clocks, fewer = TABLES[steps]
    same = sampler.draw(sampler.model, steps)

    def row(name: str, cost: float, pictures) -> dict:
        # A run of the uncached model against itself has no finite PSNR.
        against_same = psnr(pictures, same).mean().item() if pictures is not same else None
        return {
            "steps": steps,
            "variant": name,
            "full_pass_equivalents": cost,
            "psnr_same": against_same,
            "psnr_converged": psnr(pictures, converged).mean().item(),
        }

    rows = [row(f"{steps} steps, uncached", steps, same)]
    rows += [row(f"fewer steps: {count}", count, sampler.draw(sampler.model, count)) for count in fewer]
    for clock in clocks:
        patched = ClockworkApply.execute(sampler.model, clock, "stage 1", 3, 0.0, 1.0).result[0]
        pictures = sampler.draw(patched, steps)
        spent, full = reports_of(patched).latest.flops()
        rows.append(row(f"clock {clock}, identity", steps * spent / full, pictures))
    return rows


def main() -> None:
    prepare_host(cpu=True)
    load_pack()
    sampler = PocketSampler()
    converged = sampler.draw(sampler.model, CONVERGED_STEPS)
    rows = [row for steps in TABLES for row in table(sampler, steps, converged)]
    settings = {
        "model": "pocket",
        "sampler": "dpmpp_2m, karras",
        "cfg": CFG,
        "pictures": len(PROMPTS) * len(SEEDS),
        "converged_steps": CONVERGED_STEPS,
    }
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps({**settings, "rows": rows}, indent=2) + "\n")
    for each in rows:
        same = "     " if each["psnr_same"] is None else f"{each['psnr_same']:5.1f}"
        print(f"{each['variant']:<22}{each['full_pass_equivalents']:6.1f}  {same}  {each['psnr_converged']:5.1f}")


if __name__ == "__main__":
    main()
