"""Observers hear of a run as it goes on, and cannot harm it."""

import logging

import pytest
import torch
import toys
from clockwork import with_clockwork

from clockwork_pack.clockwork_core.observer import Observer


class Diary(Observer):
    def __init__(self):
        self.entries = []

    def begun(self, report):
        self.entries.append(("begun", report.steps, len(report.evaluations)))

    def evaluated(self, report):
        evaluation = report.evaluations[-1]
        self.entries.append((evaluation.index, evaluation.kind.value))

    def ended(self, report):
        self.entries.append(("ended", report.finished, len(report.evaluations)))


class Deaf(Observer):
    def begun(self, _report):
        raise OSError("no browser")

    evaluated = ended = begun


@pytest.fixture(scope="module")
def model():
    return toys.toy_model("sd15")


def test_hears_of_each_evaluation_when_it_is_done(model):
    diary = Diary()
    toys.sample(with_clockwork(model, observer=diary), steps=3)
    evaluations = [(0, "full"), (1, "adaptor"), (2, "full")]
    assert diary.entries == [("begun", 3, 0), *evaluations, ("ended", True, 3)]


def test_hears_of_the_end_of_a_run_that_breaks(model):
    diary = Diary()
    patched = with_clockwork(model, observer=diary)

    def fail(_apply_model, _arguments):
        raise RuntimeError("another node failed")

    patched.set_model_unet_function_wrapper(fail)
    with pytest.raises(RuntimeError, match="another node failed"):
        toys.sample(patched, steps=3)
    assert diary.entries == [("begun", 3, 0), ("ended", False, 1)]


def test_one_that_fails_costs_no_picture(model, caplog):
    expected = toys.sample(with_clockwork(model), steps=3)
    with caplog.at_level(logging.ERROR):
        assert torch.equal(toys.sample(with_clockwork(model, observer=Deaf()), steps=3), expected)
    assert "no browser" in caplog.text
