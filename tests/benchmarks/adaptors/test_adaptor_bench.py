"""The bench of adaptors: what it compares, and how it says so."""

import pytest
import torch
import toys
from training import KEPT, NEGATIVE, POINT, encoded, latent

from clockwork_pack.adaptors import describe, untrained
from clockwork_pack.adaptors.training.losses import LOSSES
from clockwork_pack.benchmarks.adaptors.bench import Measured, lead_of
from clockwork_pack.benchmarks.adaptors.errors import errors_of
from clockwork_pack.benchmarks.adaptors.experiments import EXPERIMENTS
from clockwork_pack.benchmarks.adaptors.tables import markdown
from clockwork_pack.clockwork_core.cut import seam_of
from clockwork_pack.clockwork_core.host import diffusion_model_of
from clockwork_pack.clockwork_core.schedule import EveryN, ExplicitList, Kind, Window, plan


def measured(psnr, cost):
    return Measured("some", torch.tensor(psnr), cost)


def test_the_lead_is_over_fewer_steps_of_the_same_cost():
    """At cost 5.5 between 5 and 6 steps: 12 and 21 dB, where the adaptor has 15 and 25."""
    found = lead_of(measured([15.0, 25.0], 5.5), [measured([10.0, 20.0], 5.0), measured([14.0, 22.0], 6.0)])
    assert found[0] == pytest.approx(3.5)
    assert 3.0 <= found[1] <= found[0] <= found[2] <= 4.0


def test_no_lead_where_fewer_steps_cannot_be_compared():
    assert lead_of(measured([15.0], 7.5), [measured([10.0], 7.0)]) is None


def test_experiments_have_names_of_their_own():
    keys = [experiment.key for experiment in EXPERIMENTS]
    assert len(set(keys)) == len(keys)


def test_schedules_are_the_papers():
    """Section "Ablations": adaptor evaluations, counted from 1, of 8."""
    schedules = {each.name: each.schedule(2) for each in EXPERIMENTS if each.table == "schedules"}
    for name, schedule in schedules.items():
        assert isinstance(schedule, ExplicitList)
        kinds = plan(schedule, Window(0.0, 1.0), 8)
        assert [str(index + 1) for index, kind in enumerate(kinds) if kind is Kind.ADAPTOR] == name.split(", ")
    assert EXPERIMENTS[0].schedule(3) == EveryN(3)


def test_table():
    facts = {"variant": "identity", "psnr": [20.0, 19.5, 20.4], "cost": 4.4}
    point = {
        "steps": 8, "clock": 2, "psnr": [24.0, 23.0, 24.5], "cost": 4.71, "lead": [9.0, 8.75, 9.1], "beside": [facts],
        "fewer_steps": [], "errors": {"features": 0.25, "output": 0.5, "guided output": 0.125},
    }  # fmt: skip
    row = {"table": "some", "numbers": 1_500_000, "points": [point]}
    other = {**row, "points": [{**point, "lead": None}, {**point, "steps": 20}]}
    lines = markdown({"a": {**row, "name": "fitted"}, "b": {**other, "name": "trained"}}).splitlines()
    assert lines[0] == "### some: 8 steps, clock 2"
    assert lines[2].count("|") == lines[3].count("|") == 9
    assert lines[4:8] == [
        "| identity | | 4.4 | 1 | 1 | 20.0 ± 0.5 | | |",
        "| fitted | 1.50 M | 4.7 | 0.25 | 0.12 | 24.0 ± 1.0 | 15.0 | +9.0 ± 0.2 |",
        "| trained | 1.50 M | 4.7 | 0.25 | 0.12 | 24.0 ± 1.0 |  |  |",
        "",
    ]
    assert lines[8] == "### some: 20 steps, clock 2"


@pytest.mark.parametrize("architecture", ["resnet", "affine"])
def test_errors_are_shares_of_the_identitys(architecture):
    model = toys.model_of(toys.TINIEST)
    adaptor = untrained(describe(architecture, seam_of(diffusion_model_of(model), KEPT)))
    found = errors_of(adaptor, model, POINT, encoded(2), NEGATIVE, latent(), 0)
    assert found == pytest.approx(dict.fromkeys(LOSSES, 1.0), abs=1e-4)
