"""One worker for each core, but one process where the user wants it, or where a second would not help."""

import pytest
from pytest_options import usable_cores, worker_options


@pytest.mark.parametrize("arguments", [[], ["tests/fuzz"], ["-k", "order"], ["tests/a.py", "tests/b.py"], ["-n0"]])
def test_one_worker_for_each_core(arguments):
    assert worker_options(arguments, cores=3)[:2] == ["-n", "3"]


@pytest.mark.parametrize(
    "arguments", [["tests/a.py"], ["-q", "tests/a.py::test_b[c]"], ["--pdb"], ["-p", "no:xdist"], ["tests/fuzz", "-s"]]
)
def test_one_process(arguments):
    assert worker_options(arguments, cores=3) == []


def test_a_single_core_gets_no_workers():
    assert worker_options([], cores=1) == []


def test_there_is_a_core():
    assert usable_cores() >= 1


def test_many_cores_get_no_more_workers_than_memory_allows():
    assert worker_options([], cores=64)[:2] == ["-n", "8"]
