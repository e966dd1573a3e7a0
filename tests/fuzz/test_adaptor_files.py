"""Random damage to adaptor files: each is refused with a sentence, or gives a sound adaptor; nothing else happens.

CLOCKWORK_FUZZ=nightly tries 10,000 files instead of some hundreds.
"""

import json
import random
import struct

import pytest
import torch
from adaptor_files import DESCRIPTION, trained_adaptor
from nightly import NIGHTLY

from clockwork_pack.adaptors import LearnedAdaptor
from clockwork_pack.adaptors.files import load_adaptor, save_adaptor
from clockwork_pack.clockwork_core.adaptor import Past, Present

resource = pytest.importorskip("resource", reason="needs a system that tells a process's peak memory")

CASES = 10_000 if NIGHTLY else 400
SEED = 0
# Peak memory that all cases together may add, far below what the lies in their headers ask for. In KiB.
MEMORY = 200 * 1024

ODD_VALUES = [
    None, True, -1, 0, 1, 2**31, 2**63, 10**400, 1e308, -0.0, "", "1", "x" * 10_000, "../../etc", "\x00", "é", [], {},
    [[[]]], {"a": {}}, "NaN",
]  # fmt: skip
SHAPES = [[], [0], [1], [2**40], [2**62, 4], [-1], [1, 2, 3, 4, 5, 6, 7, 8], "a", [None], [1.5]]
DTYPES = ["F64", "F32", "F16", "BF16", "I8", "U64", "BOOL", "F8_E4M3", "Q4", "", 7, None]


def split(data):
    """A safetensors file as its header, a JSON object, and the bytes of its tensors."""
    (length,) = struct.unpack("<Q", data[:8])
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def join(header, tensors, length=None):
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + tensors


def flip_bits(data, chance):
    damaged = bytearray(data)
    # Half of the flips fall into the header, which is a small part of the file.
    end = chance.choice([len(data), len(data) - len(split(data)[1])])
    for _ in range(chance.choice([1, 1, 3, 20])):
        damaged[chance.randrange(end)] ^= 1 << chance.randrange(8)
    return bytes(damaged)


def cut_short(data, chance):
    return data[: chance.choice([chance.randrange(200), chance.randrange(len(data))])]


def lengthen(data, chance):
    return data + chance.randbytes(chance.choice([1, 8, 5000]))


def lie_about_the_header(data, chance):
    header, tensors = split(data)
    return join(header, tensors, chance.choice([0, 1, 100, 2**20, 2**27, 2**31, 2**62, 2**64 - 1]))


def odd_metadata(data, chance):
    header, tensors = split(data)
    metadata = header["__metadata__"]
    entry = chance.choice([*metadata, "loss", "extra"])
    kind = chance.randrange(4)
    if kind == 0:
        metadata.pop(entry, None)
    elif kind == 1:
        metadata[entry] = chance.choice(ODD_VALUES)
    elif kind == 2:
        metadata[entry] = json.dumps(chance.choice(ODD_VALUES))
    else:
        entry = chance.choice(["config", "fits", "trained_for"])
        values = json.loads(metadata[entry])
        values[chance.choice([*values, "extra"])] = chance.choice(ODD_VALUES)
        metadata[entry] = json.dumps(values)
    return join(header, tensors)


def odd_tensor(data, chance):
    header, tensors = split(data)
    name = chance.choice([name for name in header if name != "__metadata__"])
    kind = chance.randrange(5)
    if kind == 0:
        header[name]["shape"] = chance.choice(SHAPES)
    elif kind == 1:
        header[name]["dtype"] = chance.choice(DTYPES)
    elif kind == 2:
        header[name]["data_offsets"] = chance.choice([[0, 0], [0, 2**62], [-1, 4], [4, 0], [1], "x", [2**63, 2**64]])
    elif kind == 3:
        header[chance.choice(["", "x" * 5000, "other", "__metadata__"])] = header.pop(name)
    else:
        header[name]["shape"] = [*header[name]["shape"][::-1], 1]
    return join(header, tensors)


def odd_weights(data, chance):
    header, tensors = split(data)
    value = chance.choice([float("nan"), float("inf"), -float("inf"), 3e38, -3e38, 1e-45])
    place = 4 * chance.randrange(len(tensors) // 4)
    return join(header, tensors[:place] + struct.pack("<f", value) + tensors[place + 4 :])


def something_else(data, chance):
    start = chance.choice([b"PK\x03\x04", b"\x80\x02", b"\x80\x04", b"GGUF", b"", b"{}", b"\x00" * 8])
    return start + chance.choice([b"", chance.randbytes(300), data])


DAMAGES = [flip_bits, cut_short, lengthen, lie_about_the_header, odd_metadata, odd_tensor, odd_weights, something_else]


def use(adaptor):
    """One prediction, of the shape that the description promises."""
    seam = adaptor.description.seam
    past = [Past((0.0,), torch.zeros(1, seam.r_out, 3, 3))]
    present = Present(
        torch.zeros(1, seam.r_in, 3, 3), torch.zeros(1, seam.embedding), torch.zeros(1, 2, seam.context), 1.0
    )
    assert adaptor.predict(past, present).shape == (1, seam.r_out, 3, 3)


def load_or_refusal(path):
    """The adaptor, or the sentence that refuses it; any other error fails the test."""
    try:
        return load_adaptor(path)
    except ValueError as error:
        if type(error) is not ValueError:
            raise
        return str(error)


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    path = tmp_path_factory.mktemp("fuzz") / "good.safetensors"
    save_adaptor(trained_adaptor(), path)
    return path.read_bytes()


def test_the_undamaged_file_is_sound(good, tmp_path):
    path = tmp_path / "adaptor.safetensors"
    path.write_bytes(join(*split(good)))
    adaptor = load_adaptor(path)
    assert adaptor.description == DESCRIPTION
    use(adaptor)


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_damaged_files(good, damage, tmp_path):
    chance = random.Random(f"{SEED} {damage.__name__}")
    path = tmp_path / "adaptor.safetensors"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused = 0
    for case in range(CASES // len(DAMAGES)):
        path.write_bytes(damage(good, chance))
        result = load_or_refusal(path)
        if isinstance(result, LearnedAdaptor):
            use(result)
            continue
        refused += 1
        assert result.startswith("The adaptor file adaptor.safetensors "), f"case {case}"
        assert result.endswith("."), f"case {case}: {result}"
        assert len(result) < 600, f"case {case}"
    assert refused, "some damage does harm"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MEMORY
