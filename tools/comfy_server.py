"""A real ComfyUI server for the length of a `with` block, driven over HTTP as a browser would.

with ComfyServer(folder) as server:
    entry = server.wait(server.queue(api_prompt))
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from base_directory import PACK, prepare_base_directory
from host_command import LOCALHOST, free_port, host_command, host_folder

START_SECONDS = 300.0
POLL_SECONDS = 0.1
LOG_TAIL_LINES = 40


class ServerError(RuntimeError):
    """The server did not start, died, or could not do what it was asked."""


class PromptError(ServerError):
    """The server refused a prompt, or a node failed in it; the message is the node's, with its traceback."""


class ComfyServer:
    """Starts a host with the pack on entry, stops it on exit.

    base: where the host keeps its files; made if missing. extra: more options for the host.
    host, python: which ComfyUI runs, and with what. pack: the folder to link into the custom nodes of `base`; None
    leaves them as they are.
    """

    def __init__(
        self,
        base: Path,
        extra: Sequence[str] = (),
        host: Path | None = None,
        python: str = sys.executable,
        pack: Path | None = PACK,
    ) -> None:
        self.base = base
        self.log_file = base / "server.log"
        self._extra = extra
        self._host = host or host_folder()
        self._python = python
        self._pack = pack
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""
        # A proxy that the environment names is not for this machine's own addresses.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def __enter__(self) -> ComfyServer:
        base = prepare_base_directory(self.base, self._pack)
        port = free_port()
        self.url = f"http://{LOCALHOST}:{port}"
        command = host_command(self._python, self._host, base, port, self._extra)
        with self.log_file.open("wb") as log:
            self._process = subprocess.Popen(
                command, cwd=base, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )
        try:
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_exception: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End the server; does nothing if it has ended."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    @property
    def log(self) -> str:
        """All that the server has printed."""
        return self.log_file.read_text(encoding="utf-8", errors="replace")

    def queue(self, prompt: dict[str, Any]) -> str:
        """Queue an API-format prompt; return its id."""
        try:
            return self._json("/prompt", {"prompt": prompt})["prompt_id"]
        except urllib.error.HTTPError as error:
            raise PromptError(_refusal(error.read())) from error

    def wait(
        self, prompt_id: str, timeout: float = 600.0, on_progress: Callable[[float], None] | None = None
    ) -> dict[str, Any]:
        """Wait for a prompt and return its history entry.

        `on_progress` is called again and again with the seconds waited so far.
        """
        start = time.monotonic()
        while (waited := time.monotonic() - start) < timeout:
            entry = self._json(f"/history/{prompt_id}").get(prompt_id)
            if entry is not None:
                if entry["status"]["status_str"] != "success":
                    raise PromptError(_failure(entry))
                return entry
            self._check_alive()
            if on_progress is not None:
                on_progress(waited)
            time.sleep(POLL_SECONDS)
        raise ServerError(f"The prompt was not done after {timeout:.0f} s. {self._log_tail()}")

    def object_info(self) -> dict[str, Any]:
        """What the server tells of every node type."""
        return self._json("/object_info")

    def system_stats(self) -> dict[str, Any]:
        """Versions and devices."""
        return self._json("/system_stats")

    def view(self, filename: str, subfolder: str = "", type: str = "output") -> bytes:
        """A file that a node wrote, by the names that the history entry gives it."""
        return self._read(
            "/view?" + urllib.parse.urlencode({"filename": filename, "subfolder": subfolder, "type": type})
        )

    def interrupt(self) -> None:
        """Stop the prompt that runs now."""
        self._read("/interrupt", {})

    def _read(self, path: str, body: dict[str, Any] | None = None) -> bytes:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, headers={"Content-Type": "application/json"})
        try:
            with self._opener.open(request, timeout=60) as response:
                return response.read()
        except urllib.error.HTTPError:
            raise
        except OSError as error:
            self._check_alive()
            raise ServerError(f"The server does not answer {path}: {error}. {self._log_tail()}") from error

    def _json(self, path: str, body: dict[str, Any] | None = None) -> Any:
        return json.loads(self._read(path, body))

    def _check_alive(self) -> None:
        if self._process is None:
            raise ServerError("The server has been stopped.")
        status = self._process.poll()
        if status is not None:
            raise ServerError(f"The server ended with status {status}. {self._log_tail()}")

    def _wait_until_ready(self) -> None:
        start = time.monotonic()
        while time.monotonic() - start < START_SECONDS:
            self._check_alive()
            try:
                self._opener.open(self.url + "/system_stats", timeout=5).close()
                return
            except OSError:
                time.sleep(POLL_SECONDS)
        raise ServerError(f"The server did not answer within {START_SECONDS:.0f} s. {self._log_tail()}")

    def _log_tail(self) -> str:
        lines = self.log.splitlines()[-LOG_TAIL_LINES:]
        return "\n".join([f"The end of {self.log_file}:", *lines])


def seconds_of(entry: dict[str, Any]) -> float:
    """How long the server worked on a prompt, by its own clock, free of our polling."""
    times = {name: data["timestamp"] for name, data in entry["status"]["messages"]}
    return (times["execution_success"] - times["execution_start"]) / 1000.0


def _refusal(answer: bytes) -> str:
    """Why the server did not take a prompt, in lines."""
    try:
        data = json.loads(answer)
    except ValueError:
        return f"The server refused the prompt: {answer[:500]!r}"
    lines = [f"The server refused the prompt: {data.get('error', {}).get('message', data)}"]
    for node_id, node in (data.get("node_errors") or {}).items():
        lines += [
            f"  node {node_id} ({node['class_type']}): {error['message']} {error.get('details', '')}"
            for error in node["errors"]
        ]
    return "\n".join(lines)


def _failure(entry: dict[str, Any]) -> str:
    """What went wrong in a prompt that the server took, in lines."""
    for name, data in entry["status"]["messages"]:
        if name == "execution_error":
            where = f"Node {data['node_id']} ({data['node_type']}) failed"
            trace = "".join(data.get("traceback", []))
            return f"{where}: {data['exception_type']}: {data['exception_message'].strip()}\n{trace}"
        if name == "execution_interrupted":
            return f"The prompt was interrupted at node {data.get('node_id')} ({data.get('node_type')})."
    return f"The prompt failed: {entry['status']}"
