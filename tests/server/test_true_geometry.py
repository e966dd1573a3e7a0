"""UNets of the true sizes of SD 1.5 and SDXL, with random weights, loaded by the host's own node: does all connect?"""

import shutil
from pathlib import Path

import graphs
import numpy as np
import psutil
import pytest
from comfy_server import ComfyServer
from make_checkpoint import make_checkpoint
from served import kinds, picture, report

pytestmark = [pytest.mark.server, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
# Shared with the benchmarks.
CHECKPOINTS = ROOT / ".cache" / "checkpoints"
# Memory and disk that each takes on a CPU, where weights are float32, in GB.
NEEDS = {"sd15": (7, 3), "sdxl": (19, 8)}
# Of the UNet's FLOPs at 64 x 64 pixels; attention is cheap there, so nearly the ratio of the layers.
SAVED_PERCENT = {"sd15": (25, 40), "sdxl": (44, 50)}


def require_room(geometry: str) -> None:
    memory, disk = NEEDS[geometry]
    if psutil.virtual_memory().available < memory * 1e9:
        pytest.skip(f"{geometry} needs {memory} GB of free memory")
    if shutil.disk_usage(ROOT).free < disk * 1e9:
        pytest.skip(f"{geometry} needs {disk} GB of free disk")


@pytest.fixture(params=list(NEEDS))
def served_checkpoint(request, tmp_path):
    """A geometry's name, and a server of its own that has such a checkpoint."""
    require_room(request.param)
    checkpoint = CHECKPOINTS / f"clockwork_{request.param}_random.safetensors"
    make_checkpoint(request.param, checkpoint)
    with ComfyServer(tmp_path / "base") as server:
        link = tmp_path / "base" / "models" / "checkpoints" / checkpoint.name
        link.symlink_to(checkpoint)
        yield request.param, checkpoint.name, server


def graph_of(checkpoint: str, apply: dict | None) -> graphs.Graph:
    graph = graphs.base(apply)
    graph["loader"] = graphs.node("CheckpointLoaderSimple", ckpt_name=checkpoint)
    graph["latent"]["inputs"].update(width=64, height=64)
    return graphs.ksampler(graph, steps=4)


def test_a_checkpoint_samples_with_clockwork(served_checkpoint):
    geometry, checkpoint, server = served_checkpoint

    def run(apply):
        return server.wait(server.queue(graph_of(checkpoint, apply)), timeout=500)

    plain = picture(server, run(None))
    assert np.array_equal(picture(server, run({"clock": 1})), plain), "clock 1 changes nothing"
    entry = run({"clock": 2})
    assert kinds(entry) == "FaFa"
    assert not np.array_equal(picture(server, entry), plain)
    low, high = SAVED_PERCENT[geometry]
    assert low < report(entry)["flops_saved_percent"] < high
