"""The compatibility matrix: each cell of each axis, by the same checks."""

import checks
import pytest
from axes import CELLS
from checks import Result


def test_ids_are_unique():
    assert len({cell.id for cell in CELLS}) == len(CELLS)


@pytest.mark.parametrize("cell", CELLS, ids=[cell.id for cell in CELLS])
def test_cell(cell, record):
    try:
        result = checks.examine(cell)
    except BaseException:
        record(Result.of(cell, "failed"))
        raise
    record(result)
