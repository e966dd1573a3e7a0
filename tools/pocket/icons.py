"""The pictures: 48 of Microsoft's Fluent Emoji (MIT), fetched with npm and rendered once."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

PACKAGE = "@iconify-json/fluent-emoji@1.2.7"
SIDE = 96

ICONS = tuple(Path(__file__).with_name("icons.txt").read_text(encoding="utf-8").splitlines())


@dataclass(frozen=True)
class IconSet:
    """names: one for each picture. rgba (n, 4, side, side): uint8, straight alpha."""

    names: tuple[str, ...]
    rgba: Tensor

    def __post_init__(self) -> None:
        if self.rgba.ndim != 4 or self.rgba.shape[:2] != (len(self.names), 4) or self.rgba.dtype != torch.uint8:
            raise ValueError(
                f"{len(self.names)} icons need uint8 pictures ({len(self.names)}, 4, side, side), "
                f"not {self.rgba.dtype} {tuple(self.rgba.shape)}."
            )


def load_icons(cache: Path) -> IconSet:
    """The icons, rendered; fetched and rendered into the folder `cache` the first time.

    Raises RuntimeError with a sentence if npm or resvg-py is missing, or npm fails.
    """
    rendered = cache / "icons.safetensors"
    source = {"package": PACKAGE, "icons": json.dumps(ICONS)}
    if rendered.exists():
        with safe_open(rendered, framework="pt") as file:
            if file.metadata() == source:
                return IconSet(ICONS, file.get_tensor("rgba"))
    collection = _read_collection(_fetch(cache))
    rgba = torch.from_numpy(np.stack([render(_svg(collection, name)) for name in ICONS]))
    icons = IconSet(ICONS, rgba.permute(0, 3, 1, 2).contiguous())
    unfinished = rendered.with_suffix(".part")
    save_file({"rgba": icons.rgba}, unfinished, source)
    unfinished.replace(rendered)
    return icons


def render(svg: str) -> np.ndarray:
    """An SVG drawing as uint8 RGBA (side, side, 4). Raises RuntimeError if resvg-py is missing."""
    try:
        import resvg_py
    except ImportError as error:
        raise RuntimeError("Rendering the icons needs resvg-py, which ./run pocket installs.") from error
    png = bytes(resvg_py.svg_to_bytes(svg_string=svg, width=SIDE, height=SIDE))
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGBA"))


def _fetch(cache: Path) -> Path:
    """The npm package's archive in `cache`."""
    cache.mkdir(parents=True, exist_ok=True)
    archive = cache / (PACKAGE.removeprefix("@").replace("/", "-").replace("@", "-") + ".tgz")
    if archive.exists():
        return archive
    npm = shutil.which("npm")
    if npm is None:
        raise RuntimeError(f"Fetching the icons needs npm (for {PACKAGE}); install Node.js.")
    # npm writes the archive in place, so into a folder of its own: an interrupted download is then never taken.
    downloads = cache / "downloads"
    downloads.mkdir(exist_ok=True)
    command = [npm, "pack", PACKAGE, "--silent", "--pack-destination", str(downloads)]
    outcome = subprocess.run(command, capture_output=True, text=True, check=False)
    if outcome.returncode != 0:
        raise RuntimeError(f"npm could not fetch {PACKAGE}: {outcome.stderr.strip()}")
    (downloads / archive.name).replace(archive)
    return archive


def _read_collection(archive: Path) -> dict[str, Any]:
    with tarfile.open(archive) as package:
        member = package.extractfile("package/icons.json")
        if member is None:
            raise RuntimeError(f"{archive} has no icons.json.")
        return json.load(member)


def _svg(collection: dict[str, Any], name: str) -> str:
    """An icon's drawing, `side` pixels square; what is wider or higher than square is centred."""
    icon = collection["icons"][name.replace(" ", "-")]
    width = icon.get("width", collection["width"])
    height = icon.get("height", collection["height"])
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="0 0 {width} {height}" width="{SIDE}" height="{SIDE}">{icon["body"]}</svg>'
    )
