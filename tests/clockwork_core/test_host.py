import pytest

from clockwork_pack.clockwork_core import host


def test_this_host_is_known():
    host.check_host()


def test_a_host_whose_forward_takes_something_else_is_refused_by_name(monkeypatch):
    def forward(self, latent, timesteps):
        raise NotImplementedError

    monkeypatch.setattr(host, "_EXPECTED_PARAMETERS", {forward: ("self", "x", "timesteps")})
    with pytest.raises(ImportError, match=r"does not know this version of ComfyUI.*forward takes .*latent"):
        host.check_host()


def test_a_host_that_is_too_old_is_refused(monkeypatch):
    monkeypatch.delattr(host.WrappersMP, "PREDICT_NOISE")
    with pytest.raises(ImportError, match=r"needs ComfyUI 0.3.75 or newer: this one has no PREDICT_NOISE"):
        host.check_host()
