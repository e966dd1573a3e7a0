"""What tests read off a prompt that a real server has run."""

from __future__ import annotations

import io
import json

import numpy as np
from PIL import Image


def picture(server, entry):
    """The first saved picture of a prompt, (H, W, 3) in 0 .. 255."""
    saved = entry["outputs"]["save"]["images"][0]
    return np.asarray(Image.open(io.BytesIO(server.view(**saved))).convert("RGB")).astype(int)


def run(server, graph):
    return server.wait(server.queue(graph), timeout=120)


def report(entry):
    return json.loads(entry["outputs"]["report"]["clockwork_report"][0])


def kinds(entry):
    return "".join("F" if each["kind"] == "full" else "a" for each in report(entry)["per_evaluation"])
