"""How several processes divide one training between them (torch.distributed); alone, all is one's own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as distributed


@dataclass(frozen=True)
class Share:
    """One of `count` processes, the one with this `rank`; trajectories are dealt out to them in turn."""

    rank: int = 0
    count: int = 1

    @property
    def writes(self) -> bool:
        """Whether this process writes files and reports."""
        return self.rank == 0

    def owns(self, number: int) -> bool:
        return number % self.count == self.rank

    def replicated(self, network: torch.nn.Module) -> Any:
        """The network behind what averages its gradients over all processes."""
        return network if self.count == 1 else torch.nn.parallel.DistributedDataParallel(network)

    def not_yet_averaged(self, network: Any) -> AbstractContextManager:
        """Within the block, gradients stay with this process: more are to come before they are averaged."""
        return nullcontext() if self.count == 1 else network.no_sync()

    def total(self, value: float) -> float:
        """The sum over all processes."""
        return float(self.total_of(torch.tensor([value], dtype=torch.float64)))

    def total_of(self, values: torch.Tensor) -> torch.Tensor:
        """The sums over all processes of each value."""
        if self.count > 1:
            distributed.all_reduce(values)
        return values


ALONE = Share()


@contextmanager
def share_of_torchrun() -> Iterator[Share]:
    """This process's share, as torchrun's environment says, for the length of the block; all of it without one."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield ALONE
        return
    # Numbers go through gloo, gradients through whatever is fastest where they lie.
    distributed.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield Share(distributed.get_rank(), distributed.get_world_size())
    finally:
        distributed.destroy_process_group()
