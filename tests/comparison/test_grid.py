import numpy as np
import pytest
import torch
from made_up_rows import made_up_row, uncached_row
from PIL import Image

from clockwork_pack.comparison.grid import LARGEST_PICTURE, LONGEST_SIDE, draw_grid, thumbnail

RED, BLUE, GREEN, WHITE = (255, 0, 0), (0, 0, 255), (0, 255, 0), (255, 255, 255)


def flat(colour, size=(200, 100)):
    return Image.new("RGB", size, colour)


def test_pictures_stand_in_rows_of_seeds_and_columns_of_variants():
    grid = draw_grid(
        [uncached_row(), made_up_row("clock 2")], [5, 6], [[flat(RED), flat(BLUE)], [flat(GREEN), flat(WHITE)]]
    )
    pixels = np.asarray(grid)
    centres = {}
    for colour in (RED, BLUE, GREEN, WHITE):
        rows, columns = np.nonzero((pixels == colour).all(2))
        assert len(rows) == 200 * 100
        centres[colour] = (rows.mean(), columns.mean())
    assert centres[RED][0] == centres[BLUE][0] < centres[GREEN][0] == centres[WHITE][0]
    assert centres[RED][1] == centres[GREEN][1] < centres[BLUE][1] == centres[WHITE][1]


def test_a_small_picture_is_enlarged_in_whole_squares():
    picture = torch.zeros(3, 2, 2)
    picture[0, 0, 1] = 1.0
    pixels = np.asarray(thumbnail(picture))
    half = LARGEST_PICTURE // 2
    assert pixels.shape == (LARGEST_PICTURE, LARGEST_PICTURE, 3)
    assert (pixels[:half, half:] == RED).all()
    assert pixels[:, :half].max() == pixels[half:].max() == 0


@pytest.mark.parametrize(("size", "expected"), [((768, 1024), (384, 288)), ((2, 1024), (384, 1))])
def test_a_large_picture_is_shrunk(size, expected):
    assert thumbnail(torch.rand(3, *size)).size == expected


def test_a_picture_that_is_no_number_is_black():
    assert np.asarray(thumbnail(torch.full((3, 8, 8), torch.nan))).max() == 0


def test_many_seeds_and_long_names_fit():
    names = ["steps 12 clock 2 extrapolation", "steps 13 schedule extrapolation"]
    rows = [uncached_row(), *(made_up_row(name, None) for name in names)]
    grid = draw_grid(rows, list(range(32)), [[flat(RED, (384, 384))] * 3] * 32)
    assert max(grid.size) < 1.25 * LONGEST_SIDE
