"""How many processes ./run test shares the tests out to."""

from __future__ import annotations

import os
from collections.abc import Sequence

# What wants the tests in pytest's own process: a debugger, or output as it comes.
IN_ONE_PROCESS = {"--pdb", "--trace", "-s", "--capture=no", "no:xdist", "-pno:xdist", "--collect-only", "--co"}
# Each holds a host and its models, a gigabyte or two; the longest group of tests sets the time anyway.
MOST_WORKERS = 8


def worker_options(arguments: Sequence[str], cores: int | None = None) -> list[str]:
    """Options that give pytest a worker for each core, within reason; none where one process does as well.

    arguments: the user's own for pytest; they come behind these, so that an -n of theirs counts.
    A single file stays in one process, for each worker takes seconds to import torch and the host.
    """
    workers = min(MOST_WORKERS, usable_cores() if cores is None else cores)
    files = [argument for argument in arguments if argument.partition("::")[0].endswith(".py")]
    if workers == 1 or len(files) == 1 or IN_ONE_PROCESS & set(arguments):
        return []
    # Our own conftest takes the place of xdist's scopes, see tests/helpers/distribution.py.
    return ["-n", str(workers), "--dist", "loadscope", "--no-loadscope-reorder"]


def usable_cores() -> int:
    """Those that this process may run on; fewer than the machine's where somebody limits them."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
