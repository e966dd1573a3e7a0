import pytest
import torch

from clockwork_pack.clockwork_core.trace import Remembered, Signature, Trace

HERE = Signature((1, 4, 8, 8), torch.float32, torch.device("cpu"))
LARGER = Signature((1, 4, 16, 8), torch.float32, torch.device("cpu"))


def features(value: float, signature: Signature = HERE) -> Remembered:
    return Remembered(signature, value, torch.full((1, 2, 3, 3), value), (2, 3, 3))


def log_snrs(trace: Trace, stream: str, signature: Signature = HERE) -> list[float]:
    return [remembered.log_snr for remembered in trace.recall(stream, signature)]


def test_newest_first_and_no_deeper_than_asked():
    trace = Trace(depth=2)
    for value in (1.0, 2.0, 3.0):
        trace.begin_evaluation()
        trace.remember("cond", features(value))
    assert log_snrs(trace, "cond") == [3.0, 2.0]


def test_a_second_try_within_an_evaluation_replaces_the_first():
    trace = Trace(depth=2)
    trace.remember("cond", features(1.0))
    trace.begin_evaluation()
    trace.remember("cond", features(2.0))
    trace.remember("cond", features(2.5))
    assert log_snrs(trace, "cond") == [2.5, 1.0]


def test_a_second_try_after_one_that_failed_keeps_the_past():
    trace = Trace(depth=3)
    for value in (1.0, 2.0):
        trace.begin_evaluation()
        trace.remember("cond", features(value))
    trace.begin_evaluation()
    trace.remember("cond", features(3.0))
    for _failed_try in range(2):
        trace.make_room("cond", HERE)
    trace.remember("cond", features(3.5))
    assert log_snrs(trace, "cond") == [3.5, 2.0, 1.0]


@pytest.mark.parametrize(("depth", "left"), [(1, []), (2, [3.0]), (3, [3.0, 2.0])])
def test_room_for_a_pass_is_made_before_it_comes(depth, left):
    trace = Trace(depth)
    for value in (1.0, 2.0, 3.0):
        trace.begin_evaluation()
        trace.remember("cond", features(value))
    trace.begin_evaluation()
    trace.make_room("cond", HERE)
    assert log_snrs(trace, "cond") == left


def test_room_is_made_of_all_features_of_another_size():
    trace = Trace(depth=3)
    trace.remember("cond", features(1.0))
    trace.make_room("cond", LARGER)
    assert trace.size_bytes == 0


def test_a_pass_of_another_size_replaces_those_before():
    trace = Trace(depth=2)
    trace.remember("cond", features(1.0))
    trace.begin_evaluation()
    trace.remember("cond", Remembered(HERE, 2.0, torch.zeros(1, 2, 6, 6), (2, 6, 6)))
    assert log_snrs(trace, "cond") == [2.0]


def test_r_in_counts_as_memory():
    trace = Trace()
    trace.remember("cond", Remembered(HERE, 1.0, torch.zeros(1, 2, 3, 3), (2, 3, 3), torch.zeros(1, 1, 3, 3)))
    assert trace.peak_bytes == 4 * 27


def test_streams_do_not_meet():
    trace = Trace()
    trace.remember("cond", features(1.0))
    trace.remember("uncond", features(2.0))
    assert log_snrs(trace, "cond") == [1.0]
    assert log_snrs(trace, "uncond") == [2.0]
    assert log_snrs(trace, "another") == []


def test_features_of_another_size_are_never_given_out():
    trace = Trace(depth=2)
    trace.remember("cond", features(1.0))
    assert log_snrs(trace, "cond", LARGER) == []
    trace.remember("cond", features(2.0, LARGER))
    assert log_snrs(trace, "cond", LARGER) == [2.0]
    assert log_snrs(trace, "cond", HERE) == []


def test_dtype_and_device_belong_to_the_signature():
    x = torch.zeros(4, 4, 8, 8)
    assert Signature.of(x, 2) == Signature((2, 4, 8, 8), torch.float32, torch.device("cpu"))
    assert Signature.of(x.half(), 2) != Signature.of(x, 2)
    assert Signature.of(x.to("meta"), 2) != Signature.of(x, 2)


def test_bytes():
    trace = Trace(depth=2)
    for value in (1.0, 2.0, 3.0):
        trace.begin_evaluation()
        trace.remember("cond", features(value))
    assert trace.size_bytes == 2 * 18 * 4
    trace.clear()
    assert trace.size_bytes == 0
    assert trace.peak_bytes == 2 * 18 * 4
