"""./run train: its words, and a training of the demo model from the command line to a file."""

import argparse

import pytest
import train

from clockwork_pack.adaptors.files import load_adaptor


@pytest.fixture(autouse=True)
def signals_stay_as_they_are(monkeypatch):
    monkeypatch.setattr(train, "stop_when_asked", lambda: None)


@pytest.fixture
def prompts(tmp_path):
    path = tmp_path / "prompts.txt"
    path.write_text("rocket\n\napple\n", encoding="utf-8")
    return path


def test_numbers_ranges_and_sizes():
    assert train.span("8") == (8, 0)
    assert train.span("6-12") == (6, 12)
    assert train.picture_size("512") == (512, 512)
    assert train.picture_size("768x512") == (768, 512)


@pytest.mark.parametrize(("read", "text"), [(train.span, "8-"), (train.span, "a"), (train.picture_size, "5x")])
def test_others_are_refused(read, text):
    with pytest.raises(argparse.ArgumentTypeError, match=text):
        read(text)


def test_from_prompts_to_a_file(tmp_path, prompts, capsys):
    output = tmp_path / "new" / "adaptor.safetensors"
    settings = "--size 64 --steps 2 --clock 2-3 --iterations 1 --batch 1 --trajectories 1 --teacher-batch 1"
    arguments = ["--demo", "--prompts", str(prompts), "--output", str(output), *settings.split()]
    assert train.main([*arguments, "--architecture", "unet-light", "--resume", str(tmp_path / "training.pt")]) == 0
    description = load_adaptor(output).description
    assert (description.architecture, description.trained_for.most_clock) == ("unet-light", 3)
    assert (tmp_path / "training.pt").is_file()
    assert f"Saved as {output}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["--loss", "none"], "loss is 'none', but must be one of guided output"),
        (["--steps", "8-6"], "most_steps is 6, but must be 0 (no range) or at least steps, 8"),
        (["--prompts", "missing.txt"], "missing.txt"),
    ],
)
def test_bad_values_end_with_a_sentence(tmp_path, prompts, capsys, changes, message):
    arguments = ["--demo", "--prompts", str(prompts), "--output", str(tmp_path / "adaptor.safetensors")]
    assert train.main([*arguments, *changes]) == 1
    assert message in capsys.readouterr().err
