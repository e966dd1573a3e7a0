"""The picture of a run, read back pixel by pixel where it must be true."""

import numpy as np
import pytest
from PIL import ImageColor

from clockwork_pack.display.timeline import (
    BACKGROUND,
    BOTTOM,
    COLORS,
    FLOPS_COLOR,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    Axis,
    draw_message,
    draw_timeline,
)

FULL_FLOPS, ADAPTOR_FLOPS = 4e12, 1e12


def report(seconds, counted=True, **changes):
    """Full passes and adaptor passes in turn."""
    kinds = [("full", FULL_FLOPS), ("adaptor", ADAPTOR_FLOPS)] * len(seconds)
    evaluations = [
        {"kind": kind, "seconds": each, "flops": flops if counted else None}
        for (kind, flops), each in zip(kinds, seconds, strict=False)
    ]
    data = {
        "evaluations": len(seconds),
        "full": sum(each["kind"] == "full" for each in evaluations),
        "adaptor_evaluations": sum(each["kind"] == "adaptor" for each in evaluations),
        "finished": True,
        "model": "SDXL",
        "schedule": "clock 2",
        "adaptor": "identity",
        "seconds": sum(seconds),
        "seconds_saved_estimate": 1.0,
        "flops_saved_percent": 37.5 if counted else None,
        "per_evaluation": evaluations,
    }
    return {**data, **changes}


def near(pixels, color):
    """Where a picture (H, W, 3) has about this colour."""
    return np.abs(pixels.astype(int) - np.array(ImageColor.getrgb(color))).max(axis=-1) < 30


def bar_heights(picture, count, color):
    """Pixels of `color` above the middle of each evaluation's place."""
    plot = np.asarray(picture)[TOP : HEIGHT - BOTTOM, LEFT : WIDTH - RIGHT]
    centers = ((np.arange(count) + 0.5) * plot.shape[1] / count).astype(int)
    return [int(near(plot[:, center], color).sum()) for center in centers]


def test_bars_are_as_tall_as_their_seconds():
    picture = draw_timeline(report([2.0, 0.5, 2.0, 1.0], counted=False))
    full, adaptor = (bar_heights(picture, 4, COLORS[kind]) for kind in ("full", "adaptor"))
    assert picture.size == (WIDTH, HEIGHT)
    assert adaptor[0] == adaptor[2] == full[1] == full[3] == 0
    assert full[0] == pytest.approx(full[2], abs=1)
    assert adaptor[1] == pytest.approx(full[0] / 4, abs=2)
    assert adaptor[3] == pytest.approx(full[0] / 2, abs=2)


def test_the_flops_line_meets_full_passes_and_lies_where_adaptor_passes_should_be():
    pixels = np.asarray(draw_timeline(report([2.0, 1.5, 2.0, 1.5])))
    height = HEIGHT - TOP - BOTTOM
    slot = (WIDTH - LEFT - RIGHT) / 4
    lines = [
        np.flatnonzero(near(pixels[:, int(LEFT + (index + 0.5) * slot)], FLOPS_COLOR)).mean() for index in range(2)
    ]
    full_top = TOP + height * (1 - 1 / 1.12)
    bottom = HEIGHT - BOTTOM
    assert lines[0] == pytest.approx(full_top, abs=2)
    assert lines[1] == pytest.approx(bottom - (bottom - full_top) * ADAPTOR_FLOPS / FULL_FLOPS, abs=2)


def test_no_line_where_flops_could_not_be_counted():
    assert near(np.asarray(draw_timeline(report([2.0, 1.0]))), FLOPS_COLOR).any()
    assert not near(np.asarray(draw_timeline(report([2.0, 1.0], counted=False))), FLOPS_COLOR).any()


def test_a_first_evaluation_that_warms_up_leaves_the_others_tall():
    heights = bar_heights(draw_timeline(report([90.0, 0.5, 2.0, 0.5, 2.0], counted=False)), 5, COLORS["full"])
    assert heights[0] == pytest.approx(HEIGHT - TOP - BOTTOM, abs=2)
    assert heights[2] > 0.4 * heights[0]


@pytest.mark.parametrize("count", [1, 2, 37, 1000])
def test_any_number_of_evaluations_can_be_drawn(count):
    pixels = np.asarray(draw_timeline(report([1.0, 0.4] * (count // 2) + [1.0] * (count % 2))))
    rows = pixels[TOP : HEIGHT - BOTTOM - 1]
    outside = np.concatenate([rows[:, : LEFT - 1], rows[:, -RIGHT + 1 :]], axis=1)
    assert not near(outside, COLORS["full"]).any()


def test_nothing_but_a_sentence_where_there_is_nothing_to_draw():
    for picture in (draw_message("No data yet: press Run."), draw_timeline(report([]))):
        pixels = np.asarray(picture)
        assert picture.size == (WIDTH, HEIGHT)
        assert not near(pixels, COLORS["full"]).any()
        assert not near(pixels, BACKGROUND).all()


@pytest.mark.parametrize(
    ("top", "ticks"), [(1.0, [0, 0.2, 0.4, 0.6, 0.8, 1.0]), (7.4, [0, 1, 2, 3, 4, 5, 6, 7]), (0.012, [0, 0.002, 0.004])]
)
def test_axes_are_told_in_round_numbers(top, ticks):
    assert Axis(top).ticks()[: len(ticks)] == pytest.approx(ticks)
