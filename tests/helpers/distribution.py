"""How pytest-xdist shares the tests out to its workers: what one model or server is made for stays together."""

from __future__ import annotations

from collections import Counter

import pytest
from xdist.scheduler import LoadScopeScheduling

# They share one server.
SERVED = ("tests/server/test_example_workflows.py", "tests/server/test_faults.py", "tests/server/test_workflows.py")
# Each of these folders has one server, too, and a browser or an installed package.
FOLDERS = ("tests/browser/", "tests/packaging/")
MATRIX_CELL = "tests/compatibility/test_matrix.py::test_cell["


def unit_of(nodeid: str) -> str:
    """The name of what runs in one piece: a file, the tests of one server, or an axis of the compatibility matrix."""
    for folder in FOLDERS:
        if nodeid.startswith(folder):
            return folder
    if nodeid.startswith(MATRIX_CELL):
        return MATRIX_CELL + nodeid.removeprefix(MATRIX_CELL).partition("/")[0]
    return SERVED[0] if nodeid.startswith(SERVED) else nodeid.partition("::")[0]


class ByUnit(LoadScopeScheduling):
    """xdist's scheduling by scope, for our units."""

    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log) -> ByUnit | None:
    """Take the place of --dist loadscope."""
    return ByUnit(config, log) if config.getvalue("dist") == "loadscope" else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In a worker, put the units with slow tests first, then the long ones: the last to end should be a short one."""
    if not hasattr(config, "workerinput"):
        return
    slow = Counter(unit_of(item.nodeid) for item in items if item.get_closest_marker("slow"))
    tests = Counter(unit_of(item.nodeid) for item in items)
    items.sort(key=lambda item: (-slow[unit_of(item.nodeid)], -tests[unit_of(item.nodeid)]))
