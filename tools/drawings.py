"""Render the drawings in assets/*.svg: the registry's icon and banner, and what help pages show.

To run when one has changed: .venv/bin/python tools/drawings.py
"""

from __future__ import annotations

import resvg_py
from host_command import ROOT

ASSETS = ROOT / "assets"
HELP = ROOT / "web" / "docs" / "images"
ON_HELP_PAGES = ("cut", "schedules", "fitting", "training")
PLACES = {"icon": ASSETS, "banner": ASSETS, **dict.fromkeys(ON_HELP_PAGES, HELP)}
FONT = "DejaVu Sans"


def main() -> None:
    """Write a .png for each drawing."""
    for name, folder in PLACES.items():
        png = resvg_py.svg_to_bytes(svg_path=str(ASSETS / f"{name}.svg"), font_family=FONT, sans_serif_family=FONT)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.png").write_bytes(bytes(png))


if __name__ == "__main__":
    main()
