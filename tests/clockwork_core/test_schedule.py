import pytest

from clockwork_pack.clockwork_core.schedule import (
    DenseEarly,
    EveryN,
    ExplicitList,
    FullSteps,
    Kind,
    ScheduleRun,
    Window,
    plan,
)

ALWAYS = Window()


def drawn(schedule, steps, window=ALWAYS, visits=None):
    """The kinds as a string, F = full, a = adaptor; `visits` lists the step of each evaluation."""
    if visits is None:
        kinds = plan(schedule, window, steps)
    else:
        run = ScheduleRun(schedule, window, steps)
        kinds = [run.next(step) for step in visits]
    return "".join("F" if kind is Kind.FULL else "a" for kind in kinds)


HEUN_VISITS = [0, 1, 1, 2, 2, 3, 3]
"""Four steps of Heun: the corrector of each step evaluates at the next step's sigma; the last step has none."""


def test_a_plan_for_a_sampler_with_two_evaluations_per_step():
    kinds = plan(EveryN(2), ALWAYS, 4, "heun")
    assert kinds == [Kind.FULL, Kind.ADAPTOR, Kind.FULL, Kind.ADAPTOR, Kind.FULL, Kind.ADAPTOR, Kind.FULL]


class TestEveryN:
    @pytest.mark.parametrize(
        ("clock", "offset", "expected"),
        [
            (1, 0, "FFFFFFFF"),
            (2, 0, "FaFaFaFa"),
            (3, 0, "FaaFaaFa"),
            (64, 0, "Faaaaaaa"),
            (2, 1, "FFaFaFaF"),
            (3, 2, "FaFaaFaa"),
        ],
    )
    def test_pattern(self, clock, offset, expected):
        assert drawn(EveryN(clock, offset), 8) == expected

    def test_two_evaluations_per_step_tick_twice(self):
        assert drawn(EveryN(2), 4, visits=HEUN_VISITS) == "FaFaFaF"

    @pytest.mark.parametrize("clock", [0, -1, 65])
    def test_bad_clock(self, clock):
        with pytest.raises(ValueError, match=f"clock is {clock}, but must lie between 1 .* and 64"):
            EveryN(clock)

    def test_bad_offset(self):
        with pytest.raises(ValueError, match="offset is 3, but with clock 3 it must lie between 0 and 2"):
            EveryN(3, 3)


class TestExplicitList:
    def test_pattern_repeats(self):
        assert drawn(ExplicitList("100"), 7) == "FaaFaaF"

    def test_pattern_longer_than_the_run(self):
        assert drawn(ExplicitList("1101100"), 3) == "FFa"

    @pytest.mark.parametrize(("pattern", "shown"), [("1x0", "'x'"), ("1 0", "' '"), ("12", "'2'")])
    def test_other_characters(self, pattern, shown):
        with pytest.raises(ValueError, match=f"contains {shown}; only 1 .* and 0 .* are allowed"):
            ExplicitList(pattern)

    @pytest.mark.parametrize("pattern", ["0110", ""])
    def test_must_begin_full(self, pattern):
        with pytest.raises(ValueError, match="must begin with 1"):
            ExplicitList(pattern)


class TestFullSteps:
    def test_pattern(self):
        assert drawn(FullSteps.parse("0, 1, 2, 5, 9"), 10) == "FFFaaFaaaF"

    def test_listed_step_is_full_at_its_first_evaluation_only(self):
        assert drawn(FullSteps.parse("0 2"), 4, visits=HEUN_VISITS) == "FaaFaaa"

    def test_without_the_first(self):
        with pytest.raises(ValueError, match="holds 1, 5, but must contain 0"):
            FullSteps.parse("1, 5")

    @pytest.mark.parametrize("text", ["0, one", "0; 1", "0, 1.5", "0,nan"])
    def test_not_a_number(self, text):
        with pytest.raises(ValueError, match="only whole numbers"):
            FullSteps.parse(text)

    def test_negative(self):
        with pytest.raises(ValueError, match="holds -2, but steps count from 0"):
            FullSteps.parse("0, -2")


class TestDenseEarly:
    def test_positions(self):
        # floor(20 (i / 8)^2) = 0 0 1 2 5 7 11 15, with the second and those after it moved on where they meet.
        assert sorted(DenseEarly(8).full_steps(20)) == [0, 1, 2, 3, 5, 7, 11, 15]

    @pytest.mark.parametrize("steps", range(1, 41))
    def test_count_is_kept_and_gaps_grow(self, steps):
        for passes in range(1, steps + 1):
            chosen = sorted(DenseEarly(passes).full_steps(steps))
            assert len(chosen) == passes
            assert chosen[0] == 0
            assert chosen[-1] < steps

    def test_more_passes_than_steps(self):
        assert drawn(DenseEarly(9), 4) == "FFFF"

    def test_none(self):
        with pytest.raises(ValueError, match="full_passes is 0, but at least 1"):
            DenseEarly(0)


class TestWindow:
    def test_full_outside(self):
        assert drawn(EveryN(4), 10, Window(0.2, 0.8)) == "FFaaaFaaFF"

    def test_clock_counts_from_the_last_forced_full_pass(self):
        # Step 4 is full for being outside; a full pass at step 5 as well would be wasted.
        assert drawn(EveryN(2), 10, Window(0.5, 1.0)) == "FFFFFaFaFa"

    def test_empty(self):
        assert drawn(EveryN(2), 4, Window(0.5, 0.5)) == "FFFF"

    def test_start_after_end(self):
        with pytest.raises(ValueError, match=r"start_percent 0\.6 lies after end_percent 0\.4"):
            Window(0.6, 0.4)

    @pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
    def test_out_of_range(self, value):
        with pytest.raises(ValueError, match=r"start_percent is .*, but must lie between 0 and 1"):
            Window(value, 1.0)


def test_first_evaluation_is_full_whatever_the_schedule_says():
    assert drawn(EveryN(3, 1), 5)[0] == "F"


def test_always_full_is_known_beforehand():
    assert EveryN(1).always_full()
    assert ExplicitList("111").always_full()
    assert not any(s.always_full() for s in (EveryN(2), ExplicitList("10"), FullSteps.parse("0"), DenseEarly(1)))
