"""The training node on a toy, inside inference mode as the executor runs it; where its prompts and files come from."""

import folder_paths
import pytest
import torch
import toys
from clockwork import with_clockwork

from clockwork_pack.adaptors import LearnedAdaptor
from clockwork_pack.nodes.loss_plot import loss_plot
from clockwork_pack.nodes.prompts import fingerprint_of, read_negative, read_prompts
from clockwork_pack.nodes.teacher_inputs import UNPATCHED, empty_latent
from clockwork_pack.nodes.training import ClockworkTrainAdaptor, checkpoint_path

SETTINGS = {
    "prompts": "",
    "latent": {"samples": torch.ones(2, 4, 8, 8)},
    "steps": 2,
    "sampler_name": "euler",
    "scheduler": "normal",
    "cfg": 3.0,
    "clock": 2,
    "cut": "stage 1",
    "kept_blocks": 3,
    "architecture": "resnet",
    "loss": "guided output",
    "iterations": 2,
    "batch_size": 2,
    "learning_rate": 1e-3,
    "trajectories": 1,
    "on_policy": False,
    "memory_limit": 1.0,
    "seed": 0,
    "positive": toys.conditioning(1, tokens=8),
    "negative": toys.conditioning(2, tokens=8),
}


class Clip:
    """Encodes a prompt as its length."""

    def tokenize(self, text):
        return text

    def encode_from_tokens_scheduled(self, tokens):
        return [[torch.full((1, 8, 16), float(len(tokens))), {}]]


@pytest.fixture
def input_folder(monkeypatch, tmp_path):
    monkeypatch.setattr(folder_paths, "input_directory", str(tmp_path))
    (tmp_path / "mine.txt").write_text("\ufeffsix by\n\n", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("patched", [False, True])
def test_a_training_in_inference_mode(patched):
    with torch.inference_mode():
        model = toys.model_of(toys.TINIEST)
        model = with_clockwork(model, kept_blocks=2) if patched else model
        adaptor, plot, loss_map, text = ClockworkTrainAdaptor.execute(model=model, **SETTINGS).result
    assert isinstance(adaptor, LearnedAdaptor)
    assert plot.shape == (1, 480, 800, 3)
    assert len(loss_map["loss"]) == 2
    assert text.startswith("2 iterations in ")
    assert (UNPATCHED in text) == patched


def test_prompts_come_from_the_text_and_the_file(input_folder):
    prompts = read_prompts(Clip(), "one\n\n  three \n", "mine.txt", None)
    assert [float(prompt.context[0, 0, 0]) for prompt in prompts] == [3.0, 5.0, 6.0]
    assert float(read_negative(Clip(), None).context[0, 0, 0]) == 0.0
    before = fingerprint_of("mine.txt")
    (input_folder / "mine.txt").write_text("another", encoding="utf-8")
    assert fingerprint_of("mine.txt") != before
    assert fingerprint_of("missing.txt") == ""


def test_connected_prompts_come_in_place_of_the_text():
    assert len(read_prompts(None, "one\ntwo", "", toys.conditioning(1, tokens=8))) == 1


@pytest.mark.parametrize("name", ["../mine.txt", "mine.png", "/etc/passwd", "\0.txt", "."])
def test_a_prompts_file_outside_of_the_input_folder(input_folder, name):
    with pytest.raises(ValueError, match=r"must be the name of a \.txt file in"):
        read_prompts(Clip(), "", name, None)
    assert input_folder.is_dir()


def test_a_prompts_file_that_is_missing_or_no_text(input_folder):
    with pytest.raises(FileNotFoundError, match="there is no such file"):
        read_prompts(Clip(), "", "other.txt", None)
    (input_folder / "picture.txt").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(ValueError, match="is no UTF-8 text"):
        read_prompts(Clip(), "", "picture.txt", None)


def test_text_needs_a_clip():
    with pytest.raises(ValueError, match="clip is None, but must be a CLIP"):
        read_prompts(None, "rocket", "", None)


def test_checkpoints_stay_in_their_folder():
    assert checkpoint_path(" ") is None
    assert checkpoint_path("mine").name == "mine.pt"
    for name in ("../outside", "a" * 101, "a\0", "/etc/mine"):
        with pytest.raises(ValueError, match="must be a name inside"):
            checkpoint_path(name)


def test_the_latent_counts_by_its_size():
    assert torch.equal(empty_latent({"samples": torch.ones(3, 4, 6, 8)}), torch.zeros(1, 4, 6, 8))
    with pytest.raises(ValueError, match="must be of pictures"):
        empty_latent({"samples": torch.ones(1, 4, 2, 6, 8)})


def test_a_plot_of_nothing_and_of_what_is_no_number():
    blank, strange = loss_plot([], []), loss_plot([1.0, float("nan"), 0.5], [(2, 0.7)])
    assert 0.0 <= float(strange.min()) <= float(strange.max()) <= 1.0
    assert not torch.equal(blank, strange)
