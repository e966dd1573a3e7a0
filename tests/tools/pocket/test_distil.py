"""The recipe of the student, whole: the command draws its teacher's trajectories anew and goes on exactly."""

import pytest
import torch

from clockwork_pack.tools.pocket import distil
from clockwork_pack.tools.pocket.train import load_checkpoint


def run(checkpoint, *options):
    assert distil.main(["--checkpoint", str(checkpoint), *options]) == 0


def tensors(state, name=""):
    """The tensors of a nested state, by their paths."""
    if isinstance(state, torch.Tensor):
        return {name: state}
    items = state.items() if isinstance(state, dict) else enumerate(state) if isinstance(state, list | tuple) else ()
    return {path: found for key, part in items for path, found in tensors(part, f"{name}/{key}").items()}


@pytest.mark.slow
def test_a_stopped_run_resumes_to_the_same_weights(tmp_path, capsys):
    small = ("--steps", "2", "--trajectories", "4", "--total-updates", "2", "--device", "cpu")
    run(tmp_path / "whole.pt", *small)
    run(tmp_path / "parts.pt", *small, "--updates", "1")
    run(tmp_path / "parts.pt", *small)
    assert "Resuming" in capsys.readouterr().out
    whole, parts = (tensors(load_checkpoint(tmp_path / name)) for name in ("whole.pt", "parts.pt"))
    assert whole.keys() == parts.keys()
    assert len(whole) > 100
    assert [name for name, tensor in whole.items() if not torch.equal(tensor, parts[name])] == []
