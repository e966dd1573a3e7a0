"""The folder that a host runs in."""

import pytest
from base_directory import PACK_NAME, link_folder, prepare_base_directory


def test_the_pack_is_among_the_custom_nodes(tmp_path):
    pack = tmp_path / "pack"
    pack.mkdir()
    base = prepare_base_directory(tmp_path / "base", pack)
    assert prepare_base_directory(base, pack) == base
    assert (base / "custom_nodes" / PACK_NAME).resolve() == pack
    assert (base / "input").is_dir()


def test_a_link_that_leads_elsewhere_is_made_anew(tmp_path):
    old, new, link = tmp_path / "old", tmp_path / "new", tmp_path / "link"
    new.mkdir()
    link.symlink_to(old)
    link_folder(link, new)
    assert link.resolve() == new


def test_a_real_folder_is_never_replaced(tmp_path):
    link, target = tmp_path / "link", tmp_path / "target"
    link.mkdir()
    target.mkdir()
    with pytest.raises(FileExistsError, match="folder of its own"):
        link_folder(link, target)
