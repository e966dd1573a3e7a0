"""ClockworkFitAdaptor in the hands of the host: from prompts to a saved file, to a run with it."""

import folder_paths
import pytest
import torch
import toys
from clockwork import kinds, with_clockwork

from clockwork_pack.nodes.adaptor_files import FOLDER, ClockworkLoadAdaptor, ClockworkSaveAdaptor
from clockwork_pack.nodes.apply import ClockworkApply
from clockwork_pack.nodes.fit import ClockworkFitAdaptor
from clockwork_pack.nodes.teacher_inputs import UNPATCHED

SETTINGS = {
    "prompts": "",
    "latent": {"samples": torch.zeros(2, 4, 8, 8)},
    "steps": 4,
    "sampler_name": "euler",
    "scheduler": "normal",
    "cfg": 3.0,
    "clock": 2,
    "cut": "stage 1",
    "kept_blocks": 3,
    "pictures": 4,
    "memory_limit": 1.0,
    "seed": 0,
    "positive": toys.conditioning(1, tokens=8) + toys.conditioning(2, tokens=16),
    "negative": toys.conditioning(3, tokens=8),
}


class Clip:
    """Encodes a text as the host's CLIPs do, by its length."""

    def tokenize(self, text):
        return len(text)

    def encode_from_tokens_scheduled(self, tokens):
        return toys.conditioning(tokens, tokens=8)


@pytest.fixture(scope="module")
def model():
    return toys.model_of(toys.TINIEST)


def execute(model, **changes):
    with torch.inference_mode():
        return ClockworkFitAdaptor.execute(model, **{**SETTINGS, **changes})


def test_fit_save_load_sample(model, tmp_path, monkeypatch):
    monkeypatch.setitem(folder_paths.folder_names_and_paths, FOLDER, ([str(tmp_path)], {".safetensors"}))
    output = execute(model)
    adaptor, text = output.result
    ClockworkSaveAdaptor.execute(adaptor, "fitted")
    loaded = ClockworkLoadAdaptor.execute("fitted_00001_.safetensors").result[0]
    patched = ClockworkApply.execute(model, 2, "stage 1", 3, 0.0, 1.0, None, loaded).result[0]
    direct = with_clockwork(model, kept_blocks=2, adaptor=adaptor)
    assert torch.equal(toys.sample(patched, steps=4, size=(8, 8)), toys.sample(direct, steps=4, size=(8, 8)))
    assert kinds(patched) == "FaFa"
    assert text.startswith("Fitted on 4 pictures in one run of the sampler.")
    assert text.count("guided output") == 2
    assert output.ui["text"] == [text]


def test_prompts_by_clip_and_a_model_that_came_with_clockwork(model):
    _, text = execute(
        with_clockwork(model, kept_blocks=2), prompts="a cat\n\n a dog ", positive=None, negative=None, clip=Clip()
    ).result
    assert text.endswith(UNPATCHED)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"positive": None, "prompts": " \n "}, "There are no prompts"),
        ({"positive": None, "prompts": "a cat"}, "clip is None, but must be a CLIP"),
        ({"cut": "stage 9"}, "cut is 'stage 9'"),
        ({"cut": "custom", "kept_blocks": 1}, "kept_blocks is 1, but this adaptor works before the upsample"),
        ({"clock": 1}, "clock is 1, but an adaptor needs one between 2"),
        ({"cfg": float("nan")}, "cfg is nan, but must lie between 0 and 100"),
        ({"latent": {}}, "must be a LATENT"),
        ({"memory_limit": -1.0}, "memory_limit is -1.0, but must lie between 0 and 1024"),
        ({"memory_limit": 1e-6}, "memory_limit is .* GB, but this fit needs"),
        ({"pictures": 2}, "pictures is 2, but must lie between 4"),
    ],
)
def test_bad_input(model, changes, message):
    with pytest.raises(ValueError, match=message):
        execute(model, **changes)
    assert not any(model.wrappers.values())


def test_a_model_that_is_no_unet():
    with pytest.raises(ValueError, match="Clockwork cannot cut the model Flux"):
        execute(toys.toy_transformer())
