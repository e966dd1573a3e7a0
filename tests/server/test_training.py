"""From a click to a trained adaptor in a file, and to a second workflow that loads it, in a real ComfyUI."""

import graphs
import pytest
from comfy_server import PromptError
from served import kinds, run

pytestmark = pytest.mark.server

TRAIN = {
    "prompts": "rocket\n\napple\n",
    "steps": 2,
    "sampler_name": "euler",
    "scheduler": "normal",
    "cfg": 4.0,
    "clock": 2,
    "cut": "stage 1",
    "kept_blocks": 3,
    "architecture": "unet-light",
    "loss": "guided output",
    "iterations": 10,
    "batch_size": 2,
    "learning_rate": 1e-3,
    "trajectories": 2,
    "on_policy": False,
    "memory_limit": 1.0,
    "seed": 0,
}


def training(**changes):
    graph = graphs.base()
    del graph["positive"]
    graph["latent"]["inputs"].update(width=64, height=64)
    graph["train"] = graphs.node(
        "ClockworkTrainAdaptor",
        **{**TRAIN, **changes},
        model=["loader", 0],
        clip=["loader", 1],
        latent=["latent", 0],
        negative=["negative", 0],
    )
    graph["save"] = graphs.node("ClockworkSaveAdaptor", adaptor=["train", 0], filename_prefix="tests/trained")
    graph["preview"] = graphs.node("PreviewImage", images=["train", 1])
    graph["loss graph"] = graphs.node("LossGraphNode", loss=["train", 2], filename_prefix="loss")
    return graph


def test_train_save_load_and_use(server):
    entry = run(server, training(checkpoint="from a test"))
    text = entry["outputs"]["train"]["text"][0]
    assert "10 iterations in" in text
    assert "Held-out errors (the identity's are 1): guided output" in text
    assert entry["outputs"]["preview"]["images"]
    assert entry["outputs"]["loss graph"]["images"]
    models = server.base / "models" / "clockwork"
    assert (models / "checkpoints" / "from a test.pt").is_file()
    saved = next((models / "tests").glob("trained_*.safetensors"))

    graph = graphs.base({})
    name = saved.relative_to(models).as_posix()
    choices = server.object_info()["ClockworkLoadAdaptor"]["input"]["required"]["adaptor_name"]
    assert name in str(choices)
    graph["adaptor"] = graphs.node("ClockworkLoadAdaptor", adaptor_name=name)
    graph["clockwork"]["inputs"]["adaptor"] = ["adaptor", 0]
    graph["latent"]["inputs"].update(width=64, height=64)
    settings = {"steps": 2, "sampler_name": "euler", "scheduler": "normal", "cfg": 4.0}
    entry = run(server, graphs.ksampler(graph, **settings))
    assert kinds(entry) == "Fa"
    assert "was trained for" not in entry["outputs"]["report"]["text"][0], "this is the run that it was trained for"


def test_bad_input_stops_it_before_anything_is_drawn(server):
    with pytest.raises(PromptError, match="There are no prompts"):
        run(server, training(prompts=" \n"))


def test_a_cancelled_training_keeps_its_checkpoint(server):
    long = server.queue(training(checkpoint="cancelled", iterations=100_000))

    def cancel_once_it_trains(_seconds):
        if "of 100000 iterations" in server.log:
            server.interrupt()

    with pytest.raises(PromptError, match=r"(?i)interrupted"):
        server.wait(long, timeout=120, on_progress=cancel_once_it_trains)
    assert (server.base / "models" / "clockwork" / "checkpoints" / "cancelled.pt").is_file()
