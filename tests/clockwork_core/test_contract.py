"""A host that has changed: it is found out when the pack is loaded, named, and sampled with full passes only."""

import logging

import pytest
import torch
import toys
from clockwork import kinds, last_report, with_clockwork

from clockwork_pack.clockwork_core import contract, host


@pytest.fixture(autouse=True)
def _asked_anew():
    contract.breach.cache_clear()
    yield
    contract.breach.cache_clear()


def renamed_parameter(monkeypatch):
    monkeypatch.setattr(host, "_EXPECTED_PARAMETERS", {host.apply_control: ("h", "residuals", "kind")})


def test_it_holds_on_this_host():
    assert contract.breach() is None


def test_the_users_random_numbers_stay_as_they_were():
    state = torch.get_rng_state()
    contract.breach()
    assert torch.equal(torch.get_rng_state(), state)


def test_another_signature_names_the_function(monkeypatch, caplog):
    renamed_parameter(monkeypatch)
    with caplog.at_level(logging.WARNING):
        sentence = contract.breach()
    assert "apply_control takes h, control, name, but h, residuals, kind was expected" in sentence
    assert f"[Clockwork] {sentence} Sampling works, but nothing is saved" in caplog.text


@pytest.mark.parametrize(
    ("name", "block"),
    [("input", "('input', 0)"), ("middle", "('output', 0)"), ("output", "('output', 0)")],
)
def test_another_behaviour_names_the_first_block_that_differs(monkeypatch, name, block):
    """As if the host now applied one kind of control in a way that our walk does not follow."""
    original = host.apply_control
    monkeypatch.setattr(
        host, "apply_control", lambda h, control, kind: original(h, None if kind == name else control, kind)
    )
    assert contract.breach().endswith(f"than Clockwork expects at its block {block}.")


def test_a_difference_behind_the_last_block(monkeypatch):
    from clockwork_pack.clockwork_core import passes

    monkeypatch.setattr(passes._Walk, "head", lambda walk, h: 2 * walk.unet.out(h))
    assert "behind its last block" in contract.breach()


def test_a_walk_that_fails(monkeypatch):
    def forward_timestep_embed(*_arguments, **_keywords):
        raise TypeError("unexpected keyword")

    monkeypatch.setattr(host, "forward_timestep_embed", forward_timestep_embed)
    assert "cannot be walked block by block (TypeError: unexpected keyword)" in contract.breach()


def test_a_breach_means_full_passes_and_a_word_in_the_report(monkeypatch):
    model = toys.toy_model("sd15")
    expected = toys.sample(model)
    renamed_parameter(monkeypatch)
    patched = with_clockwork(model)
    assert torch.equal(toys.sample(patched), expected)
    assert kinds(patched) == "FFFFFF"
    assert "full although the schedule allowed the adaptor: 3 × This ComfyUI is newer" in last_report(patched).text()
