"""How many cases the fuzzers draw: as many as ./run test has time for, or CLOCKWORK_FUZZ=nightly for a whole night's.

    CLOCKWORK_FUZZ=nightly .venv/bin/python -m pytest tests/fuzz

In ./run test the cases are the same each time; a nightly run draws new ones, and prints how to repeat what failed.
"""

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "run test",
    max_examples=200,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "nightly", settings.get_profile("run test"), max_examples=2000, derandomize=False, print_blob=True
)
settings.load_profile(os.environ.get("CLOCKWORK_FUZZ", "run test"))
