"""Sums over runs, by hand."""

import json
import math

import pytest
from made_up_rows import made_up_row, variant_of

from clockwork_pack.clockwork_core.cut import Cut
from clockwork_pack.clockwork_core.report import Evaluation, RunReport
from clockwork_pack.clockwork_core.schedule import Kind
from clockwork_pack.comparison.distances import Distances
from clockwork_pack.comparison.results import Spread, Tally, rows_of


class TestSpread:
    def test_by_hand(self):
        assert Spread.of([1.0, 2.0, 3.0]) == (2.0, 1.0, 0, 3)

    def test_one_picture_has_no_deviation(self):
        assert Spread.of([30.0]) == (30.0, None, 0, 1)

    def test_infinite_values_are_counted_apart(self):
        assert Spread.of([math.inf, 20.0, 22.0]) == (21.0, pytest.approx(math.sqrt(2)), 1, 3)
        assert Spread.of([math.inf, math.inf]) == (None, None, 2, 2)

    def test_what_is_no_number_stays_none(self):
        spread = Spread.of([math.nan, 20.0])
        assert math.isnan(spread.mean)
        assert spread.deviation is None
        assert spread.to_dict()["mean"] is None


class MadeUpReport(RunReport):
    def flops(self):
        return self.made_up_flops


def report(seconds, flops, kinds="FF", warnings=()):
    made = MadeUpReport("UNet", {}, Cut(3), 12, "clock 2", "identity", 2, warnings=list(warnings))
    made.made_up_flops = flops
    for index, letter in enumerate(kinds):
        evaluation = Evaluation(index, index, 1.0, Kind.ADAPTOR, seconds=seconds / len(kinds))
        evaluation.calls[Kind.FULL if letter == "F" else Kind.ADAPTOR] += 1
        if letter == "r":
            evaluation.reasons["no trace"] += 1
        made.evaluations.append(evaluation)
    return made


def tally(line, *reports):
    distances = [Distances((30.0,), (0.9,), None) for _ in reports]
    return Tally(variant_of(line), 2, list(reports), distances)


def test_rows_by_hand():
    uncached = tally("none", report(2.0, (100, 100)), report(4.0, (100, 100)), report(3.0, (100, 100)))
    clock = tally("clock 2", report(1.5, (60, 100), "Fa"), report(9.0, (60, 100), "Fa"), report(1.0, (60, 100), "Fa"))
    first, second = rows_of([uncached, clock])
    assert (first.seconds, first.seconds_percent, first.flops, first.flops_percent) == (3.0, 100.0, 300, 100.0)
    assert (second.seconds, second.seconds_percent, second.flops, second.flops_percent) == (1.5, 50.0, 180, 60.0)
    assert second.seconds_of_seeds == (1.5, 9.0, 1.0)
    assert (second.full, second.adaptor) == (1, 1)
    assert second.psnr == (30.0, 0.0, 0, 3)
    assert second.lpips is None


@pytest.mark.parametrize("broken", [0, 1])
def test_flops_that_cannot_be_counted(broken):
    tallies = [tally("none", report(1.0, (100, 100))), tally("clock 2", report(1.0, (60, 100)))]
    tallies[broken].reports[0].made_up_flops = None
    assert rows_of(tallies)[1].flops_percent is None


def test_remarks_are_the_warnings_and_what_was_not_as_planned():
    row = rows_of([tally("none", report(1.0, (1, 1), "Frr", ["Trained for 8 steps."]))])[0]
    assert row.remarks == ("Trained for 8 steps.", "2 × full instead of adaptor: no trace")


def test_the_data_are_json_that_browsers_read():
    row = made_up_row("clock 2", psnr=Spread.of([math.nan]), ssim=Spread.of([math.inf]))
    text = json.dumps(row.to_dict(), allow_nan=False)
    assert json.loads(text)["variant"] == "clock 2"
    assert json.loads(text)["ssim"] == {"mean": None, "deviation": None, "exact": 1, "pictures": 1}
