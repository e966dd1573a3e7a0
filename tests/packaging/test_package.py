"""What the registry takes, and what a user gets from it."""

import io
import json
import zipfile

import pytest
from host_command import ROOT
from PIL import Image
from workflow import to_api_prompt

from clockwork_pack.nodes import NODES

tomllib = pytest.importorskip("tomllib", reason="Python reads TOML since 3.11")

NODE_IDS = {node.define_schema().node_id for node in NODES}
NOT_NEEDED = {".ci", ".comfyignore", ".github", ".gitignore", "assets", "benchmarks", "docs", "run", "tests", "tools"}


@pytest.fixture(scope="module")
def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


class TestDescription:
    def test_comfy_node_validate_is_clean(self, repository, tool):
        done = tool(repository, "comfy_cli", "--skip-prompt", "node", "validate")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "All validation checks passed" in done.stdout + done.stderr
        assert "arning" not in done.stdout + done.stderr

    def test_all_addresses_lie_in_the_one_repository(self, project):
        repository = project["project"]["urls"]["Repository"]
        files = repository.replace("github.com", "raw.githubusercontent.com") + "/main/"
        assert all(url.startswith(repository) for url in project["project"]["urls"].values())
        for key in ("Icon", "Banner"):
            assert (ROOT / project["tool"]["comfy"][key].removeprefix(files)).is_file()

    def test_icon_and_banner_have_the_registrys_sizes(self):
        icon, banner = (Image.open(ROOT / "assets" / name) for name in ("icon.png", "banner.png"))
        assert icon.width == icon.height <= 400
        assert 9 * banner.width == 21 * banner.height

    def test_the_changelog_tells_of_this_version(self, project):
        assert f"\n## {project['project']['version']}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")

    def test_nothing_is_installed_beside_comfyui(self, project):
        assert project["project"]["dependencies"] == []
        assert "build-system" not in project, "an install would put a top-level `nodes` into site-packages"


class TestArchive:
    def test_it_lacks_what_only_developers_need_and_nothing_else(self, archive, tracked_files):
        with zipfile.ZipFile(archive) as file:
            packed = set(file.namelist())
        assert packed == {name for name in tracked_files if name.partition("/")[0] not in NOT_NEEDED}

    def test_it_is_small(self, archive):
        # The demo model is 11.9 MB and does not compress well; the registry names no limit.
        assert archive.stat().st_size < 15e6


@pytest.mark.server
class TestInstalled:
    def test_it_starts_without_a_complaint_and_lists_all_nodes(self, installed_server, install):
        (folder,) = (install / "custom_nodes").iterdir()
        ours = [line for line in installed_server.log.splitlines() if "lockwork" in line]
        assert len(ours) == 1, "the line that tells how long the pack took to load"
        assert ours[0].endswith(f"seconds: {folder}")
        info = installed_server.object_info()
        assert {name for name in info if info[name]["python_module"] == f"custom_nodes.{folder.name}"} == NODE_IDS

    def test_a_first_picture(self, installed_server, install):
        (example,) = install.glob("custom_nodes/*/example_workflows/text-to-image-demo-model.json")
        graph = to_api_prompt(json.loads(example.read_text(encoding="utf-8")), installed_server.object_info())
        for node in graph.values():
            node["inputs"].update({"steps": 2} if node["class_type"] == "KSampler" else {})
        outputs = installed_server.wait(installed_server.queue(graph), timeout=120)["outputs"]
        saver = next(key for key, node in graph.items() if node["class_type"] == "SaveImage")
        saved = outputs[saver]["images"][0]
        assert Image.open(io.BytesIO(installed_server.view(**saved))).size == (256, 256)
