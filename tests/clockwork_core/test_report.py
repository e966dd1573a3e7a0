import json
import logging
from collections import Counter

import pytest
import torch
import toys
from clockwork import last_report, with_clockwork

from clockwork_pack.clockwork_core import report as report_module
from clockwork_pack.clockwork_core.cost import CallShape
from clockwork_pack.clockwork_core.cut import Cut
from clockwork_pack.clockwork_core.report import Evaluation, ReportHistory, RunReport, digest_of
from clockwork_pack.clockwork_core.schedule import Kind


def evaluation(index, kind, seconds, planned=None, reason=None):
    reasons = Counter([reason] if reason else [])
    return Evaluation(index, index, 1.0, planned or kind, Counter([kind]), reasons, seconds)


@pytest.fixture
def by_hand():
    """Four evaluations: 9 (warm-up), 4 and 2 seconds in full, 1 second with the adaptor."""
    config = toys.toy_model("sd15").model.model_config.unet_config
    report = RunReport("SD15", config, Cut(3), 12, "clock 2", "identity", 4)
    report.evaluations += [
        evaluation(0, Kind.FULL, 9.0),
        evaluation(1, Kind.ADAPTOR, 1.0),
        evaluation(2, Kind.FULL, 4.0),
        evaluation(3, Kind.FULL, 2.0, planned=Kind.ADAPTOR, reason="nothing to reuse"),
    ]
    shape = CallShape((2, 4, 16, 16), (2, 77, toys.CONTEXT), None)
    report.shapes[Kind.FULL][shape] += 3
    report.shapes[Kind.ADAPTOR][shape] += 1
    report.finished = True
    return report


def test_counts_and_seconds(by_hand):
    assert (by_hand.count(Kind.FULL), by_hand.count(Kind.ADAPTOR)) == (3, 1)
    assert by_hand.seconds == 16.0
    assert by_hand.median_seconds(Kind.FULL) == 3.0, "the first evaluation warms up and does not count"
    assert by_hand.median_seconds(Kind.ADAPTOR) == 1.0
    assert by_hand.seconds_saved() == 3.0 - 1.0, "of the one adaptor evaluation"


def test_flops_by_hand(by_hand):
    shape = next(iter(by_hand.shapes[Kind.FULL]))
    costs = report_module.count_passes(by_hand.unet_config, shape, by_hand.cut)
    spent, full = by_hand.flops()
    assert full == 4 * costs.full.total
    assert spent == 3 * costs.full.total + costs.adaptor.total
    data = by_hand.to_dict()
    assert data["adaptor_cost"] == pytest.approx(costs.ratio)
    per_evaluation = [each["flops"] for each in data["per_evaluation"]]
    assert per_evaluation == [costs.full.total, costs.adaptor.total, costs.full.total, costs.full.total]


def test_seconds_of_a_warm_up_are_not_held_against_the_adaptor(by_hand):
    by_hand.evaluations[0].seconds = 900.0
    assert by_hand.to_dict()["seconds_saved_estimate"] == 2.0
    assert "about 2.00 s less than with full ones only" in by_hand.text()


def test_data_is_json_and_text_is_for_people(by_hand):
    data = json.loads(json.dumps(by_hand.to_dict()))
    assert data["per_evaluation"][3]["reasons"] == {"nothing to reuse": 1}
    text = by_hand.text()
    assert "4 evaluations, 3 full + 1 with the adaptor (identity)" in text
    assert "clock 2; 3 of 12 output blocks kept; SD15" in text
    assert "full although the schedule allowed the adaptor: 1 × nothing to reuse" in text
    by_hand.finished = False
    assert "stopped before its end" in by_hand.text()


def test_an_unknown_geometry_costs_the_flops_line_not_the_picture(by_hand, monkeypatch, caplog):
    monkeypatch.setattr(report_module, "count_passes", lambda *_: 1 / 0)
    with caplog.at_level(logging.ERROR):
        assert by_hand.to_dict()["flops_saved_percent"] is None
        assert "compute: could not be counted" in by_hand.text()
    assert "could not be counted" in caplog.text


def test_of_a_run_that_never_began_an_evaluation():
    report = RunReport("SD15", {}, Cut(3), 12, "clock 2", "identity", 0)
    assert report.to_dict()["flops_saved_percent"] is None
    assert "0 evaluations" in report.text()


def test_seconds_of_a_real_run_add_up():
    patched = with_clockwork(toys.toy_model("sd15"))
    toys.sample(patched)
    report = last_report(patched)
    assert all(e.seconds > 0 for e in report.evaluations)
    assert [e.sigma for e in report.evaluations] == sorted((e.sigma for e in report.evaluations), reverse=True)
    assert report.peak_bytes == 2 * 64 * 16 * 16 * 4, "cond and uncond: 64 channels of 16 x 16 in float32"


def test_history_finds_the_run_that_made_a_latent():
    history = ReportHistory()
    latents = [torch.full((1, 4, 8, 8), float(index)) for index in range(3)]
    for index, latent in enumerate(latents):
        report = RunReport("SD15", {}, Cut(3), 12, f"run {index}", "identity", 4)
        report.latent_digest = digest_of(latent)
        history.add(report)
    assert history.find(latents[1]).schedule == "run 1"
    assert history.find(latents[1].double()).schedule == "run 1"
    assert history.find(latents[1] + 0.5).schedule == "run 2", "a changed latent gets the latest"
    assert ReportHistory().find(latents[0]) is None


def test_digest_tells_shapes_apart():
    assert digest_of(torch.zeros(1, 4, 8, 4)) != digest_of(torch.zeros(1, 4, 4, 8))
