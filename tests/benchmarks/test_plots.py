"""Plots are written, small enough to keep."""

import pytest
from PIL import Image

from clockwork_pack.benchmarks.yardsticks.plots import plot_quality


def row(steps: int, clock: int) -> dict:
    measures = {name: [0.5, 0.4, 0.6] for name in ("psnr_converged", "prompt_agreement")}
    variant = {"variant": f"{steps} steps", "steps": steps, "clock": clock, "cut": "stage 1", "adaptor": "identity"}
    numbers = {"full_pass_equivalents": steps / clock, "frechet": 10.0, "latent_error_per_evaluation": [0.1] * steps}
    return {**variant, **measures, **numbers}


@pytest.mark.parametrize("rows", [[row(4, 1), row(5, 1), row(5, 2)], [row(5, 2)], [row(5, 1)]])
def test_quality_is_one_small_picture(tmp_path, rows):
    path = tmp_path / "plots" / "quality.png"
    plot_quality(rows, path)
    with Image.open(path) as picture:
        assert picture.width > picture.height
    assert path.stat().st_size < 200_000
