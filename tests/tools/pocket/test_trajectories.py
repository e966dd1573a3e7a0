"""What a student learns from: the teacher's own path, cut into Euler steps."""

import pytest
import torch

from clockwork_pack.demo_model import DEFAULT, read_pocket_file
from clockwork_pack.tools.pocket.trajectories import Trajectories, subdivided


def test_sigmas_are_subdivided_in_equal_ratios_but_for_the_step_to_zero():
    sigmas = subdivided(torch.tensor([8.0, 2.0, 0.5, 0.0]), parts=2)
    torch.testing.assert_close(sigmas, torch.tensor([8.0, 4.0, 2.0, 1.0, 0.5, 0.0]))


@pytest.fixture(scope="module")
def trajectories():
    icons = read_pocket_file(DEFAULT).icons
    return Trajectories(DEFAULT, icons, steps=2, count=3, device=torch.device("cpu"), report=lambda _: None)


def test_an_euler_step_with_the_fitted_picture_arrives_where_the_teacher_does(trajectories):
    batch = trajectories.batch(8, 1000, torch.Generator().manual_seed(0))
    sigmas, path = trajectories._sigmas, trajectories._path
    for index in range(8):
        step = trajectories._timesteps.tolist().index(batch.timesteps[index])
        stands = batch.latents[index] + sigmas[step] * batch.noise[index]
        arrives = batch.latents[index] + sigmas[step + 1] * batch.noise[index]
        which = (path[step] - stands).flatten(1).norm(dim=1).argmin()
        torch.testing.assert_close(stands, path[step, which], rtol=0, atol=1e-4)
        torch.testing.assert_close(arrives, path[step + 1, which], rtol=0, atol=1e-4)


def test_the_last_step_is_fitted_to_the_finished_picture(trajectories):
    batch = trajectories.batch(8, 1000, torch.Generator().manual_seed(1))
    last = batch.timesteps == trajectories._timesteps[-1]
    assert last.any()
    for latents in batch.latents[last]:
        assert (trajectories._path[-1] - latents).flatten(1).norm(dim=1).min() < 1e-3
