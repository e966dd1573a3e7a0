"""The judge on made-up icons: it learns them, and its file gives the same verdicts."""

import json

import pytest
import torch
from safetensors import safe_open

from clockwork_pack.benchmarks.judge.network import WEIGHTS, Judge, load_judge, save_judge
from clockwork_pack.benchmarks.judge.renders import Renderer
from clockwork_pack.benchmarks.judge.train import measure, take_reference, train_judge
from clockwork_pack.tools.pocket.icons import SIDE, IconSet


@pytest.fixture(scope="module")
def icons():
    """A gray disc and a gray frame, both opaque."""
    across = torch.linspace(-1, 1, SIDE)
    radius = (across[:, None] ** 2 + across**2).sqrt()
    edge = across[:, None].abs().maximum(across.abs())
    alphas = torch.stack([radius < 0.9, edge > 0.7]).float()
    rgba = torch.cat([torch.full((2, 3, SIDE, SIDE), 0.5), alphas[:, None]], dim=1)
    return IconSet(("disc", "frame"), (255 * rgba).to(torch.uint8))


def test_renders_show_the_icon_on_its_colour(icons):
    pictures, chosen, colours = Renderer(icons).as_trained(16, torch.Generator().manual_seed(0))
    assert pictures.shape == (16, 3, 64, 64)
    assert colours.max() < 10
    centres = pictures[:, :, 32, 32]
    # A disc is gray in the middle; a frame lets the background through.
    assert torch.allclose(centres[chosen == 0], torch.tensor(0.5), atol=0.01)
    assert not torch.allclose(centres[chosen == 1], torch.tensor(0.5), atol=0.01)


def test_icons_in_turn_come_equally_often(icons):
    renders = Renderer(icons).each_in_turn(4, torch.Generator().manual_seed(0))
    assert renders.icons.tolist() == [0, 1, 0, 1]


def test_augmented_renders_stay_pictures(icons):
    pictures = Renderer(icons).augmented(16, torch.Generator().manual_seed(0)).pictures
    assert 0 <= pictures.min() <= pictures.max() <= 1


def test_learns_two_shapes(icons):
    judge = train_judge(icons, updates=40, report=lambda _: None)
    assert measure(judge, icons, batches=2)["icon_top1_as_trained"] > 0.9


def test_its_file_gives_the_same_verdicts(icons, tmp_path):
    torch.manual_seed(0)
    judge = Judge(icons.names, ("white", "red"))
    take_reference(judge, Renderer(icons), batches=2)
    path = tmp_path / "judge.safetensors"
    save_judge(judge, path, {"icon_top1": 1.0})
    loaded = load_judge(path)
    assert loaded.icons == ("disc", "frame")
    assert torch.equal(loaded.reference_covariance, judge.reference_covariance)
    pictures = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        # The file holds half precision.
        torch.testing.assert_close(loaded(pictures).icons, judge(pictures).icons, rtol=1e-2, atol=1e-2)


def test_the_shipped_judge_is_right_about_true_renders_as_often_as_it_must_be():
    with safe_open(WEIGHTS, framework="pt") as file:
        measured = json.loads(file.metadata()["measured"])
    assert min(measured.values()) >= 0.95
    assert load_judge().reference_covariance.diagonal().min() > 0


def test_a_missing_judge_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no judge at .*none\.safetensors"):
        load_judge(tmp_path / "none.safetensors")
