"""When LPIPS is measured. Neither its package nor its weights are here: a stand-in shows how it is called."""

import sys

import pytest
import torch

from clockwork_pack.comparison.distances import picture_distances
from clockwork_pack.comparison.perceptual import BACKBONE, lpips_distance, missing_for_lpips

STAND_IN = """
import torch

class LPIPS(torch.nn.Module):
    def __init__(self, net, verbose):
        super().__init__()
        assert (net, verbose) == ("alex", False)

    def forward(self, pictures, references, normalize):
        assert normalize
        return (pictures - references).abs().mean((1, 2, 3), keepdim=True)
"""


@pytest.fixture
def hub(tmp_path):
    """Torch's folder of weights, empty."""
    before = torch.hub.get_dir()
    torch.hub.set_dir(str(tmp_path / "hub"))
    yield tmp_path / "hub"
    torch.hub.set_dir(before)


@pytest.fixture
def package(tmp_path, monkeypatch):
    (tmp_path / "lpips.py").write_text(STAND_IN)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("lpips", None)


def test_without_its_package(monkeypatch):
    monkeypatch.setattr(sys, "path", [])
    assert missing_for_lpips() == "LPIPS was left out: the Python package lpips is not installed."


@pytest.mark.usefixtures("package")
def test_without_its_weights(hub):
    assert missing_for_lpips() == f"LPIPS was left out: its weights are not there ({hub / 'checkpoints' / BACKBONE})."


@pytest.mark.usefixtures("package")
def test_with_both(hub):
    (hub / "checkpoints").mkdir(parents=True)
    (hub / "checkpoints" / BACKBONE).touch()
    assert missing_for_lpips() is None
    pictures = torch.rand(2, 3, 16, 16)
    measured = picture_distances((pictures * 0.5).clamp(0, 1), pictures, lpips_distance())
    expected = (pictures * 0.5).mean((1, 2, 3)).tolist()
    assert measured.lpips == pytest.approx(expected, rel=1e-5)
