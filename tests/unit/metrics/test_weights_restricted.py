"""The pickle reader: arrays are read, everything else is refused and nothing runs."""

import builtins
import os
import pickle
import struct

import numpy as np
import pytest

from vpbench.api.errors import Corrupt
from vpbench.metrics.weights import restricted


def tree():
    rng = np.random.default_rng(0)
    return {
        "params": {
            "a": {"kernel": rng.standard_normal((2, 3, 4)).astype(np.float32)},
            "b/c": np.arange(5, dtype=">i8"),
        },
        "fortran": np.asfortranarray(rng.standard_normal((3, 4))),
        "empty": np.zeros((0, 3), np.uint8),
        "scalar": np.array(3.5, np.float16),
        "flags": np.array([True, False]),
    }


@pytest.mark.parametrize("protocol", [3, 4])
def test_arrays_come_back_as_they_were(protocol):
    arrays = restricted.load(pickle.dumps(tree(), protocol))
    assert list(arrays) == sorted(arrays)
    original = tree()
    np.testing.assert_array_equal(arrays["params/a/kernel"], original["params"]["a"]["kernel"])
    np.testing.assert_array_equal(arrays["params/b/c"], original["params"]["b/c"])
    np.testing.assert_array_equal(arrays["fortran"], original["fortran"])
    assert arrays["empty"].shape == (0, 3)
    assert arrays["scalar"].shape == ()
    assert arrays["scalar"].dtype == np.float16
    assert arrays["flags"].tolist() == [True, False]


def test_names_of_older_and_newer_numpy_are_both_read():
    data = pickle.dumps({"a": np.arange(3)}, 3)
    old = data.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    assert data != old
    assert restricted.load(old)["a"].tolist() == [0, 1, 2]


class Call:
    """Pickles as a call of any function."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def attacks(marker):
    touch = f"touch {marker}"
    code = f"open({str(marker)!r}, 'w').close()"
    return {
        "os.system": pickle.dumps({"a": Call(os.system, touch)}),
        "eval": pickle.dumps({"a": Call(eval, code)}),
        "exec": pickle.dumps(Call(exec, code)),
        "getattr": b"cbuiltins\ngetattr\n.",
        "import": pickle.dumps(Call(builtins.__import__, "antigravity")),
        "open": pickle.dumps(Call(open, str(marker), "w")),
        "protocol 0": f"cos\nsystem\n(S'{touch}'\ntR.".encode(),
        "inst": f"(S'{touch}'\nios\nsystem\n.".encode(),
        "obj": b"(cos\nsystem\nS'" + touch.encode() + b"'\no.",
        "numpy load": b"\x80\x04cnumpy\nload\n.",
        "nested name": b"\x80\x04\x8c\x05numpy\x8c\x0fndarray.tofile.\x93.",
        "extension": b"\x80\x02\x82\x01.",
        "persistent": b"\x80\x04\x8c\x01aQ.",
    }


@pytest.mark.parametrize("kind", list(attacks("x")))
def test_calls_are_refused_and_not_made(kind, tmp_path):
    marker = tmp_path / "marker"
    with pytest.raises(Corrupt, match="nothing of it was executed"):
        restricted.load(attacks(marker)[kind], "evil.ckpt")
    assert not marker.exists()


def test_the_refused_name_is_said(tmp_path):
    with pytest.raises(Corrupt, match=r"evil\.ckpt is refused: it asks for (posix|nt)\.system"):
        restricted.load(pickle.dumps({"a": Call(os.system, "true")}), "evil.ckpt")


def test_without_the_restriction_the_attack_would_work(tmp_path):
    marker = tmp_path / "marker"
    pickle.loads(attacks(marker)["os.system"])
    assert marker.exists()


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ({"a": np.array([{}, "x"], dtype=object)}, "objects"),
        ({"a": np.zeros(2, [("x", "f4"), ("y", "i4")])}, "arrays of 'V8'"),
        ({"a": np.array(["text"])}, "arrays of 'U4'"),
        ({"a": np.zeros(2, "M8[s]")}, "arrays of 'M8'"),
        ({"a": 3}, "a is not an array"),
        ({1: np.zeros(1)}, "key 1"),
        ([np.zeros(1)], "not a dict"),
        (np.zeros(1), "not a dict"),
        ({"a": {"b": np.zeros(1)}, "a/b": np.zeros(1)}, "twice"),
        ({"a": np.dtype("f4")}, "a is not an array"),
    ],
)
def test_anything_but_named_arrays_of_numbers_is_refused(value, why):
    with pytest.raises(Corrupt, match=why):
        restricted.load(pickle.dumps(value, 4))


def test_deep_and_endless_trees_are_refused():
    deep = np.zeros(1)
    for _ in range(restricted.MAX_DEPTH + 2):
        deep = {"d": deep}
    endless = {}
    endless["again"] = endless
    many = {"x": np.zeros(1)}
    for _ in range(30):  # 2**30 items in a few hundred bytes
        many = {"a": many, "b": many}
    for value in (deep, endless, many):
        with pytest.raises(Corrupt, match=r"deeply|too many"):
            restricted.load(pickle.dumps(value, 4))


def test_claims_of_huge_sizes_are_refused_without_allocating(monkeypatch):
    huge = struct.pack("<Q", 1 << 60)
    for data in (
        b"\x80\x04\x8e" + huge + b"x.",
        b"\x80\x04\x95" + huge + b"}.",
        b"\x80\x04}r" + struct.pack("<I", 1 << 31) + b".",
    ):
        with pytest.raises(Corrupt, match="nothing of it was executed"):
            restricted.load(data)
    monkeypatch.setattr(restricted, "MAX_BYTES", 10)
    with pytest.raises(Corrupt, match="more than 10"):
        restricted.load(pickle.dumps({"a": np.zeros(100)}))


def test_too_many_instructions_are_refused(monkeypatch):
    monkeypatch.setattr(restricted, "MAX_STEPS", 50)
    with pytest.raises(Corrupt, match="more than 50 instructions"):
        restricted.load(pickle.dumps({str(k): np.zeros(1) for k in range(20)}, 4))


def test_a_shape_that_does_not_fit_its_bytes_is_refused():
    data = pickle.dumps({"a": np.zeros((2, 3), np.uint8)}, 4)
    for wrong in (b"K\x02K\x04\x86", b"K\xc8K\xff\x86"):
        changed = data.replace(b"K\x02K\x03\x86", wrong)
        assert changed != data
        with pytest.raises(Corrupt, match="does not fit"):
            restricted.load(changed)


def test_every_cut_and_many_bit_flips_are_refused_or_still_arrays():
    data = pickle.dumps({"a": {"b": np.arange(6, dtype=np.float32).reshape(2, 3)}}, 4)
    for end in range(len(data)):
        with pytest.raises(Corrupt):
            restricted.load(data[:end])
    with pytest.raises(Corrupt):
        restricted.load(data + b"x")
    for at in range(len(data)):
        for bit in range(8):
            changed = bytearray(data)
            changed[at] ^= 1 << bit
            try:
                arrays = restricted.load(bytes(changed))
            except Corrupt:
                continue
            assert all(isinstance(a, np.ndarray) and a.dtype != object for a in arrays.values())


def test_the_stand_ins_cannot_be_changed():
    change = b"\x80\x04cnumpy\nndarray\n}\x8c\x04evil\x8c\x04evilsb."
    with pytest.raises(Corrupt, match="changes a type"):
        restricted.load(change)
    for name in (b"numpy.core.multiarray\n_reconstruct", b"numpy\ndtype"):
        with pytest.raises(Corrupt, match="changes a function"):
            restricted.load(b"\x80\x04c" + name + b"\n}\x8c\x04evil\x8c\x04evilsb.")
