"""The replay buffer: what lies in memory, what on disk, and what a full disk does."""

import folder_paths
import pytest
import torch
from training import random_pair

from clockwork_pack.adaptors.training.buffer import ReplayBuffer

SIZE = random_pair().nbytes


@pytest.fixture(autouse=True)
def temporary(monkeypatch, tmp_path):
    monkeypatch.setattr(folder_paths, "temp_directory", str(tmp_path / "temp"))
    return tmp_path / "temp"


def trajectory(number):
    return [random_pair(10 * number + index) for index in range(3)]


def same(pair, other):
    tensors, others = pair.tensors(), other.tensors()
    return tensors.keys() == others.keys() and all(torch.equal(tensors[name], others[name]) for name in tensors)


def test_what_is_above_the_limit_goes_to_the_hosts_temporary_folder(temporary):
    buffer = ReplayBuffer(memory_bytes=4 * SIZE)
    for number in range(3):
        buffer.add(number, trajectory(number))
    assert buffer.memory_used == 3 * SIZE
    assert len(list(temporary.rglob("*.safetensors"))) == 6
    for number in range(3):
        for index, place in enumerate((0.0, 0.4, 0.999)):
            assert same(buffer.pair(number, place), trajectory(number)[index])
    found = [pair for pairs in buffer.trajectories() for pair in pairs]
    assert all(map(same, found, [pair for number in range(3) for pair in trajectory(number)]))
    buffer.close()
    assert list(temporary.iterdir()) == []
    assert buffer.memory_used == 0


def test_with_enough_memory_no_file_is_written(temporary):
    buffer = ReplayBuffer(memory_bytes=3 * SIZE)
    buffer.add(0, trajectory(0))
    assert not temporary.exists()


def test_a_full_disk_is_told_with_its_folder(temporary, monkeypatch):
    def full(_tensors, _path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("clockwork_pack.adaptors.training.buffer.save_file", full)
    buffer = ReplayBuffer(memory_bytes=0)
    with pytest.raises(OSError, match=r"could not be written to .*temp.*No space left.*Free some disk space") as caught:
        buffer.add(0, trajectory(0))
    assert str(temporary) in str(caught.value)
    buffer.close()
    assert list(temporary.iterdir()) == []
