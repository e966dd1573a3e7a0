"""Scanners that users run on custom nodes: what they say of ours."""

import ast
import json
import re
import shutil
import subprocess

import pytest
from host_command import host_folder


def explanation(finding, source):
    """Why a finding of nodesafe is none; None if it may be one.

    nodesafe compares letters: it finds `ord(` in `record(`, and calls English of more than 4.5 bits a letter a hidden
    payload. The syntax tree tells these from what it looks for.
    """
    tree = ast.parse(source)
    if finding["category"] == "code_obfuscation_high_entropy":
        texts = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
        here = [node.value for node in texts if node.lineno == finding["line"] and len(node.value) >= 40]
        return "prose, or a pattern with named groups" if here and all(map(is_readable, here)) else None
    if finding["category"] == "dynamic_attribute_access":
        return "a name out of our own code"
    if finding["category"] == "unsafe_deserialization" and "pickle" not in called_modules(tree):
        return "only the names of pickle's errors are used"
    pattern = re.search(r"pattern `(\w+)\(`", finding["title"])
    if pattern and pattern[1] not in called_names(tree):
        return "another function whose name ends with these letters"
    return None


def called_names(tree):
    """The plain names that are called anywhere in a file."""
    return {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}


def called_modules(tree):
    """The names before the dot of calls such as `pickle.loads(...)`."""
    calls = [
        node.func for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    ]
    return {function.value.id for function in calls if isinstance(function.value, ast.Name)}


def is_readable(text):
    return is_prose(text) or "(?P<" in text


def is_prose(text):
    """Whether this is language for people: words of ordinary length, with spaces between them."""
    words = text.split()
    return len(words) >= 4 and max(map(len, words)) < 60 and sum(map(len, words)) / len(words) < 9


def test_nodesafe_finds_nothing(install, tool):
    done = tool(install, "nodesafe.cli", "scan", install / "custom_nodes", "--format", "json")
    report = json.loads(done.stdout)
    assert report["scan"]["layers_run"] == ["L0", "L1", "L2", "L3", "L4", "L5"]
    assert {finding["severity"] for finding in report["findings"]} <= {"medium", "low"}, "none that it calls malicious"
    left = []
    for finding in report["findings"]:
        source = (install / "custom_nodes" / finding["file"]).read_text(encoding="utf-8") if finding["file"] else ""
        if explanation(finding, source) is None:
            left.append((finding["severity"], finding["title"], finding["file"], finding["line"], finding["snippet"]))
    assert left == []


@pytest.mark.parametrize(
    ("category", "title", "source"),
    [
        ("code_execution", "code_execution: pattern `exec(` matched", "exec('1')"),
        ("obfuscation_chains", "obfuscation_chains: pattern `ord(` matched", "self.record(1); ord('a')"),
        ("code_obfuscation_high_entropy", "high-entropy literal", f"x = '{'aZ3k+9Qx/7Lm' * 8}'"),
        ("unsafe_deserialization", "Import of pickle", "import pickle; pickle.loads(x)"),
        ("network", "network: pattern `requests.post` matched", "requests.post(x)"),
    ],
)
def test_a_real_finding_is_not_explained_away(category, title, source):
    assert explanation({"category": category, "title": title, "line": 1}, source) is None


def test_comfy_import_guard_finds_nothing(install, tool, tmp_path):
    """All that we use of ComfyUI is there: in the ComfyUI at hand, which takes the place of the tool's own clone."""
    clone = tmp_path / "ComfyUI"
    clone.mkdir()
    for name in ("comfy", "comfy_api", "comfy_extras"):
        shutil.copytree(host_folder() / name, clone / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("nodes.py", "folder_paths.py", "execution.py", "server.py", "comfyui_version.py"):
        shutil.copy(host_folder() / name, clone / name)
    author = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    for arguments in (["init", "--quiet"], ["add", "--all"], [*author, "commit", "--quiet", "-m", "host"]):
        subprocess.run(["git", "-C", clone, *arguments], check=True)
    options = ["--cache-dir", tmp_path, "--offline", "--json", "--quiet"]
    done = tool(
        tmp_path, "comfy_import_guard.cli", *options, "check", "--strict", "--comfy-dir", install, "--target", "HEAD"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (pack,) = json.loads(done.stdout)["packs"]
    assert pack["verdict"] == "SAFE"
    assert pack["references"] > 0
    assert [pack[key] for key in ("breaking", "signature_drift", "soft", "unresolvable", "unparseable")] == [[]] * 5
