from made_up_rows import EXACT, made_up_row, uncached_row

from clockwork_pack.comparison.results import Spread
from clockwork_pack.comparison.table import markdown_table, spread


def test_a_whole_table_by_hand():
    rows = [uncached_row(), made_up_row("clock 2 extrapolation", remarks=("Trained for 8 steps.",))]
    assert markdown_table(rows, ["seconds: medians."]) == (
        "| variant | seconds | FLOPs | full + adaptor | PSNR (dB) | SSIM |\n"
        "| :--- | ---: | ---: | ---: | ---: | ---: |\n"
        "| uncached | 4.00 (100%) | 100% | 20 + 0 | exact | 1.000 ± 0.000 |\n"
        "| clock 2 extrapolation | 2.00 (50%) | 50% | 10 + 10 | 30.0 ± 1.0 | 0.900 ± 0.010 |\n"
        "\n"
        "- seconds: medians.\n"
        "- clock 2 extrapolation: Trained for 8 steps."
    )


def test_lpips_has_a_column_only_where_it_was_measured():
    assert "LPIPS" not in markdown_table([uncached_row()], [])
    header, _, line, *_ = markdown_table([made_up_row("clock 2", lpips=Spread(0.123, None, 0, 1))], []).splitlines()
    assert header.endswith("| SSIM | LPIPS |")
    assert line.endswith("| 0.123 |")


def test_flops_that_were_not_counted_are_said_to_be_so():
    assert "| not counted |" in markdown_table([made_up_row("clock 2", None)], [])


def test_spreads():
    assert spread(EXACT, 1) == "exact"
    assert spread(Spread(31.25, None, 0, 1), 1) == "31.2"
    assert spread(Spread(31.25, 0.5, 1, 3), 1) == "31.2 ± 0.5 (1 of 3 exact)"
