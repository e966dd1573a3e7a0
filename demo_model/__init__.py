"""A small trained diffusion model that ships with the pack, so that everything can be tried without a checkpoint."""

from .file import PocketFile, read_pocket_file
from .pocket import DEFAULT, DemoModel, load_demo_model

__all__ = ["DEFAULT", "DemoModel", "PocketFile", "load_demo_model", "read_pocket_file"]
