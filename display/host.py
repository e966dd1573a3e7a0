"""The host's server and its word on what runs now; the only file here that knows them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from comfy_execution.utils import get_executing_context


def running_server() -> Any | None:
    """The host's PromptServer; None where ComfyUI is used without one."""
    # Importing it would start half a server in a program that has none.
    module = sys.modules.get("server")
    return getattr(getattr(module, "PromptServer", None), "instance", None)


def add_post_route(path: str, answer: Callable[[Any], Any]) -> None:
    """Let the server, if there is one, answer a POST of JSON with JSON."""
    server = running_server()
    if server is None:
        return
    from aiohttp import web

    @server.routes.post(path)
    async def handle(request: web.Request) -> web.Response:
        try:
            question = await request.json()
        except ValueError:
            return web.json_response({"error": "The request is no JSON."}, status=400)
        return web.json_response(answer(question))


def somebody_listens() -> bool:
    """Whether a browser is connected."""
    server = running_server()
    return server is not None and bool(server.sockets)


def send(event: str, data: dict[str, Any]) -> None:
    """Send an event to the browser that has queued the prompt under way; nobody hears it where there is none."""
    server = running_server()
    if server is not None and server.sockets:
        server.send_sync(event, data, server.client_id)


def executing_workflow() -> str | None:
    """The editor's id of the workflow that runs now in this thread; None for a prompt that came without one."""
    context, server = get_executing_context(), running_server()
    if context is None or server is None:
        return None
    running, _ = server.prompt_queue.get_current_queue_volatile()
    for _number, prompt_id, _prompt, extra_data, *_ in running:
        if prompt_id == context.prompt_id:
            return extra_data.get("extra_pnginfo", {}).get("workflow", {}).get("id")
    return None
