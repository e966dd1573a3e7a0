"""A whole comparison in a real server: the demo model, its text encoder and VAE, and what the client gets."""

import io
import json

import graphs
import numpy as np
import pytest
from comfy_server import PromptError
from PIL import Image
from served import picture, run

from clockwork_pack.comparison.grid import Layout

pytestmark = pytest.mark.server

VARIANTS = "none\nclock 2\nsteps 2\nas connected"


def comparing(**changes):
    """The graph, with a Clockwork node of clock 4 before it; the table is shown, the pictures are saved."""
    graph = graphs.base({"clock": 4})
    settings = {"seed": 5, "seed_count": 2, "steps": 4, "cfg": 4.0, "sampler_name": "dpmpp_2m", "scheduler": "karras"}
    graph["compare"] = graphs.node(
        "ClockworkCompare",
        model=["clockwork", 0],
        positive=["positive", 0],
        negative=["negative", 0],
        latent=["latent", 0],
        vae=["loader", 2],
        **{**settings, "denoise": 1.0, "variants": VARIANTS, **changes},
    )
    graph["plot"] = graphs.node("SaveImage", images=["compare", 1], filename_prefix="plot")
    graph["grid"] = graphs.node("SaveImage", images=["compare", 2], filename_prefix="grid")
    return graph


@pytest.fixture(scope="module")
def entry(server):
    return run(server, comparing())


def saved(server, entry, node):
    file = entry["outputs"][node]["images"][0]
    return np.asarray(Image.open(io.BytesIO(server.view(**file))).convert("RGB")).astype(int)


def test_table_and_data(entry):
    table = entry["outputs"]["compare"]["text"][0]
    data = json.loads(entry["outputs"]["compare"]["clockwork_compare"][0])
    assert [(row["variant"], row["full"], row["adaptor_evaluations"]) for row in data["variants"]] == [
        ("uncached", 4, 0),
        ("clock 2", 2, 2),
        ("steps 2", 2, 0),
        ("as connected", 1, 3),
    ]
    uncached, clock, fewer, _ = data["variants"]
    assert data["distances"] == "pictures"
    assert uncached["psnr"]["exact"] == 2
    assert 0 < clock["psnr"]["mean"] < 60
    assert (clock["flops_percent"], fewer["flops_percent"]) == (pytest.approx(67, abs=1), 50.0)
    assert "| uncached |" in table
    assert "LPIPS" in table, "measured, or said to be left out"


def test_the_grid_holds_what_the_host_s_sampler_draws(server, entry):
    """The first picture of the first row is KSampler's own, without Clockwork."""
    expected = picture(server, run(server, graphs.ksampler(graphs.base(), seed=5, steps=4)))
    height, width, _ = expected.shape
    left, top = Layout(width, height, columns=4, rows=2).cell(0, 0)
    found = saved(server, entry, "grid")[top : top + height, left : left + width]
    assert np.abs(found - expected).max() <= 1, "the host rounds down"


def test_the_plot_is_a_picture(server, entry):
    assert saved(server, entry, "plot").shape == (760, 1200, 3)


def test_a_bad_line_stops_the_prompt_before_sampling(server):
    with pytest.raises(PromptError, match=r"line 2: clock two is no variant|'clock two' is no variant\. Valid lines"):
        run(server, comparing(variants="clock 2\nclock two", seed=99))


def test_it_is_cancelled_like_a_sampler(server):
    long = server.queue(comparing(seed_count=32, steps=20, variants="clock 2"))
    before = server.log.count("[Clockwork]")

    def interrupt_once_it_draws(_seconds):
        if server.log.count("[Clockwork]") > before + 1:
            server.interrupt()

    with pytest.raises(PromptError, match=r"(?i)interrupted"):
        server.wait(long, timeout=60, on_progress=interrupt_once_it_draws)
