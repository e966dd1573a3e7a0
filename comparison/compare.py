"""Runs all variants on the same noise, and measures them against the uncached run of the same seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from PIL import Image
from torch import Tensor

from ..clockwork_core.host import ModelPatcher
from ..clockwork_core.report import RunReport
from ..clockwork_core.runtime import reports_of
from . import host
from .distances import Distances, latent_distances, picture_distances
from .grid import thumbnail
from .patching import WARM_UP_STEPS, Connections
from .perceptual import lpips_distance, missing_for_lpips
from .results import Row, Tally, rows_of
from .settings import Sampling, Scene
from .variants import Variant

WITHOUT_VAE = (
    "No VAE is connected: latents are compared, the peak of their PSNR and SSIM being the span of the uncached latent. "
    "LPIPS, which is for pictures, was left out. The grid shows rough previews."
)


@dataclass(frozen=True)
class Comparison:
    """rows: one a variant, the uncached run first. thumbnails: of each seed, a picture of each variant."""

    sampling: Sampling
    seeds: list[int]
    rows: list[Row]
    thumbnails: list[list[Image.Image]]
    on_latents: bool
    notes: list[str]

    def describe(self) -> str:
        """What all pictures have in common, in a line."""
        return f"{self.sampling.describe()}, {len(self.seeds)} seed{'s' if len(self.seeds) > 1 else ''}"

    def to_dict(self) -> dict[str, Any]:
        """All but the pictures, JSON-ready."""
        return {
            "sampling": vars(self.sampling),
            "seeds": self.seeds,
            "distances": "latents" if self.on_latents else "pictures",
            "variants": [row.to_dict() for row in self.rows],
            "notes": self.notes,
        }


def compare(
    connections: Connections,
    sampling: Sampling,
    scene: Scene,
    seeds: list[int],
    variants: list[Variant],
) -> Comparison:
    """Draw each seed with each variant, the uncached one (which must be the first) before the others.

    Going from seed to seed in the outer loop, so that whatever else the machine does hits all variants alike.
    Raises ValueError, before anything is drawn, if a variant needs what is not connected or does not fit.
    """
    contest = _Contest(connections, sampling, scene, variants, seeds)
    contest.warm_up(seeds[0])
    thumbnails = [contest.draw(seed) for seed in seeds]
    return Comparison(sampling, seeds, rows_of(contest.tallies), thumbnails, scene.vae is None, contest.notes())


class _Contest:
    """Patched models, one for each variant, and what they have done so far."""

    def __init__(
        self,
        connections: Connections,
        sampling: Sampling,
        scene: Scene,
        variants: list[Variant],
        seeds: list[int],
    ) -> None:
        self._sampling = sampling
        self._scene = scene
        self._vae = scene.vae
        self._plain = connections.plain
        self._models = [connections.patch(variant) for variant in variants]
        self.tallies = [Tally(variant, variant.steps or sampling.steps) for variant in variants]
        self._warm_ups = connections.warm_ups(variants)
        self._lpips_missing = missing_for_lpips()
        self._lpips = None if scene.vae is None or self._lpips_missing else lpips_distance()
        warm_up_steps = len(self._warm_ups) * self._warm_up_steps
        all_steps = len(seeds) * sum(tally.steps for tally in self.tallies)
        self._progress = host.Progress(self._plain, warm_up_steps + all_steps)

    @property
    def _warm_up_steps(self) -> int:
        return min(WARM_UP_STEPS, self._sampling.steps)

    def warm_up(self, seed: int) -> None:
        """Run each kind of pass once, unmeasured."""
        for model in self._warm_ups:
            self._sample(model, seed, self._sampling.steps, self._warm_up_steps)

    def draw(self, seed: int) -> list[Image.Image]:
        """Run and measure all variants with one seed; the first picture of each, small."""
        thumbnails = []
        references = None
        for model, tally in zip(self._models, self.tallies, strict=True):
            latents = self._sample(model, seed, tally.steps)
            pictures = self._pictures(latents)
            measured = latents if self._vae is None else pictures
            references = measured if references is None else references
            tally.distances.append(self._distances(measured, references))
            tally.reports.append(_last_report(model))
            thumbnails.append(thumbnail(pictures[0]))
        return thumbnails

    def _sample(self, model: ModelPatcher, seed: int, steps: int, last_step: int | None = None) -> Tensor:
        with self._progress.stretch(last_step or steps) as on_step:
            return host.sample(model, self._sampling, self._scene, seed, steps, on_step, last_step)

    def _pictures(self, latents: Tensor) -> Tensor:
        """(B, 3, H, W) from 0 to 1."""
        return host.rough_pictures(self._plain, latents) if self._vae is None else host.decode(self._vae, latents)

    def _distances(self, measured: Tensor, references: Tensor) -> Distances:
        if self._vae is None:
            return latent_distances(measured, references)
        return picture_distances(measured, references, self._lpips)

    def notes(self) -> list[str]:
        """What one must know to read the numbers."""
        runs, pictures = len(self.tallies[0].reports), sum(len(each.psnr) for each in self.tallies[0].distances)
        what = "picture" if self._vae else "latent"
        median = f"median of {runs} seeds" if runs > 1 else "one seed"
        spread = f"; mean ± standard deviation over {pictures} {what}s" if pictures > 1 else ""
        return [
            f"seconds: sampling on {host.device_name(self._plain)}, without loading and decoding, {median}, after a "
            "warm-up; in brackets, the share of the uncached run's.",
            "FLOPs: the UNet's, as a share of the uncached run's; full + adaptor: evaluations of each kind in a run.",
            f"PSNR, SSIM: against the uncached {what} of the same seed{spread}; exact: equal in each number.",
            *([WITHOUT_VAE] if self._vae is None else [self._lpips_missing] if self._lpips_missing else []),
        ]


def _last_report(model: ModelPatcher) -> RunReport:
    reports = reports_of(model)
    assert reports is not None
    assert reports.latest is not None
    return reports.latest
