"""Fifty runs, and the process is no larger than after the first few."""

import gc
import statistics

import psutil
import pytest
import torch
from clockwork import last_report, with_clockwork
from fuzz_cases import model_of

from clockwork_pack.clockwork_core.report import KEPT_REPORTS
from clockwork_pack.clockwork_core.runtime import reports_of

RUNS = 50
# The first runs fill what lasts as long as the process: the allocator's pools and oneDNN's cache of prepared kernels.
WARM_UP = 5
# Single values jump by some MB as malloc keeps or returns freed blocks: medians of so many runs are compared.
NEIGHBOURS = 11
MOST_GROWTH = 5 * 2**20
SETTINGS = {"size": (24, 24), "steps": 2}


def resident():
    return psutil.Process().memory_info().rss


@pytest.fixture(scope="module")
def model():
    return model_of("shallow sd15", "float32")


def patch(model):
    """Cut so that the trace is large."""
    return with_clockwork(model, kept_blocks=2)


@pytest.fixture(scope="module")
def trace_bytes(model, draw):
    patched = patch(model)
    draw(patched, **SETTINGS)
    return last_report(patched).peak_bytes


def one_patched_model(model, draw):
    patched = patch(model)
    return lambda: draw(patched, **SETTINGS)


def a_new_patch_each_time(model, draw):
    return lambda: draw(patch(model), **SETTINGS)


class StoppedError(Exception):
    """How the third kind of run ends."""


def one_that_fails_each_time(model, draw):
    patched = patch(model)

    def callback(step, *_):
        if step == 1:
            raise StoppedError

    def run():
        with pytest.raises(StoppedError):
            draw(patched, **SETTINGS, callback=callback)

    return run


@pytest.mark.parametrize("kind", [one_patched_model, a_new_patch_each_time, one_that_fails_each_time])
def test_resident_memory_is_flat(model, draw, kind, trace_bytes, record_property):
    run = kind(model, draw)
    sizes = []
    for _ in range(RUNS):
        run()
        sizes.append(resident())
    record_property("megabytes after each run", [round(size / 2**20, 1) for size in sizes])
    first, last = sizes[WARM_UP : WARM_UP + NEIGHBOURS], sizes[-NEIGHBOURS:]
    runs_between = RUNS - WARM_UP - NEIGHBOURS
    assert runs_between * trace_bytes > 1.5 * MOST_GROWTH, "one trace kept of each run would be seen"
    assert statistics.median(last) - statistics.median(first) <= MOST_GROWTH


def test_reports_are_bounded(model, draw):
    patched = with_clockwork(model)
    latents = [draw(patched, steps=1, seed=seed) for seed in range(KEPT_REPORTS + 4)]
    reports = reports_of(patched)
    assert len(reports._reports) == KEPT_REPORTS
    assert reports.find(latents[-1]) is reports.latest
    assert reports.find(latents[0]) is reports.latest, "the oldest are gone: the latest stands in"
    assert reports.find(latents[5]) is not reports.latest


def test_a_report_holds_no_tensor(model, draw):
    patched = with_clockwork(model)
    draw(patched)
    gc.collect()
    seen, waiting, tensors = set(), [reports_of(patched).latest], []
    while waiting:
        item = waiting.pop()
        if id(item) in seen or isinstance(item, type):
            continue
        seen.add(id(item))
        tensors += [item] if isinstance(item, torch.Tensor) else []
        waiting += [each for each in gc.get_referents(item) if not callable(each)]
    assert len(seen) > 10
    assert tensors == []
