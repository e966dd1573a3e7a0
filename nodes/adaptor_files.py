"""Adaptors as files in models/clockwork: one node to load them, or one that is built in, and one to save them."""

from __future__ import annotations

from pathlib import Path

import folder_paths
from comfy_api.latest import io

from ..adaptors import BUILT_IN, LearnedAdaptor
from ..adaptors.files import SUFFIX, load_adaptor, save_adaptor
from ..clockwork_core.checks import require_text, shown
from .contained import path_inside
from .types import CATEGORY, Adaptor

FOLDER = "clockwork"
LONGEST_PREFIX = 200


def register_folder() -> None:
    """Make models/clockwork known to the host, beside what a user's extra_model_paths.yaml says of it."""
    folder_paths.add_model_folder_path(FOLDER, str(Path(folder_paths.models_dir) / FOLDER))
    paths, extensions = folder_paths.folder_names_and_paths[FOLDER]
    # The host gives a key that it does not know an empty set, which would list every file.
    folder_paths.folder_names_and_paths[FOLDER] = (paths, {*extensions, SUFFIX})


register_folder()


class ClockworkLoadAdaptor(io.ComfyNode):
    """Load an adaptor file, or one of the adaptors that need none."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ClockworkLoadAdaptor",
            display_name="Load Clockwork Adaptor",
            category=CATEGORY,
            description="What stands in for the skipped part of the UNet: a built-in adaptor, or a trained one from "
            "models/clockwork. Connect it to the Clockwork node.",
            inputs=[
                io.Combo.Input(
                    "adaptor_name",
                    options=[*BUILT_IN, *folder_paths.get_filename_list(FOLDER)],
                    default="identity",
                    tooltip="identity: a copy of the last full pass. extrapolation: carries the trend of the last two "
                    "full passes on; better with many steps. Others: files that were trained for one kind of run.",
                )
            ],
            outputs=[Adaptor.Output(display_name="adaptor")],
        )

    @classmethod
    def fingerprint_inputs(cls, adaptor_name) -> str:
        path = None if adaptor_name in BUILT_IN else folder_paths.get_full_path(FOLDER, adaptor_name)
        if path is None:
            return adaptor_name
        status = Path(path).stat()
        return f"{adaptor_name} {status.st_mtime_ns} {status.st_size}"

    @classmethod
    def execute(cls, adaptor_name) -> io.NodeOutput:
        require_text("adaptor_name", adaptor_name)
        if adaptor_name in BUILT_IN:
            return io.NodeOutput(BUILT_IN[adaptor_name]())
        return io.NodeOutput(load_adaptor(Path(folder_paths.get_full_path_or_raise(FOLDER, adaptor_name))))


class ClockworkSaveAdaptor(io.ComfyNode):
    """Save a trained adaptor, to load and to share."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ClockworkSaveAdaptor",
            display_name="Save Clockwork Adaptor",
            category=CATEGORY,
            description="Saves a trained adaptor into models/clockwork.",
            inputs=[
                Adaptor.Input("adaptor", tooltip="A trained adaptor; built-in ones need no file."),
                io.String.Input(
                    "filename_prefix",
                    default="adaptor",
                    tooltip="Name of the file; a number is added. May begin with subfolders of models/clockwork.",
                ),
            ],
            outputs=[],
            is_output_node=True,
        )

    @classmethod
    def execute(cls, adaptor, filename_prefix) -> io.NodeOutput:
        if not isinstance(adaptor, LearnedAdaptor):
            raise ValueError(
                f"adaptor is {shown(adaptor)}, which is no trained one: there is nothing to save. "
                f"{' and '.join(BUILT_IN)} are built in: choose them by name in Load Clockwork Adaptor."
            )
        path = next_path(filename_prefix)
        save_adaptor(adaptor, path)
        return io.NodeOutput(ui={"text": [f"Saved as {path}"]})


def next_path(filename_prefix: str) -> Path:
    """The next free file of this name in models/clockwork, numbered as the host numbers its own.

    Raises ValueError if there is no name, or if it leads out of that folder.
    """
    require_text("filename_prefix", filename_prefix)
    if len(filename_prefix) > LONGEST_PREFIX or "\0" in filename_prefix:
        raise ValueError(
            f"filename_prefix is {shown(filename_prefix)}, but must be a name of at most {LONGEST_PREFIX} characters."
        )
    root = Path(folder_paths.get_folder_paths(FOLDER)[0]).absolute()
    if path_inside(root, filename_prefix) in (None, root):
        raise ValueError(f"filename_prefix is {filename_prefix!r}, but must be a name inside {root}.")
    folder, name, counter, *_ = folder_paths.get_save_image_path(filename_prefix, str(root))
    return Path(folder) / f"{name}_{counter:05}_{SUFFIX}"
