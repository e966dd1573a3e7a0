"""The little language of variants."""

import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from clockwork_pack.adaptors import BUILT_IN
from clockwork_pack.comparison.variants import ADAPTORS, MOST_VARIANTS, UNCACHED, Source, Variant, parse_variants

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("clock 2", Variant(Source.CLOCK, 2, line=1)),
        ("  Clock   3  Extrapolation ", Variant(Source.CLOCK, 3, "extrapolation", line=1)),
        ("clock 3 adaptor", Variant(Source.CLOCK, 3, "adaptor", line=1)),
        ("clock 64 identity", Variant(Source.CLOCK, 64, line=1)),
        ("adaptor", Variant(Source.CLOCK, 2, "adaptor", line=1)),
        ("schedule", Variant(Source.SCHEDULE, line=1)),
        ("schedule extrapolation", Variant(Source.SCHEDULE, adaptor="extrapolation", line=1)),
        ("steps 12", Variant(Source.UNCACHED, steps=12, line=1)),
        ("steps 12 clock 2 extrapolation", Variant(Source.CLOCK, 2, "extrapolation", 12, line=1)),
        ("steps 12 schedule", Variant(Source.SCHEDULE, steps=12, line=1)),
        ("steps 12 adaptor", Variant(Source.CLOCK, 2, "adaptor", 12, line=1)),
        ("as connected", Variant(Source.MODEL, line=1)),
    ],
)
def test_each_form(line, expected):
    assert parse_variants(line, 20) == [UNCACHED, expected]


@pytest.mark.parametrize("text", ["", "none", "\n \n NONE \n", "none\nnone"])
def test_the_uncached_run_is_always_there_and_first(text):
    assert parse_variants(text, 20) == [UNCACHED]
    assert parse_variants(f"clock 2\n{text}", 20)[0] == UNCACHED


def test_names_are_lines_that_mean_the_same():
    text = "clock 2\nclock 3 extrapolation\nsteps 12\nsteps 12 schedule adaptor\nas connected\nadaptor"
    names = [variant.name for variant in parse_variants(text, 20)]
    assert names == ["uncached", *text.splitlines()[:-1], "clock 2 adaptor"]
    again = parse_variants("\n".join(names[1:]), 20)
    assert [variant.name for variant in again] == names


def test_only_an_uncached_run_of_fewer_steps_is_the_peer():
    variants = parse_variants("steps 12\nsteps 12 clock 2\nclock 2", 20)
    assert [variant.is_fewer_steps for variant in variants] == [False, True, False, False]


@pytest.mark.parametrize(
    "line",
    [
        *("clock", "clock two", "clock -2", "clock 2.5", "clock 2 3", "clock ٣", "clock 2 resnet", "clock2"),
        *("extrapolation", "identity", "steps 12 extrapolation", "adaptor clock 2", "clock 2 steps 12", "steps"),
        *("clock 2 # fast", "schedule 3", "as", "none clock 2", "steps 12 none", f"clock {10**12}", "steps 12clock 2"),
    ],
)
def test_a_line_of_no_valid_form_is_named_with_the_valid_forms(line):
    with pytest.raises(ValueError, match=r"line 2: .* is no variant\. Valid lines: none; steps N; .*as connected"):
        parse_variants(f"clock 2\n{line}", 20)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("clock 1", "line 1: clock is 1, but must lie between 2 and 64"),
        ("\nclock 65", "line 2: clock is 65, but must lie between 2 and 64"),
        ("steps 20", "line 1: steps is 20, but must be at least 1 and fewer than the 20 of the uncached run"),
        ("steps 0", "line 1: steps is 0, but must be at least 1"),
        ("clock 2\n\nadaptor\nclock 2 identity", "line 4: clock 2 means the same as line 1: leave one out"),
        ("\n".join(f"clock {n}" for n in range(2, 40)), f"more than {MOST_VARIANTS} lines"),
        (None, "variants is None, but must be a text"),
    ],
)
def test_other_bad_texts(text, message):
    with pytest.raises(ValueError, match=message):
        parse_variants(text, 20)


def test_huge_texts_take_no_time():
    start = time.process_time()
    for text in ("\n" * 10**6, "clock 2" * 10**5, "9" * 10**6, "clock 2\n" * 10**5):
        with suppress(ValueError):
            parse_variants(text, 20)
    assert time.process_time() - start < 3


def test_the_words_for_adaptors_are_those_of_the_loader():
    assert (*BUILT_IN, "adaptor") == ADAPTORS


def test_reading_variants_needs_neither_torch_nor_the_host():
    program = (
        "import importlib.util, sys\n"
        "spec = importlib.util.spec_from_file_location('pack', '__init__.py', submodule_search_locations=['.'])\n"
        "sys.modules['pack'] = importlib.util.module_from_spec(spec)\n"
        "import pack.comparison.variants\n"
        "assert not {'torch', 'comfy', 'PIL'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)
