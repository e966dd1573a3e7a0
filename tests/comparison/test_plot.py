"""The plot's arithmetic; how it looks is for people to judge."""

import math

import pytest
from made_up_rows import EXACT, made_up_row, uncached_row
from PIL import ImageColor

from clockwork_pack.comparison.canvas import ACCENT, INK
from clockwork_pack.comparison.plot import SIZE, draw_plot, points_of, ticks
from clockwork_pack.comparison.results import Spread

ROWS = [
    uncached_row(),
    made_up_row("clock 2", 60, 30.0),
    made_up_row("clock 3", 65, 25.0),
    made_up_row("steps 8", 40, 28.0),
]


def colours(image):
    return {colour for _, colour in image.getcolors(image.width * image.height)}


def test_the_front_is_of_those_that_none_beats():
    assert [(point.name, point.best) for point in points_of(ROWS)] == [
        ("uncached", True),
        ("clock 2", True),
        ("clock 3", False),
        ("steps 8", True),
    ]


def test_equals_are_both_on_the_front():
    twins = points_of([uncached_row(), made_up_row("clock 2", 100, EXACT)])
    assert [(point.value, point.best) for point in twins] == [(None, True), (None, True)]


def test_seconds_stand_in_where_flops_are_not_counted():
    rows = [uncached_row(), made_up_row("clock 2", None)]
    assert [point.cost for point in points_of(rows)] == [100.0, 100.0]


def test_pictures_that_are_no_numbers_are_left_out():
    rows = [uncached_row(), made_up_row("clock 2", psnr=Spread(math.nan, None, 0, 2))]
    assert [point.name for point in points_of(rows)] == ["uncached"]
    assert draw_plot(rows, "", on_latents=False).size == SIZE


@pytest.mark.parametrize("rows", [ROWS, ROWS[:1], [uncached_row(), made_up_row("clock 2", 100, EXACT)]])
def test_it_is_drawn(rows):
    image = draw_plot(rows, "20 steps", on_latents=False)
    assert image.size == SIZE
    assert {ImageColor.getrgb(ACCENT), ImageColor.getrgb(INK)} <= colours(image)


def test_more_rows_are_more_ink():
    def ground(rows):
        image = draw_plot(rows, "", on_latents=True)
        return max(count for count, _ in image.getcolors(SIZE[0] * SIZE[1]))

    assert ground(ROWS) < ground(ROWS[:1])


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0, 100, [0, 20, 40, 60, 80, 100]), (23.4, 31, [24, 26, 28, 30]), (29, 31, [29, 29.5, 30, 30.5, 31])],
)
def test_ticks_are_round_and_inside(low, high, expected):
    assert ticks(low, high, 6) == pytest.approx(expected)
