"""The replay buffer: the pairs of all trajectories, in memory up to a limit, on disk above it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from . import host
from .pairs import Pair


class ReplayBuffer:
    """Trajectories by their number.

    memory_bytes: what may lie in memory; the pairs of further trajectories go to files in the host's temporary
    folder, which are removed with the buffer. Raises OSError with a sentence if they cannot be written.
    """

    def __init__(self, memory_bytes: int) -> None:
        self._memory_bytes = memory_bytes
        self.memory_used = 0
        self._in_memory: dict[int, list[Pair]] = {}
        self._on_disk: dict[int, list[Path]] = {}
        self._folder: Path | None = None

    def add(self, trajectory: int, pairs: list[Pair]) -> None:
        """Keep the pairs of a trajectory."""
        size = sum(pair.nbytes for pair in pairs)
        if self.memory_used + size <= self._memory_bytes:
            self.memory_used += size
            self._in_memory[trajectory] = pairs
        else:
            self._on_disk[trajectory] = [self._write(trajectory, index, pair) for index, pair in enumerate(pairs)]

    def pair(self, trajectory: int, place: float) -> Pair:
        """One pair of a trajectory. place: 0 to 1, where in the trajectory; 1 is beyond its end."""
        if trajectory in self._in_memory:
            pairs = self._in_memory[trajectory]
            return pairs[int(place * len(pairs))]
        paths = self._on_disk[trajectory]
        return Pair.from_tensors(load_file(paths[int(place * len(paths))]))

    def all_of(self, trajectory: int) -> list[Pair]:
        """All pairs of a trajectory."""
        if trajectory in self._in_memory:
            return self._in_memory[trajectory]
        return [Pair.from_tensors(load_file(path)) for path in self._on_disk[trajectory]]

    def trajectories(self) -> Iterator[list[Pair]]:
        """All pairs, one trajectory after the other."""
        for trajectory in [*self._in_memory, *self._on_disk]:
            yield self.all_of(trajectory)

    def close(self) -> None:
        """Forget all pairs and remove their files."""
        self.memory_used = 0
        self._in_memory.clear()
        self._on_disk.clear()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def _write(self, trajectory: int, index: int, pair: Pair) -> Path:
        try:
            return self._written(f"{trajectory}-{index}", pair)
        except (OSError, SafetensorError) as error:
            raise OSError(
                f"The training pairs could not be written to {self._folder or host.temporary_folder()}: {error}. Free "
                "some disk space there, or allow more memory, or fewer trajectories."
            ) from error

    def _written(self, name: str, pair: Pair) -> Path:
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="clockwork-pairs-", dir=host.temporary_folder()))
        path = self._folder / f"{name}.safetensors"
        save_file({part: tensor.contiguous() for part, tensor in pair.tensors().items()}, path)
        return path
