"""The types of our own links between nodes, and the menu that our nodes stand in."""

from comfy_api.latest import io

CATEGORY = "model_patches/clockwork"

Schedule = io.Custom("CLOCKWORK_SCHEDULE")
Adaptor = io.Custom("CLOCKWORK_ADAPTOR")
