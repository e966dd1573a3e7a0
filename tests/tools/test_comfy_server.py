"""The server's manager, on a stand-in host of a few lines that answers as ComfyUI does."""

from pathlib import Path

import comfy_server
import host_command
import pytest
from comfy_server import ComfyServer, PromptError, ServerError, seconds_of

STAND_IN = """
import json, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

MESSAGES = {
    "good": ("success", [["execution_start", {"timestamp": 1000}], ["execution_success", {"timestamp": 3500}]]),
    "bad": ("error", [["execution_error", {
        "node_id": "5", "node_type": "Painter", "exception_type": "ValueError",
        "exception_message": "no paint", "traceback": ["  File one\\n", "  File two\\n"]}]]),
    "stopped": ("error", [["execution_interrupted", {"node_id": "5", "node_type": "Painter"}]]),
}

class Handler(BaseHTTPRequestHandler):
    def answer(self, data, status=200):
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(data).encode())

    def do_GET(self):
        prompt_id = self.path.rpartition("/")[2]
        if prompt_id in MESSAGES:
            status, messages = MESSAGES[prompt_id]
            self.answer({prompt_id: {"outputs": {}, "status": {"status_str": status, "messages": messages}}})
        else:
            self.answer({})

    def do_POST(self):
        prompt = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["prompt"]
        if prompt:
            self.answer({"prompt_id": prompt["id"]})
        else:
            self.answer({"error": {"message": "Prompt has no outputs"}, "node_errors": {"5": {
                "class_type": "Painter", "errors": [{"message": "Value too big", "details": "steps"}]}}}, 400)

print("ready", flush=True)
HTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), Handler).serve_forever()
"""


@pytest.fixture(autouse=True)
def no_device_probe(monkeypatch):
    """The stand-in needs no torch, and asking for it takes seconds."""
    monkeypatch.setattr(host_command, "has_accelerator", lambda _python: False)


def make_host(folder: Path, program: str) -> Path:
    folder.mkdir()
    (folder / "main.py").write_text(program)
    return folder


@pytest.fixture
def server(tmp_path):
    with ComfyServer(tmp_path / "base", host=make_host(tmp_path / "host", STAND_IN)) as running:
        yield running


def test_a_prompt_that_succeeds(server):
    assert seconds_of(server.wait(server.queue({"id": "good"}))) == 2.5


def test_a_failing_node_is_named_with_its_traceback(server):
    with pytest.raises(PromptError, match=r"Node 5 \(Painter\) failed: ValueError: no paint\n  File one\n  File two"):
        server.wait("bad")


def test_an_interrupted_prompt_is_told_from_a_failed_one(server):
    with pytest.raises(PromptError, match="interrupted at node 5"):
        server.wait("stopped")


def test_a_refused_prompt_says_why(server):
    with pytest.raises(PromptError, match=r"no outputs\n  node 5 \(Painter\): Value too big steps"):
        server.queue({})


def test_waiting_reports_progress_and_ends(server):
    seen = []
    with pytest.raises(ServerError, match=r"not done after 0 s.*(\n.*)*ready"):
        server.wait("never", timeout=0.3, on_progress=seen.append)
    assert seen == sorted(seen)
    assert len(seen) > 1


def test_nothing_runs_after_the_block(tmp_path):
    with ComfyServer(tmp_path / "base", host=make_host(tmp_path / "host", STAND_IN)) as server:
        port = int(server.url.rpartition(":")[2])
        assert host_command.port_is_taken(port)
    assert not host_command.port_is_taken(port)
    with pytest.raises(ServerError, match="has been stopped"):
        server.wait("good")


def test_a_host_that_dies_shows_its_last_words(tmp_path):
    host = make_host(tmp_path / "host", "raise SystemExit('the models are gone')")
    with pytest.raises(ServerError, match=r"ended with status 1(.*\n)*.*the models are gone"):
        ComfyServer(tmp_path / "base", host=host).__enter__()


def test_a_host_that_stays_silent_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(comfy_server, "START_SECONDS", 0.5)
    host = make_host(tmp_path / "host", "import time; print('thinking', flush=True); time.sleep(60)")
    with pytest.raises(ServerError, match=r"did not answer within(.*\n)*.*thinking"):
        ComfyServer(tmp_path / "base", host=host).__enter__()
