"""The prompts that are measured on, split in two."""

import pytest

from clockwork_pack.benchmarks.yardsticks.cases import Split, cases

ICONS = ("tiger", "lemon", "ghost")
COLOURS = ("white", "red", "green", "blue")


def test_the_splits_share_no_prompt_and_no_seed_and_together_hold_all():
    tuning, held_out = (cases(ICONS, COLOURS, split, 6) for split in Split)
    prompts = [{case.prompt for case in each} for each in (tuning, held_out)]
    assert [len(each) for each in prompts] == [6, 6]
    assert not prompts[0] & prompts[1]
    assert not {case.seed for case in tuning} & {case.seed for case in held_out}


def test_every_icon_comes_before_one_comes_again():
    chosen = [case.icon for case in cases(ICONS, COLOURS, Split.HELD_OUT, 6)]
    assert chosen == [*ICONS, *ICONS]


def test_more_cases_begin_with_the_same_ones():
    assert cases(ICONS, COLOURS, Split.TUNING, 6)[:2] == cases(ICONS, COLOURS, Split.TUNING, 2)


@pytest.mark.parametrize("count", [0, 7])
def test_a_split_has_no_other_number_of_cases(count):
    with pytest.raises(ValueError, match=f"count is {count}, but tuning has 6"):
        cases(ICONS, COLOURS, Split.TUNING, count)
