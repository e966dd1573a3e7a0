"""Clockwork Diffusion for ComfyUI. ComfyUI finds the nodes through `comfy_entrypoint`."""

import logging

WEB_DIRECTORY = "./web"


async def comfy_entrypoint():
    """Return the extension that lists our nodes; called once by ComfyUI when it loads custom nodes."""
    try:
        from .nodes import ClockworkExtension
    except Exception:
        # The host prints only the message of an error in an entry point, which is too little to act on.
        logging.exception("[Clockwork] The nodes could not be loaded.")
        raise
    return ClockworkExtension()
