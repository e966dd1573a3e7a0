"""Puts what the matrix is made of on the path."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from matrix_results import PROPERTY

sys.path.append(str(Path(__file__).parent))


@pytest.fixture
def record(request: pytest.FixtureRequest):
    """record(result): leave the result of a cell for out/compatibility.json."""
    return lambda result: request.node.user_properties.append((PROPERTY, result.to_dict()))
