"""What adaptors without a network have in common."""

from __future__ import annotations

from ..clockwork_core.adaptor import RunConditions
from ..clockwork_core.cut import Seam
from ..clockwork_core.host import ModelPatcher


class TrainingFree:
    """Fits every UNet and every run, holds no weights, and costs no convolution or linear layer."""

    remembers_r_in = False

    def require_fit(self, seam: Seam) -> None:
        """Nothing to require."""

    def warnings(self, conditions: RunConditions) -> list[str]:  # noqa: ARG002
        return []

    def models(self) -> list[ModelPatcher]:
        return []

    def flops(self, r_out: tuple[int, ...]) -> int:  # noqa: ARG002
        return 0
