"""What is compared, and how it is written."""

import pytest

from clockwork_pack.benchmarks.yardsticks.variants import Variant, compared


def test_reads_what_a_person_writes():
    assert Variant.parse("12") == Variant(12)
    assert Variant.parse("20 clock=3 cut=2 start=0.2") == Variant(20, 3, "stage 2", 0.2)
    assert Variant.parse("8 clock=2 adaptor=extrapolation") == Variant(8, 2, adaptor="extrapolation")


@pytest.mark.parametrize("text", ["8 speed=2", "8 clock"])
def test_names_what_it_cannot_read(text):
    with pytest.raises(ValueError, match=repr(text.split()[1])):
        Variant.parse(text)


def test_names_say_what_differs():
    assert Variant(8).name == "8 steps"
    assert Variant(20, 2, "stage 2", 0.25).name == "20 steps, clock 2, stage 2, from 25%"
    assert Variant(8, 2, adaptor="extrapolation").name == "8 steps, clock 2, stage 1, extrapolation"


def test_fewer_steps_at_every_count_stand_beside_each_clock():
    variants = compared((5,), clocks=(2,))
    assert [variant.steps for variant in variants if variant.is_plain] == [3, 4, 5]
    clockwork = [(variant.adaptor, variant.cut) for variant in variants if not variant.is_plain]
    assert clockwork == [
        ("identity", "stage 1"),
        ("identity", "stage 2"),
        ("extrapolation", "stage 1"),
        ("extrapolation", "stage 2"),
    ]
