"""The pack as users get it: packed by the registry's own tool, unpacked into the custom nodes of an empty folder."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from comfy_server import ComfyServer
from host_command import ROOT

TOOLS = ROOT / ".cache" / "packaging"
PACK_NAME = "clockwork-diffusion"
"""The folder that the registry's installers make: the name of the project."""


@pytest.fixture(scope="session")
def tool(tmp_path_factory):
    """Runs one of the tools in a folder, with a home of its own and nothing of it told to anybody."""
    if not (TOOLS / "comfy_cli").is_dir():
        pytest.skip("comfy-cli, nodesafe and comfy-import-guard are missing: ./run test fetches them")
    environment = {
        **os.environ,
        "HOME": str(tmp_path_factory.mktemp("home")),
        "PYTHONPATH": str(TOOLS),
        "DO_NOT_TRACK": "1",
    }

    def run(folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", *(str(argument) for argument in arguments)]
        return subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, encoding="utf-8", check=False
        )

    return run


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", "-C", folder, *arguments], capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="session")
def repository(tmp_path_factory):
    """A clean clone, with what is not committed yet."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("packing needs git and a clone, for only git knows which files belong to the repository")
    clone = tmp_path_factory.mktemp("clone")
    for name in git(ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0"):
        if name and (ROOT / name).is_file():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, clone / name)
    git(clone, "init", "--quiet")
    git(clone, "add", "--all")
    return clone


@pytest.fixture(scope="session")
def tracked_files(repository):
    """The names of all files that git knows in that clone."""
    return {name for name in git(repository, "ls-files", "-z").split("\0") if name}


@pytest.fixture(scope="session")
def archive(repository, tool):
    """The zip that the registry would get."""
    done = tool(repository, "comfy_cli", "--skip-prompt", "node", "pack")
    assert done.returncode == 0, done.stdout + done.stderr
    return repository / "node.zip"


@pytest.fixture(scope="session")
def install(archive, tmp_path_factory):
    """A base directory whose only custom node is the unpacked zip."""
    base = tmp_path_factory.mktemp("install")
    with zipfile.ZipFile(archive) as file:
        file.extractall(base / "custom_nodes" / PACK_NAME)
    return base


@pytest.fixture(scope="session")
def installed_server(install):
    with ComfyServer(install, pack=None) as running:
        yield running
