"""Weights of strangers: what once ended the interpreter, hung it or asked for all memory."""

import io
import json
import pickle
import struct
import time
import tracemalloc

import numpy as np
import pytest
import torch

from vpbench.api.errors import Corrupt
from vpbench.metrics.weights import convert, restricted, tf_bundle, torch7
from vpbench.metrics.weights.pickle_depth import nests_deeper


def nested(depth, protocol=4):
    """A dict whose key is a tuple in a tuple in a ..."""
    head = pickle.PROTO + bytes([protocol])
    return head + b"}" + b")" + b"\x85" * depth + b"K\x01s."


@pytest.mark.parametrize("depth", [100, 180_000])
def test_deep_keys_of_a_pickle(depth):
    with pytest.raises(Corrupt, match="nested too deeply"):
        restricted.load(nested(depth))
    with pytest.raises(Corrupt, match="nested too deeply"):
        convert._torch(nested(max(depth, 200)), "a.pt")


def test_the_depth_of_a_pickle_is_that_of_its_values():
    rng = np.random.default_rng(0)

    def value(depth):
        if not depth:
            return 1
        inner = [value(depth - 1), *(value(int(rng.integers(depth))) for _ in range(2))]
        return (tuple(inner), inner, dict(enumerate(inner)))[rng.integers(3)]

    def depth_of(item):
        inside = item.values() if isinstance(item, dict) else item
        return 1 + max(map(depth_of, inside)) if isinstance(item, tuple | list | dict) else 0

    for protocol in (2, 3, 4, 5):
        for depth in (1, 2, 4, 6):
            item = value(depth)
            data = pickle.dumps(item, protocol)
            assert not nests_deeper(data, depth_of(item))
            assert nests_deeper(data, depth_of(item) - 1)


def table(number, *pairs):
    return struct.pack("<3i", 3, number, len(pairs)) + b"".join(k + v for k, v in pairs)


def word(text):
    return struct.pack("<2i", 2, len(text)) + text.encode()


def tensor(sizes, strides, numbers, first=100):
    head = struct.pack("<2i", 4, first) + _text("V 1") + _text("torch.FloatTensor")
    head += struct.pack("<i", len(sizes)) + struct.pack(
        f"<{2 * len(sizes) + 1}q", *sizes, *strides, 1
    )
    storage = struct.pack("<2i", 4, first + 1) + _text("V 1") + _text("torch.FloatStorage")
    return head + storage + struct.pack(f"<q{numbers}f", numbers, *range(numbers))


def _text(text):
    return struct.pack("<i", len(text)) + text.encode()


def test_a_kilobyte_of_shared_tables_in_a_torch7_file():
    """Each table holds the one before twice: 2^60 paths."""
    inner = table(1, (word("weight"), tensor((2,), (1,), 2)))
    for number in range(2, 62):
        again = struct.pack("<2i", 3, number - 1)
        inner = table(number, (word("a"), inner), (word("b"), again))
    assert len(inner) < 2500
    start = time.perf_counter()
    with pytest.raises(Corrupt, match="too often"):
        torch7.load(inner)
    assert time.perf_counter() - start < 5


@pytest.mark.parametrize("strides", [(0, 0), (1, 0), (0, 1)])
def test_an_expanded_tensor_in_a_torch7_file(strides):
    data = table(1, (word("weight"), tensor((1 << 20, 1 << 20), strides, 4)))
    assert len(data) < 200
    tracemalloc.start()
    with pytest.raises(Corrupt, match=r"more numbers than its storage"):
        torch7.load(data)
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


def test_tables_that_share_a_tensor_are_still_read():
    shared = struct.pack("<2i", 4, 100)
    data = table(
        1,
        (word("a"), table(2, (word("weight"), tensor((3,), (1,), 3)))),
        (word("b"), table(3, (word("weight"), shared))),
    )
    arrays = torch7.load(data)
    assert list(arrays) == ["a.weight", "b.weight"]
    assert arrays["b.weight"].tolist() == [0, 1, 2]


def field(number, value):
    if isinstance(value, int):
        out = bytes([number << 3])
        while value > 0x7F:
            out, value = out + bytes([value & 0x7F | 0x80]), value >> 7
        return out + bytes([value])
    return bytes([number << 3 | 2]) + _varint(len(value)) + value


def _varint(value):
    return bytes([value]) if value < 0x80 else bytes([value & 0x7F | 0x80, value >> 7])


@pytest.mark.parametrize(
    "sizes", [(1,) * 70, (0, 1 << 62), (0, 1 << 40, 1 << 40), (1 << 63, 2), (3,) * 33]
)
def test_impossible_shapes_in_a_bundle(sizes):
    shape = b"".join(field(2, field(1, n)) for n in sizes)
    size = int(np.prod([min(n, 9) for n in sizes], dtype=object)) * 4
    entry = field(1, 1) + field(2, shape) + field(5, size if 0 not in sizes else 0)
    with pytest.raises(tf_bundle._Bad, match=r"impossible shape|does not fit"):
        tf_bundle._tensor_entry("w", entry)


def header(fields, data=b""):
    text = json.dumps(fields).encode() if not isinstance(fields, bytes) else fields
    return struct.pack("<Q", len(text)) + text + data


@pytest.mark.parametrize(
    "data",
    [
        header({"__metadata__": {"order": "[" * 100_000}}),
        header({"a": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}, bytes(4)),
        header({"a": {"dtype": "F8_E4M3", "shape": [2], "data_offsets": [0, 2]}}, bytes(2)),
        header(b"[" * 50_000 + b"]" * 50_000),
        header(b"[1, 2]"),
        header({"__metadata__": [1]}),
        header({"a": {"dtype": "F32", "shape": [0, 1 << 62], "data_offsets": [0, 0]}}),
        struct.pack("<Q", 1 << 63),
        b"",
    ],
)
def test_odd_safetensors_are_corrupt(data, tmp_path):
    (tmp_path / "a.safetensors").write_bytes(data)
    try:
        convert.read(tmp_path / "a.safetensors")
    except Corrupt as error:
        assert "a.safetensors" in error.message


@pytest.mark.parametrize(
    ("tensor", "says"),
    [
        (torch.ones(2, dtype=torch.bfloat16), "bfloat16"),
        (torch.eye(3).to_sparse(), "not a plain, whole tensor"),
        (torch.ones(1).expand(1 << 20, 1 << 10), "not a plain, whole tensor"),
    ],
)
@pytest.mark.filterwarnings("ignore:Validating sparse")
def test_odd_tensors_of_pytorch_are_corrupt(tensor, says):
    stream = io.BytesIO()
    torch.save({"a": tensor}, stream)
    with pytest.raises(Corrupt, match=says):
        convert._torch(stream.getvalue(), "a.pt")


def test_plain_tensors_of_pytorch_are_read():
    state = {
        "a": torch.arange(6.0).reshape(2, 3).T,
        "b": torch.tensor(3),
        "c": torch.ones(2).half(),
    }
    for new in (True, False):
        stream = io.BytesIO()
        torch.save(state, stream, _use_new_zipfile_serialization=new)
        arrays = convert._torch(stream.getvalue(), "a.pt")
        assert {k: v.tolist() for k, v in arrays.items()} == {
            k: v.tolist() for k, v in state.items()
        }
