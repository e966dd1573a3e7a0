"""Train the judge of the pocket models anew, measure it on held-out renders, and write its weights.

./run bench judge
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

# Python put this folder here, whose modules are meant to be imported as part of the pack.
sys.path[0] = str(Path(__file__).resolve().parents[2] / "tools")

from in_process import load_pack, prepare_host  # noqa: E402


def main() -> None:
    """Train, measure, save."""
    prepare_host(cpu=True)
    load_pack()
    from clockwork_pack.benchmarks.judge.network import WEIGHTS, save_judge
    from clockwork_pack.benchmarks.judge.renders import Renderer
    from clockwork_pack.benchmarks.judge.train import measure, take_reference, train_judge
    from clockwork_pack.tools.pocket.icons import load_icons
    from clockwork_pack.tools.pocket.train import CACHE

    icons = load_icons(CACHE)
    judge = train_judge(icons, report=lambda line: print(line, flush=True))
    take_reference(judge, Renderer(icons))
    measured = measure(judge, icons)
    save_judge(judge, WEIGHTS, measured)
    print(json.dumps(measured, indent=2))


if __name__ == "__main__":
    main()
