"""Anything at all straight into `execute`: a result, or a ValueError with a sentence; the model stays as it was."""

import time
from contextlib import suppress

import folder_paths
import pytest
import torch
import toys
from hypothesis import example, given
from hypothesis import strategies as st

from clockwork_pack.adaptors import BUILT_IN, Identity
from clockwork_pack.clockwork_core.runtime import reports_of
from clockwork_pack.clockwork_core.schedule import Kind, Window, plan
from clockwork_pack.comparison.variants import ADAPTORS, parse_variants
from clockwork_pack.nodes import NODES
from clockwork_pack.nodes.adaptor_files import FOLDER, ClockworkLoadAdaptor, ClockworkSaveAdaptor, next_path
from clockwork_pack.nodes.apply import ClockworkApply
from clockwork_pack.nodes.compare import ClockworkCompare
from clockwork_pack.nodes.demo import ClockworkLoadDemoModel
from clockwork_pack.nodes.fit import ClockworkFitAdaptor
from clockwork_pack.nodes.report import ClockworkReport
from clockwork_pack.nodes.schedule import BUILDERS, ClockworkSchedule
from clockwork_pack.nodes.training import ClockworkTrainAdaptor

MODEL = toys.toy_model("koala 700m")
TRANSFORMER = toys.toy_transformer()
SECONDS_AT_MOST = 5.0
LONGEST_SENTENCE = 500
MILLION = 10**6

VALID = {
    ClockworkApply: {
        "model": MODEL,
        "clock": 2,
        "cut": "stage 1",
        "kept_blocks": 3,
        "start_percent": 0.0,
        "end_percent": 1.0,
        "schedule": None,
        "adaptor": None,
        "reuse_control": True,
    },
    ClockworkSchedule: {
        "mode": "every N",
        "clock": 2,
        "offset": 0,
        "pattern": "1000100100",
        "full_steps": "0, 1, 2, 5, 9",
        "full_passes": 8,
    },
    ClockworkLoadAdaptor: {"adaptor_name": "extrapolation"},
    # Never valid, so that nothing is written.
    ClockworkSaveAdaptor: {"adaptor": Identity(), "filename_prefix": "adaptor"},
    # Never valid, for it has no prompts, so that nothing is fitted.
    ClockworkFitAdaptor: {
        "model": MODEL,
        "prompts": "",
        "latent": {"samples": torch.zeros(1, 4, 8, 8)},
        "steps": 4,
        "sampler_name": "euler",
        "scheduler": "normal",
        "cfg": 3.0,
        "clock": 2,
        "cut": "stage 1",
        "kept_blocks": 2,
        "pictures": 4,
        "memory_limit": 1.0,
        "seed": 0,
        "clip": None,
        "positive": None,
        "negative": None,
        "prompts_file": "",
    },
    # Never valid, for it has no prompts, so that nothing is trained.
    ClockworkTrainAdaptor: {
        "model": MODEL,
        "prompts": "",
        "latent": {"samples": torch.zeros(1, 4, 8, 8)},
        "steps": 4,
        "sampler_name": "euler",
        "scheduler": "normal",
        "cfg": 3.0,
        "clock": 2,
        "cut": "stage 1",
        "kept_blocks": 2,
        "architecture": "resnet",
        "loss": "guided output",
        "iterations": 2,
        "batch_size": 2,
        "learning_rate": 1e-3,
        "trajectories": 2,
        "on_policy": False,
        "memory_limit": 1.0,
        "seed": 0,
        "clip": None,
        "positive": None,
        "negative": None,
        "prompts_file": "",
        "checkpoint": "",
        "most_steps": 0,
        "most_clock": 0,
    },
    ClockworkReport: {"model": MODEL, "latent": {"samples": torch.zeros(1, 4, 8, 8)}},
    # Never valid, so that nothing is drawn: the last check before that is for what the last line needs.
    ClockworkCompare: {
        "model": MODEL,
        "positive": toys.conditioning(1),
        "negative": toys.conditioning(2),
        "latent": {"samples": torch.zeros(1, 4, 8, 8)},
        "seed": 0,
        "seed_count": 1,
        "steps": 2,
        "cfg": 4.0,
        "sampler_name": "euler",
        "scheduler": "normal",
        "denoise": 1.0,
        "variants": "clock 2\nas connected",
        "cut": "stage 1",
        "kept_blocks": 3,
        "schedule": None,
        "adaptor": None,
        "vae": None,
    },
}


class Unshowable:
    def __repr__(self):
        raise RuntimeError("cannot be shown")


anything = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-3, 70),
    st.floats(),
    st.complex_numbers(),
    st.text(max_size=50),
    st.text("01 ,-", max_size=20),
    st.text("0٣३１", max_size=5),
    st.binary(max_size=5),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
    st.sampled_from(["stage 1", "stage 2", "custom", *BUILDERS]),
    st.sampled_from([10**5000, -(10**5000), 10**30, float("nan"), float("inf"), 5e-324]),
    st.builds(Unshowable),
    st.builds(lambda: torch.zeros(2)),
    st.builds(lambda: {"samples": "none"}),
    st.just(TRANSFORMER),
)


@st.composite
def inputs_of(draw, node):
    """The node's inputs, up to three of them replaced."""
    valid = VALID[node]
    replaced = draw(st.lists(st.sampled_from(sorted(valid)), min_size=1, max_size=3, unique=True))
    # The schedule's inputs are read by mode: a wrong one counts only there.
    mode = {"mode": draw(st.sampled_from(list(BUILDERS)))} if "mode" in valid else {}
    return {**valid, **mode, **{name: draw(anything) for name in replaced}}


def execute(node, inputs):
    """The first output, or None where the node refused with a sentence."""
    options = repr(MODEL.model_options)
    try:
        return node.execute(**inputs).result[0]
    except (ValueError, FileNotFoundError) as error:
        sentence = str(error)
        assert sentence.endswith(".")
        assert " " in sentence
        assert len(sentence) < LONGEST_SENTENCE
        return None
    finally:
        assert repr(MODEL.model_options) == options
        assert not any(MODEL.wrappers.values())
        assert reports_of(MODEL) is None


def assert_usable(schedule):
    """It plans runs, long ones too, and can be told in a line."""
    for steps in (1, 20):
        kinds = plan(schedule, Window(), steps)
        assert len(kinds) == steps
        assert kinds[0] is Kind.FULL
    assert len(schedule.describe()) < LONGEST_SENTENCE


@given(inputs=inputs_of(ClockworkApply))
@example(inputs={**VALID[ClockworkApply], "clock": True})
@example(inputs={**VALID[ClockworkApply], "clock": 2.5})
@example(inputs={**VALID[ClockworkApply], "start_percent": float("nan")})
@example(inputs={**VALID[ClockworkApply], "schedule": 0})
def test_apply(inputs):
    patched = execute(ClockworkApply, inputs)
    if patched is not None:
        assert patched is not MODEL
        assert reports_of(patched) is not None


@given(inputs=inputs_of(ClockworkSchedule))
@example(inputs={**VALID[ClockworkSchedule], "mode": "full steps", "full_steps": "٠, ١"})
@example(inputs={**VALID[ClockworkSchedule], "mode": ["every N"]})
def test_schedule(inputs):
    schedule = execute(ClockworkSchedule, inputs)
    if schedule is not None:
        assert_usable(schedule)


@given(inputs=inputs_of(ClockworkLoadAdaptor))
@example(inputs={"adaptor_name": "../../etc/passwd"})
@example(inputs={"adaptor_name": "\0.safetensors"})
def test_load_adaptor(inputs):
    adaptor = execute(ClockworkLoadAdaptor, inputs)
    assert adaptor is None or adaptor.name in BUILT_IN


@given(inputs=inputs_of(ClockworkSaveAdaptor))
def test_save_adaptor(inputs):
    assert execute(ClockworkSaveAdaptor, inputs) is None


@given(prefix=anything)
@example(prefix="../outside")
@example(prefix="\0")
@example(prefix="a/" * 2000)
@example(prefix="a" * 1000)
def test_a_file_is_saved_inside_its_folder_or_not_at_all(prefix, tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setitem(folder_paths.folder_names_and_paths, FOLDER, ([str(root)], {".safetensors"}))
        path = None
        with suppress(ValueError):
            path = next_path(prefix)
    assert path is None or (path.is_relative_to(root) and not path.exists())


@given(inputs=inputs_of(ClockworkReport))
def test_report(inputs):
    result = execute(ClockworkReport, inputs)
    assert result is None or result is inputs["latent"]


@given(inputs=inputs_of(ClockworkTrainAdaptor))
@example(inputs={**VALID[ClockworkTrainAdaptor], "prompts_file": "../../etc/passwd.txt"})
@example(inputs={**VALID[ClockworkTrainAdaptor], "checkpoint": "../outside"})
@example(inputs={**VALID[ClockworkTrainAdaptor], "positive": [[torch.zeros(1, 8, 16), {"control": MODEL}]]})
@example(inputs={**VALID[ClockworkTrainAdaptor], "architecture": "perceptron"})
@example(inputs={**VALID[ClockworkTrainAdaptor], "scheduler": "bus"})
@example(inputs={**VALID[ClockworkTrainAdaptor], "most_steps": 3})
def test_train_adaptor(inputs):
    assert execute(ClockworkTrainAdaptor, inputs) is None


def is_unanswerable(inputs):
    """Another text might be valid, and draw."""
    variants = inputs["variants"]
    return not isinstance(variants, str) or variants == VALID[ClockworkCompare]["variants"]


@given(inputs=inputs_of(ClockworkCompare).filter(is_unanswerable))
@example(inputs={**VALID[ClockworkCompare], "schedule": 0, "variants": "schedule"})
@example(inputs={**VALID[ClockworkCompare], "adaptor": "identity", "variants": "adaptor"})
@example(inputs={**VALID[ClockworkCompare], "vae": TRANSFORMER})
@example(inputs={**VALID[ClockworkCompare], "positive": [[torch.zeros(1, 77, 16)]]})
def test_compare(inputs):
    assert execute(ClockworkCompare, inputs) is None


words = st.sampled_from(
    ["none", "steps", "clock", "schedule", *ADAPTORS, "as", "connected", "1", "2", "12", "99", "\n"]
)


@given(text=st.one_of(anything, st.lists(words, max_size=12).map(" ".join)))
def test_variants(text):
    refusal, names = "", ["uncached"]
    try:
        names = [variant.name for variant in parse_variants(text, steps=20)]
    except ValueError as error:
        refusal = str(error)
    assert not refusal or (refusal.startswith("variants") and len(refusal) < LONGEST_SENTENCE)
    assert names[0] == "uncached"
    assert len(set(names)) == len(names)


@given(inputs=inputs_of(ClockworkFitAdaptor))
@example(inputs={**VALID[ClockworkFitAdaptor], "prompts_file": "../../etc/passwd.txt"})
@example(inputs={**VALID[ClockworkFitAdaptor], "positive": [[torch.zeros(1, 8, 16), {"control": MODEL}]]})
@example(inputs={**VALID[ClockworkFitAdaptor], "scheduler": "bus"})
def test_fit_adaptor(inputs):
    assert execute(ClockworkFitAdaptor, inputs) is None


@pytest.mark.parametrize("latent", [None, {}, {"samples": None}, "latent", torch.zeros(1, 4, 8, 8)])
def test_report_of_no_latent(latent):
    patched = ClockworkApply.execute(**VALID[ClockworkApply]).result[0]
    with pytest.raises(ValueError, match="must be a LATENT"):
        ClockworkReport.execute(patched, latent)


def test_apply_refuses_each_wrong_type():
    wrong = {
        "model": "model",
        "clock": [True, 2.5, "2", None, float("nan"), 10**5000],
        "cut": [None, 1, ["stage 1"], "stage 9"],
        "start_percent": ["0", None, float("nan"), float("inf"), True, -0.1],
        "end_percent": ["1", None, float("nan"), -float("inf"), False, 1j],
        "schedule": [0, "", "every N", object()],
        "adaptor": [0, "identity", object()],
        "reuse_control": [None, 1, "yes", float("nan")],
    }
    for name, values in wrong.items():
        for value in values:
            with pytest.raises(ValueError, match=name):
                ClockworkApply.execute(**{**VALID[ClockworkApply], name: value})
    for value in (True, 2.5, "3", None, 10**5000):
        with pytest.raises(ValueError, match="kept_blocks"):
            ClockworkApply.execute(**{**VALID[ClockworkApply], "cut": "custom", "kept_blocks": value})


@pytest.mark.parametrize(
    ("mode", "changes"),
    [
        ("explicit list", {"pattern": "1" + "0" * MILLION}),
        ("explicit list", {"pattern": "10a" * MILLION}),
        ("explicit list", {"pattern": "".join(map(chr, range(0x4E00, 0x9000)))}),
        ("full steps", {"full_steps": ",".join(map(str, range(MILLION // 10)))}),
        ("full steps", {"full_steps": "9" * MILLION}),
        ("full steps", {"full_steps": "1 " * MILLION}),
        ("dense early", {"full_passes": 10**5000}),
        ("every N", {"clock": 10**5000}),
        ("every N", {"offset": -(10**5000)}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_huge_values_take_no_time(mode, changes):
    start = time.process_time()
    schedule = execute(ClockworkSchedule, {**VALID[ClockworkSchedule], "mode": mode, **changes})
    if schedule is not None:
        assert_usable(schedule)
    assert time.process_time() - start < SECONDS_AT_MOST


def test_every_node_with_inputs_is_fuzzed():
    assert set(NODES) - {ClockworkLoadDemoModel} == set(VALID)
