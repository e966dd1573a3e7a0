"""Measures on made-up pictures whose values are known."""

import numpy as np
import pytest
import torch

from clockwork_pack.benchmarks.judge.network import Judge, Verdict
from clockwork_pack.benchmarks.yardsticks.cases import Case
from clockwork_pack.benchmarks.yardsticks.measures import agreement, closeness, gaussian_distance, latent_errors


class Certain(Judge):
    """Says "tiger on red" of every picture."""

    def __init__(self):
        super().__init__(("tiger", "lemon"), ("white", "red"))

    def forward(self, pictures):
        certain = torch.tensor([[0.0, 100.0]]).expand(len(pictures), 2)
        return Verdict(certain.flip(1), certain, torch.zeros(len(pictures), 1))


def test_agreement_needs_the_icon_and_the_colour():
    asked = [Case("tiger", "red", 0), Case("tiger", "white", 0), Case("lemon", "red", 0)]
    measured = agreement(Certain(), torch.zeros(3, 3, 64, 64), asked)
    np.testing.assert_allclose(measured["prompt_agreement"], [1, 0, 0], atol=1e-6)
    assert measured["icon_top1"].tolist() == [1, 1, 0]
    assert measured["colour_top1"].tolist() == [1, 0, 1]


def test_an_icon_that_the_judge_does_not_know_is_named():
    with pytest.raises(ValueError, match="does not know 'yak'; it knows tiger, lemon"):
        agreement(Certain(), torch.zeros(1, 3, 64, 64), [Case("yak", "red", 0)])


def test_closeness_of_pictures_that_differ_by_a_tenth_and_not_at_all():
    references = torch.full((2, 3, 64, 64), 0.5)
    pictures = references.clone()
    pictures[0] += 0.1
    measured = closeness(pictures, references)
    np.testing.assert_allclose(measured["psnr"], [20.0, 60.0], atol=1e-4)
    assert measured["ssim"][0] < measured["ssim"][1] == pytest.approx(1.0)


def test_latent_errors_are_of_each_evaluation():
    references = torch.ones(2, 3, 12, 4, 4)
    denoised = references * torch.tensor([1.0, 1.5]).view(2, 1, 1, 1, 1)
    np.testing.assert_allclose(latent_errors(denoised, references), [0.0, 0.5])


def test_the_distance_of_two_gaussians():
    # Diagonal covariances: |mean difference|^2 + sum of (deviation difference)^2 = 9 + (2 - 1)^2 + (3 - 1)^2.
    zero, shifted = np.zeros(2), np.array([3.0, 0.0])
    distance = gaussian_distance(zero, np.diag([4.0, 9.0]), shifted, np.eye(2))
    assert distance == pytest.approx(14.0)
    assert gaussian_distance(zero, np.eye(2), zero, np.eye(2)) == pytest.approx(0.0, abs=1e-9)
