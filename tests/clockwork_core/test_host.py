import pytest

from clockwork_pack.clockwork_core import host


def test_this_host_is_known():
    host.require_wrappers()
    assert host.changed_functions() == []


def test_a_function_that_takes_something_else_is_named(monkeypatch):
    def forward(self, latent, timesteps):
        raise NotImplementedError

    monkeypatch.setattr(host, "_EXPECTED_PARAMETERS", {forward: ("self", "x", "timesteps")})
    (sentence,) = host.changed_functions()
    assert sentence.endswith("forward takes self, latent, timesteps, but self, x, timesteps was expected")


def test_a_host_that_is_too_old_is_refused(monkeypatch):
    monkeypatch.delattr(host.WrappersMP, "PREDICT_NOISE")
    with pytest.raises(ImportError, match=r"needs ComfyUI 0.3.75 or newer: this one has no PREDICT_NOISE"):
        host.require_wrappers()
