"""Several processes, as torchrun starts them on a CPU: what one gives, and what is left when one dies."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
import toys
from training import plan_for

from clockwork_pack.adaptors.training.checkpoint import load_checkpoint
from clockwork_pack.adaptors.training.session import train
from clockwork_pack.adaptors.training.shares import ALONE, Share, share_of_torchrun

SCRIPT = Path(__file__).resolve().parents[2] / "helpers" / "toy_training.py"
# Pictures drawn four and two at a time differ by rounding (measured: 8e-5 of the weights, 1e-6 of the losses). Single
# weights differ more: of a bias in front of a norm the gradient is nothing but rounding, which Adam makes large.
TOLERANCE = 1e-3
LOSS_TOLERANCE = 1e-5


def torchrun(*arguments):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(SCRIPT)]
    return subprocess.run([*command, *map(str, arguments)], capture_output=True, text=True, timeout=500, check=False)


@pytest.fixture(scope="module")
def alone():
    return train(plan_for(toys.model_of(toys.TINIEST), on_policy=True))


def assert_close(weights, alone):
    expected = alone.adaptor.network.state_dict()
    found, wanted = (torch.cat([each[name].flatten() for name in expected]) for each in (weights, expected))
    assert (found - wanted).norm() < TOLERANCE * wanted.norm()


def test_two_processes_give_what_one_does(tmp_path, alone):
    result = torchrun(tmp_path / "weights", tmp_path / "training.pt")
    assert result.returncode == 0, result.stderr
    first, second = (torch.load(tmp_path / f"weights.{rank}") for rank in (0, 1))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert_close(first, alone)
    assert load_checkpoint(tmp_path / "training.pt")["record"]["losses"] == pytest.approx(
        alone.losses, rel=LOSS_TOLERANCE
    )


def test_a_process_that_dies_ends_the_job_and_the_checkpoint_goes_on(tmp_path, alone):
    checkpoint = tmp_path / "training.pt"
    result = torchrun(tmp_path / "weights", checkpoint, 3)
    assert result.returncode != 0
    assert "SIGKILL" in result.stderr
    assert list(tmp_path.iterdir()) == [checkpoint]
    assert load_checkpoint(checkpoint)["distillation"]["iteration"] == 3
    resumed = train(plan_for(toys.model_of(toys.TINIEST), checkpoint=checkpoint, on_policy=True))
    assert_close(resumed.adaptor.network.state_dict(), alone)
    assert resumed.losses == pytest.approx(alone.losses, rel=LOSS_TOLERANCE)


def test_alone_all_is_ones_own():
    with share_of_torchrun() as share:
        assert share == ALONE
    assert ALONE.writes
    assert all(map(ALONE.owns, range(5)))
    assert [number for number in range(6) if Share(1, 3).owns(number)] == [1, 4]


def test_there_must_be_work_for_each():
    with pytest.raises(ValueError, match="9 processes need a teacher_batch and trajectories of at least 9"):
        train(plan_for(toys.model_of(toys.TINIEST)), share=Share(8, 9))
