"""Whether a whole night is there for the tests: CLOCKWORK_FUZZ=nightly."""

import os

NIGHTLY = os.environ.get("CLOCKWORK_FUZZ") == "nightly"
