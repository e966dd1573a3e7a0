"""From a variant's words to a patched model."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..adaptors import BUILT_IN
from ..clockwork_core.adaptor import Adaptor
from ..clockwork_core.cut import choose_kept_blocks, geometry_of
from ..clockwork_core.host import ModelPatcher
from ..clockwork_core.runtime import ClockworkConfig, attach, config_of, detach
from ..clockwork_core.schedule import EveryN, ExplicitList, Schedule, Window
from .variants import CONNECTED_ADAPTOR, Source, Variant

# A full pass and one with the adaptor: all that a variant runs, once.
WARM_UP = ExplicitList("10")
WARM_UP_STEPS = 2


@dataclass(frozen=True)
class Connections:
    """What the words of a variant refer to.

    plain: the model without Clockwork. own: the Clockwork that it came with; None if it had none.
    schedule, adaptor: the connected ones, if any.
    """

    plain: ModelPatcher
    own: ClockworkConfig | None
    kept_blocks: int
    schedule: Schedule | None
    adaptor: Adaptor | None

    @classmethod
    def of(
        cls, model: ModelPatcher, cut: str, kept_blocks: int, schedule: Schedule | None, adaptor: Adaptor | None
    ) -> Connections:
        """Raises ValueError, naming the value, if the model is no UNet, or the cut does not fit it."""
        kept = choose_kept_blocks(geometry_of(model), cut, kept_blocks)
        return cls(detach(model), config_of(model), kept, schedule, adaptor)

    def config(self, variant: Variant) -> ClockworkConfig:
        """The Clockwork of a variant; that of the uncached run makes full passes only, which changes nothing.

        Raises ValueError, naming the line, if the variant needs what is not connected.
        """
        if variant.source is Source.MODEL:
            if self.own is None:
                raise ValueError(f"{variant.place} needs a model that comes from a Clockwork node; this one does not.")
            return self.own
        return ClockworkConfig(self._schedule(variant), self.kept_blocks, self._adaptor(variant), Window())

    def _schedule(self, variant: Variant) -> Schedule:
        if variant.source is not Source.SCHEDULE:
            return EveryN(variant.clock)
        if self.schedule is None:
            raise ValueError(f"{variant.place} needs a schedule, but none is connected.")
        return self.schedule

    def _adaptor(self, variant: Variant) -> Adaptor:
        if variant.adaptor != CONNECTED_ADAPTOR:
            return BUILT_IN[variant.adaptor]()
        if self.adaptor is None:
            raise ValueError(f"{variant.place} needs an adaptor, but none is connected.")
        return self.adaptor

    def patch(self, variant: Variant) -> ModelPatcher:
        """A clone of the model that draws as the variant says, and reports on it."""
        return attach(self.plain, self.config(variant))

    def warm_ups(self, variants: list[Variant]) -> list[ModelPatcher]:
        """A model for each kind of pass that the variants run: what runs first takes longer, whatever it is."""
        kinds = {}
        for variant in variants:
            config = self.config(variant)
            warm_up = replace(config, schedule=WARM_UP, window=Window())
            kinds.setdefault((config.adaptor.name, config.kept_blocks), warm_up)
        return [attach(self.plain, config) for config in kinds.values()]
