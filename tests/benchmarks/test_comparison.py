"""Variants side by side on the shipped model, as far as their outcome is known beforehand."""

import pytest

from clockwork_pack.benchmarks.judge.network import load_judge
from clockwork_pack.benchmarks.yardsticks.cases import Split, cases
from clockwork_pack.benchmarks.yardsticks.comparison import compare
from clockwork_pack.benchmarks.yardsticks.studio import Studio
from clockwork_pack.benchmarks.yardsticks.variants import Variant


@pytest.fixture(scope="module")
def rows():
    studio = Studio()
    chosen = cases(studio.icons, studio.colours, Split.TUNING, 2)
    converged = studio.draw(studio.model, chosen, 3).pictures
    variants = [Variant(3, clock=2), Variant(3)]
    return compare(studio, chosen, variants, load_judge(), converged, report=lambda _: None)


def test_uncached_runs_come_first_and_equal_themselves(rows):
    plain = rows[0]
    assert plain["variant"] == "3 steps"
    assert plain["full_pass_equivalents"] == 3.0
    assert plain["psnr_converged"] == [60.0, 60.0, 60.0]
    assert plain["latent_error_per_evaluation"] == [0.0, 0.0, 0.0]
    assert "psnr_uncached" not in plain


def test_clockwork_costs_less_and_errs_where_it_skips(rows):
    clockwork = rows[1]
    assert 2.0 < clockwork["full_pass_equivalents"] < 3.0
    assert clockwork["gflops_per_picture"] < rows[0]["gflops_per_picture"]
    first, second, third = clockwork["latent_error_per_evaluation"]
    assert first == 0.0
    assert second > 0.0
    assert third > 0.0
    assert clockwork["psnr_uncached"][0] == clockwork["psnr_converged"][0] < 60.0
