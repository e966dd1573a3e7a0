"""Fifty runs, and the process is no larger than after the first few."""

import gc

import psutil
import pytest
import torch
from clockwork import with_clockwork
from fuzz_cases import model_of

from clockwork_pack.clockwork_core.report import KEPT_REPORTS
from clockwork_pack.clockwork_core.runtime import reports_of

RUNS = 50
# The first runs fill what lasts as long as the process: the allocator's pools and oneDNN's cache of prepared kernels.
WARM_UP = 5
MOST_GROWTH = 5 * 2**20
# Two streams of 64 channels in float32: were one trace kept of each run, the process would grow by 32 MB.
SIZE = (36, 36)
TRACE_BYTES = 2 * 64 * 36 * 36 * 4


def resident():
    gc.collect()
    return psutil.Process().memory_info().rss


@pytest.fixture(scope="module")
def model():
    return model_of("shallow sd15", "float32")


def one_patched_model(model, draw):
    patched = with_clockwork(model)
    return lambda: draw(patched, size=SIZE, steps=2)


def a_new_patch_each_time(model, draw):
    return lambda: draw(with_clockwork(model), size=SIZE, steps=2)


class StoppedError(Exception):
    """How the third kind of run ends."""


def one_that_fails_each_time(model, draw):
    patched = with_clockwork(model)

    def callback(step, *_):
        if step == 1:
            raise StoppedError

    def run():
        with pytest.raises(StoppedError):
            draw(patched, size=SIZE, steps=2, callback=callback)

    return run


@pytest.mark.parametrize("kind", [one_patched_model, a_new_patch_each_time, one_that_fails_each_time])
def test_resident_memory_is_flat(model, draw, kind, record_property):
    assert (RUNS - WARM_UP) * TRACE_BYTES > 5 * MOST_GROWTH, "a leak would be seen"
    run = kind(model, draw)
    sizes = []
    for _ in range(RUNS):
        run()
        sizes.append(resident())
    growth = max(sizes[WARM_UP:]) - sizes[WARM_UP - 1]
    record_property("megabytes after each run", [round(size / 2**20, 1) for size in sizes])
    assert growth <= MOST_GROWTH


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
