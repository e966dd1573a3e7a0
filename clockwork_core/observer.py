"""Who wants to be told of a run while it goes on, such as the picture of it in the browser."""

from __future__ import annotations

import logging
from collections.abc import Callable

from .report import RunReport


class Observer:
    """Told in the sampler's own thread, so what takes long belongs elsewhere. This one does not listen."""

    def begun(self, report: RunReport) -> None:
        """A run begins."""

    def evaluated(self, report: RunReport) -> None:
        """The last evaluation of `report` is done; its seconds are not known yet."""

    def ended(self, report: RunReport) -> None:
        """The run is over, as planned or not."""


def tell(hear: Callable[[RunReport], None], report: RunReport) -> None:
    """Call one method of an observer; what it fails at is logged, and costs no picture."""
    try:
        hear(report)
    except Exception:
        logging.exception("[Clockwork] Telling of a run failed; the run itself goes on.")
