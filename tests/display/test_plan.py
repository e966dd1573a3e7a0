"""What the strip shows before a run."""

import json
import time

import pytest

from clockwork_pack.display.plan import MOST_STEPS, TYPICAL_COSTS, answer

QUESTION = {"clock": 2, "cut": "stage 1", "start_percent": 0.0, "end_percent": 1.0, "steps": 6}
SCHEDULE = {
    "mode": "every N",
    "clock": 3,
    "offset": 0,
    "pattern": "1001",
    "full_steps": "0, 1, 5",
    "full_passes": 3,
}


def asked(**changes):
    return answer(json.loads(json.dumps({**QUESTION, **changes})))


@pytest.mark.parametrize(
    ("changes", "kinds"),
    [
        ({}, "FaFaFa"),
        ({"clock": 4}, "FaaaFa"),
        ({"start_percent": 0.5}, "FFFaFa"),
        ({"sampler": "heun", "steps": 3}, "FaFaF"),
        ({"sampler": "of another pack"}, "FaFaFa"),
        ({"clock": 64, "schedule": SCHEDULE}, "FaaFaa"),
        ({"schedule": {**SCHEDULE, "mode": "explicit list"}}, "FaaFFa"),
        ({"schedule": {**SCHEDULE, "mode": "full steps"}}, "FFaaaF"),
        ({"schedule": {**SCHEDULE, "mode": "dense early"}}, "FFFaaa"),
    ],
)
def test_kinds(changes, kinds):
    assert asked(**changes)["kinds"] == kinds


def test_saving_of_a_model_that_has_run_and_of_others():
    assert asked(adaptor_cost=0.4)["saved_percent"] == {"": pytest.approx(30.0)}
    assert asked()["saved_percent"] == {"SDXL": pytest.approx(46.7), "SD 1.5": pytest.approx(31.0)}
    assert asked(cut="stage 2")["saved_percent"]["SDXL"] == pytest.approx(34.7)
    assert asked(cut="custom")["saved_percent"] == {}, "nobody has counted that"
    assert set(asked(clock=1)["saved_percent"].values()) == {0.0}


def test_a_sampler_that_chooses_its_own_steps_is_no_promise():
    assert asked()["exact"]
    assert not asked(sampler="dpm_adaptive")["exact"]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"clock": 0}, "clock is 0, but must lie between 1"),
        ({"clock": "2"}, "clock is '2', but must be a whole number"),
        ({"steps": 0}, f"steps is 0, but must lie between 1 and {MOST_STEPS}"),
        ({"steps": None}, "steps is None, but must be a whole number"),
        ({"start_percent": 0.8, "end_percent": 0.2}, "start_percent 0.8 lies after end_percent 0.2"),
        ({"schedule": {**SCHEDULE, "mode": "explicit list", "pattern": "01"}}, "must begin with 1"),
        ({"schedule": {"mode": "every N"}}, "The schedule has no 'clock'"),
        ({"adaptor_cost": "cheap"}, "adaptor_cost is 'cheap', but must be a number"),
    ],
)
def test_refusals(changes, sentence):
    assert sentence in asked(**changes)["error"]


@pytest.mark.parametrize("question", [None, [], "plan", 1])
def test_no_question(question):
    assert "must be an object" in answer(question)["error"]


def test_the_longest_run_takes_no_time():
    start = time.process_time()
    schedule = {**SCHEDULE, "mode": "dense early", "full_passes": MOST_STEPS // 2}
    assert asked(steps=MOST_STEPS, schedule=schedule)["kinds"].count("F") == MOST_STEPS // 2
    assert time.process_time() - start < 1.0, "the server answers nobody else meanwhile"


def test_typical_costs_are_of_the_cuts_that_have_a_name():
    assert set(TYPICAL_COSTS) == {"stage 1", "stage 2"}
