"""The command line of a server."""

from pathlib import Path

import host_command


def test_a_machine_with_an_accelerator_needs_no_options():
    assert host_command.device_arguments(accelerator=True) == []


def test_a_cpu_gets_the_fast_attention():
    assert host_command.device_arguments(accelerator=False) == ["--cpu", "--use-pytorch-cross-attention"]


def test_the_users_attention_is_not_contradicted():
    assert host_command.device_arguments(False, ["--use-split-cross-attention"]) == ["--cpu"]


def test_all_files_stay_in_the_base_directory(monkeypatch):
    monkeypatch.setattr(host_command, "has_accelerator", lambda _python: True)
    command = host_command.host_command("python", Path("/host"), Path("/base"), 81, ["--lowvram"])
    assert command[:2] == ["python", str(Path("/host/main.py"))]
    assert command[command.index("--base-directory") + 1] == str(Path("/base"))
    assert command[command.index("--database-url") + 1] == "sqlite:////base/user/comfyui.db"
    assert command[command.index("--port") + 1] == "81"
    assert command[-1] == "--lowvram"
