"""Checkpoints of true geometry: on the meta device, and written in small, so that nothing here takes gigabytes."""

from __future__ import annotations

import comfy.model_detection
import make_checkpoint as tool
import pytest
import torch
from comfy.utils import load_torch_file
from safetensors.torch import save_file

UNET_PREFIX = "model.diffusion_model."


@pytest.fixture(scope="module", params=["sd15", "sdxl"])
def geometry(request):
    return request.param


@pytest.fixture(scope="module")
def contents(geometry):
    return tool.inventory(geometry)


@pytest.fixture
def small_inventory(monkeypatch):
    """Stands in for the gigabytes: one tensor of each kind, and a constant."""
    contents = {
        "model.diffusion_model.out.2.weight": torch.empty(4, 32, 3, 3, device="meta", dtype=torch.float16),
        "model.diffusion_model.out.2.bias": torch.empty(4, device="meta", dtype=torch.float16),
        "model.diffusion_model.out.0.weight": torch.empty(32, device="meta", dtype=torch.float16),
        "cond_stage_model.logit_scale": torch.tensor(4.5),
        "cond_stage_model.position_ids": torch.arange(7).expand(1, -1),
    }
    monkeypatch.setattr(tool, "inventory", lambda _geometry: contents)
    return contents


def parameters_below(prefix: str, contents) -> int:
    return sum(tensor.numel() for name, tensor in contents.items() if name.startswith(prefix))


# The published models' counts.
UNET_PARAMETERS = {"sd15": 859_520_964, "sdxl": 2_567_463_684}
VAE_PARAMETERS = 83_653_863
CLIP_L_PARAMETERS = 123_060_480
CLIP_G_PARAMETERS = 694_659_841


def test_unet_and_vae_are_as_large_as_the_published_ones(geometry, contents):
    assert parameters_below(UNET_PREFIX, contents) == UNET_PARAMETERS[geometry]
    assert parameters_below("first_stage_model.", contents) == VAE_PARAMETERS


def test_text_encoders_have_their_published_names_and_sizes(geometry, contents):
    if geometry == "sd15":
        assert parameters_below("cond_stage_model.transformer.text_model.", contents) == CLIP_L_PARAMETERS
    else:
        clip_l = parameters_below("conditioner.embedders.0.transformer.text_model.", contents)
        position_ids = contents["conditioner.embedders.0.transformer.text_model.embeddings.position_ids"]
        assert clip_l - position_ids.numel() == CLIP_L_PARAMETERS
        assert parameters_below("conditioner.embedders.1.model.", contents) == CLIP_G_PARAMETERS


def test_no_weight_is_held_in_memory(contents):
    assert sum(tensor.numel() for tensor in contents.values() if not tensor.is_meta) < 100


def test_the_host_knows_it_for_what_it_is(geometry, contents):
    config = comfy.model_detection.model_config_from_unet(dict(contents), UNET_PREFIX)
    assert type(config).__name__ == {"sd15": "SD15", "sdxl": "SDXL"}[geometry]


def test_an_unknown_geometry_is_refused():
    with pytest.raises(ValueError, match="'sd3', but must be one of sd15, sdxl"):
        tool.inventory("sd3")


def test_a_layer_keeps_the_scale_of_its_input():
    weight = tool.random_weight("in_layers.2.weight", torch.Size((64, 32, 3, 3)), torch.Generator().manual_seed(0))
    output = torch.nn.functional.conv2d(torch.randn(2, 32, 16, 16), weight)
    assert output.std() == pytest.approx(1.0, abs=0.1)


def test_branch_ends_are_small_norms_are_one_biases_are_zero():
    generator = torch.Generator().manual_seed(0)
    shape = torch.Size((64, 64))
    inner = tool.random_weight("ff.net.0.proj.weight", shape, generator)
    end = tool.random_weight("ff.net.2.weight", shape, generator)
    assert end.std() / inner.std() == pytest.approx(0.1, rel=0.1)
    assert (tool.random_weight("norm1.weight", torch.Size((64,)), generator) == 1).all()
    assert (tool.random_weight("ff.net.2.bias", torch.Size((64,)), generator) == 0).all()


def test_the_file_is_what_the_host_reads(tmp_path, small_inventory):
    path = tmp_path / "folder" / "small.safetensors"
    assert tool.make_checkpoint("sd15", path, seed=3, report=lambda _: None)
    read, metadata = load_torch_file(str(path), return_metadata=True)
    assert {name: tensor.shape for name, tensor in read.items()} == {
        name: tensor.shape for name, tensor in small_inventory.items()
    }
    assert read["cond_stage_model.position_ids"].tolist() == [[0, 1, 2, 3, 4, 5, 6]]
    assert read["cond_stage_model.logit_scale"] == 4.5
    assert read["model.diffusion_model.out.2.weight"].dtype == torch.float16
    assert metadata["geometry"] == "sd15"
    assert [entry.name for entry in path.parent.iterdir()] == ["small.safetensors"]


@pytest.mark.usefixtures("small_inventory")
def test_the_seed_decides(tmp_path):
    first, again, other = (tmp_path / f"{name}.safetensors" for name in ("first", "again", "other"))
    for path, seed in ((first, 0), (again, 0), (other, 1)):
        tool.make_checkpoint("sd15", path, seed, report=lambda _: None)
    assert first.read_bytes() == again.read_bytes()
    assert first.read_bytes() != other.read_bytes()


@pytest.mark.usefixtures("small_inventory")
def test_the_same_recipe_is_not_made_twice(tmp_path):
    path = tmp_path / "small.safetensors"
    said = []
    assert tool.make_checkpoint("sd15", path, report=said.append)
    assert not tool.make_checkpoint("sd15", path, report=said.append)
    assert said[-1].endswith("is there already.")
    assert tool.make_checkpoint("sd15", path, seed=1, report=said.append)


@pytest.mark.usefixtures("small_inventory")
@pytest.mark.parametrize("whole", [True, False])
def test_a_file_of_the_users_is_never_overwritten(tmp_path, whole):
    path = tmp_path / "precious.safetensors"
    if whole:
        save_file({"weight": torch.zeros(1)}, path)
    else:
        path.write_bytes(b"not a safetensors file")
    before = path.read_bytes()
    with pytest.raises(FileExistsError, match=r"precious\.safetensors exists and was not made by this tool"):
        tool.make_checkpoint("sd15", path)
    assert path.read_bytes() == before


@pytest.mark.usefixtures("small_inventory")
def test_a_failure_leaves_nothing_behind(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(tool, "random_weight", fail)
    with pytest.raises(OSError, match="disk full"):
        tool.make_checkpoint("sd15", tmp_path / "small.safetensors", report=lambda _: None)
    assert list(tmp_path.iterdir()) == []
