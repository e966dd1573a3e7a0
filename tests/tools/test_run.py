"""The command table of ./run, started as a user does, as far as it goes without any set-up."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = ("demo", "serve", "test", "bench", "train", "pocket")


def start(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "run"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=30, check=False)


@pytest.mark.parametrize("word", ["--help", "-h", "help"])
def test_help_lists_every_command(word):
    result = start(word)
    assert result.returncode == 0
    for command in COMMANDS:
        assert f"./run {command}" in result.stdout


def test_no_command_shows_the_help_and_fails():
    result = start()
    assert result.returncode == 2
    assert "usage: ./run COMMAND" in result.stdout


def test_an_unknown_command_is_named():
    result = start("dance")
    assert result.returncode == 2
    assert "there is no command 'dance'" in result.stdout
    assert "usage: ./run COMMAND" in result.stdout


def test_an_unknown_benchmark_is_named():
    result = start("bench", "no-such-benchmark")
    assert result.returncode == 2
    assert "there is no benchmark 'no-such-benchmark'" in result.stdout


def test_benchmarks_are_listed_without_any_set_up():
    result = start("bench")
    assert result.returncode == 0
    for benchmark in (ROOT / "benchmarks").glob("[!_]*.py"):
        assert benchmark.stem in result.stdout


def test_a_wrong_comfyui_path_ends_with_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("COMFYUI_PATH", str(tmp_path))
    result = start("demo")
    assert result.returncode == 1
    assert "there is no main.py there" in result.stdout
    assert "Traceback" not in result.stderr
