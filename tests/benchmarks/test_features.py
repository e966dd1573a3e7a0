"""Perturbation and similarity on the shipped model, as far as their outcome is known beforehand."""

import pytest
import torch

from clockwork_pack.benchmarks.yardsticks import perturbation, similarity
from clockwork_pack.benchmarks.yardsticks.cases import Split, cases
from clockwork_pack.benchmarks.yardsticks.studio import Studio


@pytest.fixture(scope="module")
def studio():
    return Studio()


@pytest.fixture(scope="module")
def chosen(studio):
    return cases(studio.icons, studio.colours, Split.TUNING, 2)


def test_a_batch_draws_what_its_prompts_draw_alone(studio, chosen):
    together = studio.draw(studio.model, chosen, 2).latents
    alone = torch.cat([studio.draw(studio.model, [case], 2).latents for case in chosen])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-3)


def test_a_disturbance_that_never_starts_changes_nothing(studio, chosen, monkeypatch):
    monkeypatch.setattr(perturbation, "STEPS", 3)
    undisturbed = studio.draw(studio.model, chosen, 3).latents
    assert torch.equal(perturbation.disturbed(studio, chosen, block=8, alpha=0.3, start=3), undisturbed)
    assert not torch.equal(perturbation.disturbed(studio, chosen, block=8, alpha=0.3, start=2), undisturbed)


def test_changes_are_of_every_level_and_evaluation_but_the_first(studio, chosen):
    changes = similarity.relative_changes(studio, chosen, steps=3)
    assert {level: len(values) for level, values in changes.items()} == {0: 2, 1: 2, 2: 2, 3: 2}
    assert all(0 < value < 10 for values in changes.values() for value in values)


def test_more_cases_than_a_batch_holds_are_refused(studio):
    many = cases(studio.icons, studio.colours, Split.TUNING, studio.batch + 1)
    with pytest.raises(ValueError, match="17 cases, but all must fit into one batch of 16"):
        similarity.measure(studio, many)
