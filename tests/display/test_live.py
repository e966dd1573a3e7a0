"""What the browser is told of a run, through a stand-in for the host's server."""

import sys
import threading
import types

import pytest
import toys
from clockwork import with_clockwork
from comfy_execution.utils import CurrentNodeContext

from clockwork_pack.display.live import LiveStrip


class Server:
    client_id = "a browser"

    def __init__(self, listening):
        self.sockets = {"a browser": None} if listening else {}
        self.sent = []
        self.counted = threading.Event()
        running = [(0, "another", {}, {}, []), (1, "a prompt", {}, {"extra_pnginfo": {"workflow": {"id": "uuid"}}}, [])]
        self.prompt_queue = types.SimpleNamespace(get_current_queue_volatile=lambda: (running, []))

    def send_sync(self, event, data, client_id):
        assert client_id == "a browser"
        self.sent.append((event.removeprefix("clockwork."), data))
        if event == "clockwork.counted":
            self.counted.set()


@pytest.fixture(scope="module")
def model():
    return toys.toy_model("sd15")


def run_before(monkeypatch, server, model, runs=1):
    module = types.SimpleNamespace(PromptServer=types.SimpleNamespace(instance=server))
    monkeypatch.setitem(sys.modules, "server", module)
    patched = with_clockwork(model, observer=LiveStrip("12:5"))
    for _ in range(runs):
        with CurrentNodeContext("a prompt", "7"):
            toys.sample(patched, steps=3)


def test_a_run_is_told_as_it_goes_on(monkeypatch, model):
    server = Server(listening=True)
    run_before(monkeypatch, server, model)
    assert server.counted.wait(60)
    events, data = zip(*server.sent, strict=True)
    assert events == ("begun", "evaluated", "evaluated", "evaluated", "ended", "counted")
    assert {(each["workflow_id"], each["node_id"]) for each in data} == {("uuid", "12:5")}
    assert len({each["run"] for each in data}) == 1
    assert data[0]["steps"] == 3
    assert [(each["index"], each["kind"]) for each in data[1:4]] == [(0, "F"), (1, "a"), (2, "F")]
    assert (data[4]["kinds"], data[4]["finished"], data[4]["adaptor"]) == ("FaF", True, "identity")
    assert data[4]["seconds"] > 0
    assert data[4]["seconds_saved"] is not None
    assert 0 < data[5]["flops_saved_percent"] == pytest.approx(100 * (1 - data[5]["adaptor_cost"]) / 3)


def test_runs_are_told_apart(monkeypatch, model):
    server = Server(listening=True)
    run_before(monkeypatch, server, model, runs=2)
    assert len({data["run"] for _, data in server.sent}) == 2


def test_nothing_is_sent_where_nobody_listens(monkeypatch, model):
    server = Server(listening=False)
    run_before(monkeypatch, server, model)
    assert server.sent == []
    run_before(monkeypatch, None, model)
