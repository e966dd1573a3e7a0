"""The nodes that load and save adaptors, in a folder of models of their own."""

import os
from pathlib import Path

import folder_paths
import pytest
import toys
from adaptor_files import DESCRIPTION, trained_adaptor
from clockwork import kinds, last_report

from clockwork_pack.adaptors import Extrapolation, Identity
from clockwork_pack.adaptors.files import save_adaptor
from clockwork_pack.nodes.adaptor_files import (
    FOLDER,
    ClockworkLoadAdaptor,
    ClockworkSaveAdaptor,
    register_folder,
)
from clockwork_pack.nodes.apply import ClockworkApply


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """models/clockwork, as the host knows it while this test runs; the folder itself is yet to be made."""
    monkeypatch.setitem(folder_paths.folder_names_and_paths, FOLDER, ([str(tmp_path / "clockwork")], {".safetensors"}))
    monkeypatch.setattr(folder_paths, "filename_list_cache", {})
    return tmp_path / "clockwork"


def load(name):
    return ClockworkLoadAdaptor.execute(name).result[0]


def choices():
    return ClockworkLoadAdaptor.define_schema().inputs[0].options


class TestFolder:
    def test_registered_beside_the_hosts_other_models(self):
        paths, extensions = folder_paths.folder_names_and_paths[FOLDER]
        assert str(Path(folder_paths.models_dir) / "clockwork") in paths
        assert extensions == {".safetensors"}

    def test_a_folder_of_the_user_comes_first(self, monkeypatch, tmp_path):
        """As extra_model_paths.yaml is read before custom nodes are, and makes the key with an empty set."""
        monkeypatch.delitem(folder_paths.folder_names_and_paths, FOLDER)
        folder_paths.add_model_folder_path(FOLDER, str(tmp_path))
        register_folder()
        paths, extensions = folder_paths.folder_names_and_paths[FOLDER]
        assert paths == [str(tmp_path), str(Path(folder_paths.models_dir) / "clockwork")]
        assert extensions == {".safetensors"}


class TestLoad:
    def test_choices_are_the_built_in_ones_then_the_files(self, folder):
        assert choices() == ["identity", "extrapolation"]
        (folder / "mine").mkdir(parents=True)
        for name in ("b.safetensors", "mine/a.safetensors", "no.ckpt", ".c.safetensors.half"):
            (folder / name).write_bytes(b"")
        assert choices() == ["identity", "extrapolation", "b.safetensors", str(Path("mine/a.safetensors"))]

    def test_built_in(self):
        assert load("identity") == Identity()
        assert load("extrapolation") == Extrapolation()

    def test_a_file_that_is_gone(self, folder):  # noqa: ARG002
        with pytest.raises(FileNotFoundError, match=r"'gone.safetensors' not found"):
            load("gone.safetensors")

    def test_a_file_outside_the_folder(self, folder):
        (folder.parent / "outside.safetensors").write_bytes(b"")
        with pytest.raises(FileNotFoundError):
            load("../outside.safetensors")

    def test_fingerprint_changes_with_the_file_and_never_fails(self, folder):
        fingerprint = ClockworkLoadAdaptor.fingerprint_inputs
        assert fingerprint("identity") == "identity"
        assert fingerprint("a.safetensors") == "a.safetensors"
        folder.mkdir()
        save_adaptor(trained_adaptor(), folder / "a.safetensors")
        first = fingerprint("a.safetensors")
        assert fingerprint("a.safetensors") == first
        os.utime(folder / "a.safetensors", ns=(1, 1))
        assert fingerprint("a.safetensors") != first


class TestSave:
    def test_numbered_as_the_host_does_and_listed_at_once(self, folder):
        for _ in range(2):
            output = ClockworkSaveAdaptor.execute(trained_adaptor(), "sd15/icons")
        assert output.ui["text"] == [f"Saved as {folder / 'sd15' / 'icons_00002_.safetensors'}"]
        assert choices()[2:] == [str(Path(f"sd15/icons_0000{number}_.safetensors")) for number in (1, 2)]
        assert load(choices()[2]).description == DESCRIPTION

    @pytest.mark.parametrize("adaptor", [Identity(), Extrapolation()])
    def test_built_in_ones_are_refused(self, adaptor, folder):
        with pytest.raises(ValueError, match="which is no trained one: there is nothing to save"):
            ClockworkSaveAdaptor.execute(adaptor, "a")
        assert not folder.exists()

    @pytest.mark.parametrize("prefix", ["../a", "/tmp/a", "a/../../b", "", ".", "a/.."])
    def test_names_that_lead_out_of_the_folder(self, prefix, folder):
        with pytest.raises(ValueError, match=r"filename_prefix is .*, but must be a name inside"):
            ClockworkSaveAdaptor.execute(trained_adaptor(), prefix)
        assert not folder.exists()


def test_from_a_file_into_a_picture(folder):
    ClockworkSaveAdaptor.execute(trained_adaptor(), "a")
    model = toys.toy_model("sd15")
    adaptor = load("a_00001_.safetensors")
    patched = ClockworkApply.execute(model, 2, "stage 1", 3, 0.0, 1.0, adaptor=adaptor).result[0]
    toys.sample(patched, steps=4)
    assert kinds(patched) == "FaFa"
    assert "with the adaptor (resnet)" in last_report(patched).text()
    assert folder.exists()
