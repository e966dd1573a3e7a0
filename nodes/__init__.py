"""The nodes that ComfyUI shows. Each reads its inputs, makes one call into the core and wraps the result."""

from comfy_api.latest import ComfyExtension, io

from ..clockwork_core.contract import breach
from ..display.host import add_post_route
from ..display.plan import answer
from .adaptor_files import ClockworkLoadAdaptor, ClockworkSaveAdaptor
from .apply import ClockworkApply
from .compare import ClockworkCompare
from .demo import ClockworkLoadDemoModel
from .fit import ClockworkFitAdaptor
from .report import ClockworkReport
from .schedule import ClockworkSchedule
from .training import ClockworkTrainAdaptor

NODES: list[type[io.ComfyNode]] = [
    ClockworkApply,
    ClockworkSchedule,
    ClockworkLoadAdaptor,
    ClockworkSaveAdaptor,
    ClockworkTrainAdaptor,
    ClockworkFitAdaptor,
    ClockworkReport,
    ClockworkCompare,
    ClockworkLoadDemoModel,
]


class ClockworkExtension(ComfyExtension):
    """What the host asks for our nodes."""

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        # Asked here so that the log tells of it at the start, not in the middle of somebody's work.
        breach()
        add_post_route("/clockwork/plan", answer)
        return NODES
