"""Torch7 files: written here value by value after the format's description, read back."""

import struct
from itertools import pairwise

import numpy as np
import pytest

from vpbench.api.errors import Corrupt, MissingWeights
from vpbench.metrics.weights import convert, torch7
from vpbench.metrics.weights.fetch import fetch, locate
from vpbench.metrics.weights.weight_file import weight_file
from vpbench_baselines.li.spec import SPEC as LI

SPYNET = [w for w in LI.weights if w.name.startswith("spynet-")]


class Writer:
    """Writes what torch7's `File:writeObject` writes, binary, little-endian."""

    def __init__(self):
        self.out, self.numbers = b"", 0

    def int(self, *values):
        self.out += struct.pack(f"<{len(values)}i", *values)

    def long(self, *values):
        self.out += struct.pack(f"<{len(values)}q", *values)

    def text(self, text):
        self.int(len(text))
        self.out += text.encode()

    def head(self, kind):
        self.numbers += 1
        self.int(4, self.numbers)
        self.text("V 1")
        self.text(kind)

    def tensor(self, array, offset=0, strides=None):
        """As a view into a storage that begins `offset` numbers earlier."""
        self.head("torch.FloatTensor")
        self.int(array.ndim)
        self.long(*array.shape)
        self.long(*(strides or [s // 4 for s in np.ascontiguousarray(array).strides]))
        self.long(offset + 1)
        self.head("torch.FloatStorage")
        flat = np.concatenate([np.zeros(offset, np.float32), array.ravel()])
        self.long(len(flat))
        self.out += flat.astype("<f4").tobytes()

    def value(self, value):
        if value is None:
            self.int(0)
        elif isinstance(value, bool):
            self.int(5, value)
        elif isinstance(value, int | float):
            self.int(1)
            self.out += struct.pack("<d", value)
        elif isinstance(value, str):
            self.int(2)
            self.text(value)
        elif isinstance(value, np.ndarray):
            self.tensor(value, offset=3)
        elif isinstance(value, tuple):  # a module: class, fields
            self.head(value[0])
            self.value(value[1])
        else:
            self.numbers += 1
            self.int(3, self.numbers, len(value))
            for key, item in value.items():
                self.value(key)
                self.value(item)

    @classmethod
    def bytes(cls, value):
        writer = cls()
        writer.value(value)
        return writer.out


def level(seed=0):
    """A level of SPyNet as its authors' files hold it: convolutions between rectifiers."""
    rng = np.random.default_rng(seed)
    modules, arrays = {}, []
    sizes = (8, 32, 64, 32, 16, 2)
    for k, (inputs, outputs) in enumerate(pairwise(sizes)):
        weight = rng.standard_normal((outputs, inputs, 7, 7)).astype(np.float32)
        bias = rng.standard_normal(outputs).astype(np.float32)
        arrays += [weight, bias]
        modules[2 * k + 1] = (
            "nn.SpatialConvolution",
            {
                "weight": weight,
                "bias": bias,
                "gradWeight": weight * 0,
                "kW": 7,
                "train": False,
                "output": None,
            },
        )
        modules[2 * k + 2] = ("nn.ReLU", {"inplace": True})
    return ("nn.Sequential", {"_type": "torch.FloatTensor", "modules": modules}), arrays


def test_weights_come_out_in_their_order_without_gradients():
    tree, arrays = level()
    found = torch7.load(Writer.bytes(tree))
    assert list(found)[:2] == ["modules.1.weight", "modules.1.bias"] and len(found) == 10
    for name, wanted in zip(found, arrays, strict=True):
        assert np.array_equal(found[name], wanted), name
    assert sum(a.size for a in found.values()) == 240_050


def test_a_transposed_view_is_read_by_its_strides():
    base = np.arange(6, dtype=np.float32).reshape(2, 3)
    writer = Writer()
    writer.int(3, 99, 1)
    writer.value("weight")
    writer.tensor(base.T, 2, [1, 3])
    # the storage holds base.T row by row; strides (1, 3) read it the other way round
    (found,) = torch7.load(writer.out).values()
    assert np.array_equal(found, base.T.ravel().reshape(2, 3).T)


def test_what_is_referred_to_again_is_the_same_and_circles_end():
    writer = Writer()
    writer.int(3, 50, 2)
    writer.value("weight")
    writer.tensor(np.ones(4, np.float32))
    writer.value("self")
    writer.int(3, 50)  # the table itself
    assert list(torch7.load(writer.out)) == ["weight"]


def test_every_cut_is_refused():
    data = Writer.bytes({"weight": np.ones(5, np.float32), "n": 3})
    for length in range(len(data)):
        with pytest.raises(Corrupt, match="refused"):
            torch7.load(data[:length], "a file")


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (struct.pack("<i", 6), "function"),
        (struct.pack("<i", 8), "function"),
        (struct.pack("<ii", 2, -5), "truncated"),
        (b"PK\x03\x04" * 9, "refused"),
        (struct.pack("<3i", 3, 1, 1) * 200, "nested too deep|invalid key"),
        (Writer.bytes({"n": 3}), "no weights"),
    ],
)
def test_anything_else_is_refused_with_a_reason(data, why):
    with pytest.raises(Corrupt, match=why):
        torch7.load(data, "a file")


def test_a_tensor_beyond_its_storage_is_refused():
    writer = Writer()
    writer.int(3, 9, 1)
    writer.value("weight")
    writer.tensor(np.ones((2, 3), np.float32), 0, [3, 2])
    with pytest.raises(Corrupt, match="beyond its storage"):
        torch7.load(writer.out)


# SPyNet ------------------------------------------------------------------------------------------


def test_a_users_own_file_is_taken_only_if_its_hash_is_right(tmp_path, monkeypatch):
    tree, _ = level()
    (tmp_path / "modelL1_4.t7").write_bytes(Writer.bytes(tree))
    monkeypatch.setenv("VPBENCH_WEIGHTS", str(tmp_path))
    with pytest.raises(Corrupt, match="not the published file"):
        locate(SPYNET[0], tmp_path / "cache")


def test_the_converter_knows_the_format():
    tree, arrays = level()
    found = convert.convert(weight_file(SPYNET[0]), Writer.bytes(tree), "torch7", "modelL1_4.t7")
    assert np.array_equal(found["modules.9.weight"], arrays[-2])


def test_nothing_is_downloaded_before_the_terms_are_agreed_to(tmp_path, monkeypatch):
    monkeypatch.delenv("VPBENCH_OFFLINE", raising=False)
    monkeypatch.setattr("vpbench.metrics.weights.fetch.from_https", lambda *_, **__: 1 / 0)
    for entry in SPYNET:
        assert "non-commercial" in entry.terms and "non-commercial" in entry.licence
        with pytest.raises(MissingWeights, match="only if you agree to their terms") as error:
            fetch(entry, tmp_path)
        assert error.value.fix == f"vpbench weights fetch {entry.name} --agree"
        with pytest.raises(ZeroDivisionError):
            fetch(entry, tmp_path, agreed=True)
