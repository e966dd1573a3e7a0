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
        trace.remember("cond", features(value))
    assert log_snrs(trace, "cond") == [3.0, 2.0]


def test_a_pass_of_another_size_replaces_those_before():
    trace = Trace(depth=2)
    trace.remember("cond", features(1.0))
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
        trace.remember("cond", features(value))
    assert trace.size_bytes == 2 * 18 * 4
    trace.clear()
    assert trace.size_bytes == 0
    assert trace.peak_bytes == 2 * 18 * 4
