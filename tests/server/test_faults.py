"""What goes wrong, or comes close together, in a real server.

Not to be had on a CPU: --lowvram and --novram, which the host refuses together with --cpu. What they do, layers whose
weights are cast at each call, is provoked in tests/faults/test_unloading.py. Running out of memory: see there
test_out_of_memory.py.
"""

import graphs
import numpy as np
import pytest
from comfy_server import ComfyServer, ServerError
from served import kinds, picture, report, run

pytestmark = pytest.mark.server

WIDE = {"width": 320, "height": 192}
TIMEOUT = 240


def drawing(seed, latent=None, **settings):
    """A graph with Clockwork; latent: another size."""
    graph = graphs.ksampler(graphs.base({}), seed=seed, **settings)
    graph["latent"]["inputs"].update(latent or {})
    return graph


def free(server):
    """As the button "Unload models and node cache" does."""
    server._read("/free", {"unload_models": True, "free_memory": True})


def run_anew(server, graph):
    """Run with nothing cached. The host fulfils /free when its worker wakes up: the prompt may come before that."""
    for _ in range(20):
        free(server)
        entry = run(server, graph)
        if "sampler" not in cached_nodes(entry):
            return entry
    return pytest.fail("the host never forgot what it had cached")


def cached_nodes(entry):
    messages = dict(entry["status"]["messages"])
    return messages["execution_cached"]["nodes"]


def test_two_prompts_of_two_sizes_queued_back_to_back(server):
    waiting = [server.queue(drawing(41)), server.queue(drawing(42, WIDE))]
    square, wide = (picture(server, server.wait(each, TIMEOUT)) for each in waiting)
    assert square.shape == (256, 256, 3)
    assert wide.shape == (192, 320, 3)
    assert np.array_equal(picture(server, run_anew(server, drawing(42, WIDE))), wide)
    assert np.array_equal(picture(server, run_anew(server, drawing(41))), square)


def test_the_model_is_unloaded_while_prompts_run(server):
    """The host fulfils the wish between two prompts."""
    expected = picture(server, run(server, drawing(43)))
    free(server)
    waiting = [server.queue(drawing(44, steps=20)), server.queue(drawing(43))]
    free(server)
    entries = [server.wait(each, TIMEOUT) for each in waiting]
    assert kinds(entries[0]) == "Fa" * 10
    assert kinds(entries[1]) == "FaFaFa"
    assert np.array_equal(picture(server, entries[1]), expected)


def with_second_sampler(graph, **changes):
    """The same patched model once more, with a report and a picture of its own."""
    graph["second"] = graphs.node("KSampler", **{**graph["sampler"]["inputs"], **changes})
    graph["second report"] = graphs.node("ClockworkReport", model=["clockwork", 0], latent=["second", 0])
    graph["second decode"] = graphs.node("VAEDecode", samples=["second report", 0], vae=["loader", 2])
    graph["second save"] = graphs.node("SaveImage", images=["second decode", 0], filename_prefix="second")
    return graph


def test_one_patched_model_sampled_by_two_nodes(server):
    alone = [picture(server, run(server, drawing(seed))) for seed in (45, 46)]
    entry = run_anew(server, with_second_sampler(drawing(45), seed=46))
    both = [picture(server, entry), picture(server, {"outputs": {"save": entry["outputs"]["second save"]}})]
    assert all(np.array_equal(together, single) for together, single in zip(both, alone, strict=True))


def test_cached_samplers_with_changed_reports(server):
    """Each report finds the run that made its latent, whichever of the two was the last."""
    graph = with_second_sampler(drawing(47), seed=48, steps=8)
    run(server, graph)
    # Another input: the host has to run the reports again, and takes the latents from its cache.
    for name, sampler in (("report", "sampler"), ("second report", "second")):
        graph[f"copy for {name}"] = graphs.node("LatentFromBatch", samples=[sampler, 0], batch_index=0, length=1)
        graph[name]["inputs"]["latent"] = [f"copy for {name}", 0]
    entry = run(server, graph)
    cached = set(cached_nodes(entry))
    assert cached >= {"sampler", "second"}
    assert not cached & {"report", "second report"}
    told = [report({"outputs": {"report": entry["outputs"][name]}}) for name in ("report", "second report")]
    assert [each["evaluations"] for each in told] == [6, 8]


@pytest.mark.slow
def test_a_server_killed_while_it_samples_starts_again(tmp_path):
    """And again with nothing cached and every model unloaded after use."""
    with ComfyServer(tmp_path) as server:
        expected = picture(server, run(server, drawing(49)))
        long = server.queue(drawing(50, steps=2000))

        def kill_once_it_samples(_seconds):
            if "2000" in server.log:
                server._process.kill()
                server._process.wait()

        with pytest.raises(ServerError, match="ended with status -9"):
            server.wait(long, TIMEOUT, on_progress=kill_once_it_samples)
    with ComfyServer(tmp_path, ["--cache-none", "--disable-smart-memory"]) as server:
        for _ in range(2):
            entry = run(server, drawing(49))
            assert kinds(entry) == "FaFaFa"
            assert np.array_equal(picture(server, entry), expected)
