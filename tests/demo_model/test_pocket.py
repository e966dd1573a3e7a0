"""The pocket model through the host's own nodes and functions: they must work on it as on any checkpoint."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import comfy.clip_model
import comfy.model_base
import comfy.ops
import comfy.sample
import latent_preview
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from comfy.cli_args import LatentPreviewMethod, args
from comfy.sd1_clip import SDTokenizer
from safetensors.torch import load_file, safe_open, save_file

import nodes as host_nodes
from clockwork_pack.demo_model import DEFAULT, load_demo_model, read_pocket_file

PROMPT = "red heart on a blue background"


@pytest.fixture(scope="module")
def demo():
    return load_demo_model()


@pytest.fixture(scope="module")
def pocket_file():
    return read_pocket_file(DEFAULT)


def encode(demo, prompt: str):
    return host_nodes.CLIPTextEncode().encode(demo.clip, prompt)[0]


def sample(demo, prompt: str = PROMPT, steps: int = 4, size: int = 256, callback=None):
    latent = host_nodes.EmptyLatentImage().generate(size, size)[0]["samples"]
    latent = comfy.sample.fix_empty_latent_channels(demo.model, latent)
    noise = comfy.sample.prepare_noise(latent, seed=5)
    return comfy.sample.sample(
        demo.model, noise, steps, 4.0, "dpmpp_2m", "karras", encode(demo, prompt), encode(demo, ""), latent,
        seed=5, callback=callback, disable_pbar=True,
    )  # fmt: skip


def rewritten(folder: Path, change) -> Path:
    """A copy of the shipped file after `change(tensors, metadata)`."""
    with safe_open(DEFAULT, framework="pt") as file:
        metadata = dict(file.metadata())
    tensors = load_file(DEFAULT)
    change(tensors, metadata)
    path = folder / "changed.safetensors"
    save_file(tensors, path, metadata)
    return path


def test_the_host_sees_a_v_prediction_model_of_its_own_kind(demo):
    assert type(demo.model.model) is comfy.model_base.BaseModel
    assert demo.model.model.model_type is comfy.model_base.ModelType.V_PREDICTION
    assert demo.model.model.concat_keys == ()  # twelve channels, yet no inpainting model
    assert demo.model.get_model_object("latent_format").latent_channels == 12


def test_samples_end_to_end(demo):
    samples = sample(demo)
    assert samples.shape == (1, 12, 32, 32)
    assert torch.isfinite(samples).all()
    assert torch.equal(samples, sample(demo))


def test_loads_inside_a_node(demo):
    with torch.inference_mode():
        assert torch.equal(sample(load_demo_model()), sample(demo))


def test_draws_what_the_prompt_says(demo):
    """Trained, not random: the corner of the picture has the colour of the prompt."""
    for colour, channel in (("red", 0), ("green", 1), ("blue", 2)):
        picture = demo.vae.decode(sample(demo, f"star on a {colour} background", steps=8))[0]
        corner = picture[:24, :24].mean((0, 1))
        assert corner.argmax() == channel
        assert corner[channel] - corner.sort().values[1] > 0.1


@torch.no_grad()
def test_text_embeddings_equal_the_direct_evaluation_of_the_first_24_tokens(demo, pocket_file):
    """As in training: a prompt padded to 77 tokens, of which the networks see the first 24."""
    text = comfy.clip_model.CLIPTextModel_(pocket_file.text_config, torch.float32, "cpu", comfy.ops.disable_weight_init)
    weights = {key: value.float() for key, value in pocket_file.text.items()}
    weights["embeddings.token_embedding.weight"] = pocket_file.token_embedding(49408).float()
    text.load_state_dict(weights)
    for prompt in (PROMPT, "", "airplane"):
        tokens = [token for token, _ in SDTokenizer(embedding_size=64).tokenize_with_weights(prompt)[0]]
        expected = text(torch.tensor([tokens[:24]]), dtype=torch.float32)[0]
        torch.testing.assert_close(encode(demo, prompt)[0][0], expected, rtol=0, atol=1e-5)


def test_long_prompts_go_to_further_sections(demo):
    context = encode(demo, " ".join(["star"] * 30))[0][0]
    assert context.shape == (1, 48, 64)
    assert torch.isfinite(context).all()


def test_pooled_output_is_finite(demo):
    assert torch.isfinite(encode(demo, PROMPT)[0][1]["pooled_output"]).all()


def test_decoding_loses_nothing(demo):
    latents = torch.rand(2, 12, 8, 6) * 2 - 1
    pictures = host_nodes.VAEDecode().decode(demo.vae, {"samples": latents})[0]
    assert pictures.shape == (2, 64, 48, 3)
    assert 0 <= pictures.min() <= pictures.max() <= 1
    again = host_nodes.VAEEncode().encode(demo.vae, pictures)[0]["samples"]
    torch.testing.assert_close(again, latents, rtol=0, atol=1e-6)


def test_a_latent_cell_is_four_squares_of_four_pixels(demo):
    latent = torch.zeros(1, 12, 1, 1)
    latent[0, 3] = 1.0  # red of the lower right sub-pixel
    picture = demo.vae.decode(latent)[0]
    assert (picture[4:, 4:, 0] == 1.0).all()
    assert (picture[:4, :, 0] == 0.5).all()
    assert (picture[:, :, 1:] == 0.5).all()


@torch.inference_mode()  # as the host's executor does; its tiled encoding needs it
def test_tiles_give_the_same_picture(demo):
    latents = torch.rand(1, 12, 80, 72) * 2 - 1
    whole = demo.vae.decode(latents)
    torch.testing.assert_close(demo.vae.decode_tiled(latents, tile_x=32, tile_y=32, overlap=8), whole)
    torch.testing.assert_close(demo.vae.encode_tiled(whole), demo.vae.encode(whole), rtol=0, atol=1e-5)


def test_a_picture_of_odd_size_is_cropped_to_whole_cells(demo):
    assert demo.vae.encode(torch.rand(1, 67, 50, 3)).shape == (1, 12, 8, 6)


def test_the_hosts_preview_shows_the_picture(demo, monkeypatch):
    monkeypatch.setattr(args, "preview_method", LatentPreviewMethod.Latent2RGB)
    previewer = latent_preview.get_previewer("cpu", demo.model.get_model_object("latent_format"))
    seen = []
    sample(demo, callback=lambda _step, x0, _x, _total: seen.append(x0.clamp(-1, 1)))
    assert len(seen) == 4
    preview = previewer.decode_latent_to_preview(seen[-1])
    picture = demo.vae.decode(seen[-1]).movedim(-1, 1)
    shown = torch.from_numpy(np.array(preview)) / 255
    torch.testing.assert_close(shown, F.avg_pool2d(picture, 8)[0].movedim(0, -1), rtol=0, atol=1.5 / 255)


def test_reads_the_words_that_it_knows(pocket_file):
    assert len(pocket_file.icons) == 48
    assert len(pocket_file.colours) == 10
    assert pocket_file.updates > 0


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no pocket model at .*nothing\.safetensors"):
        load_demo_model(tmp_path / "nothing.safetensors")


def test_a_cut_off_file_is_named(tmp_path):
    path = tmp_path / "half.safetensors"
    path.write_bytes(DEFAULT.read_bytes()[:100_000])
    with pytest.raises(ValueError, match=r"half\.safetensors is not a whole safetensors file"):
        load_demo_model(path)


def test_another_models_file_is_refused(tmp_path):
    path = tmp_path / "other.safetensors"
    save_file({"weight": torch.zeros(1)}, path)
    with pytest.raises(ValueError, match="no pocket model: its 'prediction' is None"):
        load_demo_model(path)


@pytest.mark.parametrize("key", ["text.token_rows", "text.embeddings.position_embedding.weight", "unet.out.2.weight"])
def test_a_missing_weight_is_named(tmp_path, key):
    path = rewritten(tmp_path, lambda tensors, _: tensors.pop(key))
    with pytest.raises(ValueError, match=key.removeprefix("unet.")):
        load_demo_model(path)


def test_a_weight_of_another_shape_is_named(tmp_path):
    def halve(tensors, _):
        tensors["text.final_layer_norm.weight"] = tensors["text.final_layer_norm.weight"][:32].clone()

    with pytest.raises(ValueError, match=r"(?s)changed\.safetensors.*final_layer_norm"):
        load_demo_model(rewritten(tmp_path, halve))


def test_missing_and_damaged_metadata_are_named(tmp_path):
    with pytest.raises(ValueError, match="no 'icons'"):
        load_demo_model(rewritten(tmp_path, lambda _, metadata: metadata.pop("icons")))
    with pytest.raises(ValueError, match="not JSON"):
        load_demo_model(rewritten(tmp_path, lambda _, metadata: metadata.update(unet_config="{")))
    with pytest.raises(ValueError, match="beta_schedule"):
        load_demo_model(rewritten(tmp_path, lambda _, metadata: metadata.update(beta_schedule="cosine")))
    wide = json.dumps({**read_pocket_file(DEFAULT).unet_config, "model_channels": 64})
    with pytest.raises(ValueError, match="do not fit its configuration"):
        load_demo_model(rewritten(tmp_path, lambda _, metadata: metadata.update(unet_config=wide)))


def test_a_token_beyond_the_vocabulary_is_refused(pocket_file):
    beyond = replace(pocket_file, token_ids=torch.full_like(pocket_file.token_ids, 49408))
    with pytest.raises(ValueError, match="outside of the vocabulary"):
        beyond.token_embedding(49408)
