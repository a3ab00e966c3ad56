"""The checkpoint reader against a writer made here from the public format, and against vectors."""

import base64
import struct

import google_crc32c
import numpy as np
import pytest

from vpbench.api.errors import Corrupt, MissingWeights
from vpbench.metrics.weights import tf_bundle
from vpbench.metrics.weights.tf_bundle import read_bundle, read_index, unsnap

WRITTEN_BY_TENSORFLOW = (  # the index of `test_an_index_written_by_tensorflow`, 2.21.0
    "AAAGCAEaAggBAAYRYS9ib29sCAoSBBICCAIgOCgCNV+wzoECAw9pNjQICRIEEgIIByg4NZ8TnCsABhFiL2hhbGYIExIE"
    "EgIIAiA6KAQ1FYP2NAADFmY2NAgCEgoSAggCEgASAggDIO4CNdjqgqIAAQ1zCAESACA+KAQ179aCwwACE3U4CAQSBRID"
    "CKwCIEIorAI18W73CQAAAAABAAAAAEGyDqEAAAAAAQAAAADA8qGwAAEDdgCfAQAAAAABAAAAAC/mSz6kAQixAQ8AAAAA"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAV/uAiyR1R9s="
)

NUMBERS = {"f4": 1, "f8": 2, "i4": 3, "u1": 4, "i2": 5, "i1": 6, "i8": 9, "b1": 10, "f2": 19}


def varint(value):
    out = b""
    while value >= 0x80:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def field(number, value):
    """A protocol buffer's field: int -> varint, bytes -> with its length."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def masked(data):
    crc = int.from_bytes(google_crc32c.Checksum(data).digest(), "big")
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) % 2**32


def entry_proto(array, shard, offset):
    shape = b"".join(field(2, field(1, n)) for n in array.shape)
    data = array.tobytes()
    proto = field(1, NUMBERS[array.dtype.str[1:]]) + field(2, shape)
    for number, value in ((3, shard), (4, offset), (5, len(data))):
        proto += field(number, value) if value else b""  # zeros are left out, as protobuf does
    return proto + varint(6 << 3 | 5) + struct.pack("<I", masked(data))


def table_block(pairs, interval=4):
    """Prefix-compressed entries with restart points."""
    out, restarts, last = b"", [], b""
    for k, (key, value) in enumerate(pairs):
        shared = 0
        if k % interval == 0:
            restarts.append(len(out))
        else:
            while shared < min(len(key), len(last)) and key[shared] == last[shared]:
                shared += 1
        out += varint(shared) + varint(len(key) - shared) + varint(len(value))
        out += key[shared:] + value
        last = key
    restarts = restarts or [0]
    return out + struct.pack(f"<{len(restarts) + 1}I", *restarts, len(restarts))


def snap(data):
    """Snappy: literals of up to 100 bytes, and copies for runs of one byte."""
    out, at = varint(len(data)), 0
    while at < len(data):
        run = 1
        while at + run < len(data) and data[at + run] == data[at] and run < 64:
            run += 1
        if run >= 12:
            out += b"\x00" + data[at : at + 1] + bytes([(run - 2) << 2 | 2]) + b"\x01\x00"
            at += run
            continue
        piece = data[at : at + 100]
        long = len(piece) > 60
        out += bytes([60 << 2, len(piece) - 1] if long else [(len(piece) - 1) << 2]) + piece
        at += len(piece)
    return out


def sst(pairs, packed=False, per_block=5):
    """A whole sorted string table."""
    out, handles = b"", []

    def add(block, kind):
        nonlocal out
        raw = (snap(block) if kind else block) + bytes([kind])
        handle = varint(len(out)) + varint(len(raw) - 1)
        out += raw + struct.pack("<I", masked(raw))
        return handle

    for k in range(0, len(pairs), per_block):
        part = pairs[k : k + per_block]
        handles.append((part[-1][0] + b"\x00", add(table_block(part), int(packed))))
    meta = add(table_block([]), 0)
    index = add(table_block(handles, interval=1), 0)
    footer = (meta + index).ljust(40, b"\0") + struct.pack("<Q", 0xDB4775248B80FB57)
    return out + footer


def write_bundle(prefix, arrays, *, packed=False, shards=1):
    """Write a checkpoint as TensorFlow does: sorted names, data one after another."""
    data, ends = [[] for _ in range(shards)], [0] * shards
    pairs = [(b"", field(1, shards) + field(3, field(1, 1)))]
    for k, name in enumerate(sorted(arrays)):
        shard = k % shards
        pairs.append((name.encode(), entry_proto(arrays[name], shard, ends[shard])))
        data[shard].append(arrays[name].tobytes())
        ends[shard] += arrays[name].nbytes
    prefix.with_name(prefix.name + ".index").write_bytes(sst(pairs, packed))
    for k, content in enumerate(data):
        path = prefix.with_name(f"{prefix.name}.data-{k:05d}-of-{shards:05d}")
        path.write_bytes(b"".join(content))
    return prefix


def some_arrays():
    rng = np.random.default_rng(1)
    arrays = {
        f"RGB/net/Mixed_{k}/Branch_{b}/conv_3d/w": rng.standard_normal((1, 2, k + 1)).astype("<f4")
        for k in range(8)
        for b in range(3)
    }
    arrays["scalar"] = np.array(7, "<i8")
    arrays["flags"] = np.array([True, False])
    arrays["half"] = rng.standard_normal(3).astype("<f2")
    arrays["a"] = np.zeros((50,), "<f8")
    return arrays


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("shards", [1, 3])
def test_round_trip(tmp_path, packed, shards):
    arrays = some_arrays()
    prefix = write_bundle(tmp_path / "model.ckpt", arrays, packed=packed, shards=shards)
    found = read_bundle(prefix)
    assert list(found) == sorted(arrays)
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


def test_an_index_written_by_tensorflow(tmp_path):
    tensors = {
        "a/i64": np.arange(7),
        "a/bool": np.array([True, False]),
        "b/half": np.float16([1, 2.5]),
        "s": np.array(3, np.float32),
        "u8": np.arange(300).astype(np.uint8),
        "f64": np.ones((2, 0, 3)),
    }
    (tmp_path / "m.index").write_bytes(base64.b64decode(WRITTEN_BY_TENSORFLOW))
    data = b"".join(array.tobytes() for array in tensors.values())
    (tmp_path / "m.data-00000-of-00001").write_bytes(data)
    found = read_bundle(tmp_path / "m")
    assert sorted(found) == sorted(tensors)
    for name, array in tensors.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(found[name], array)


def test_the_writer_uses_shared_prefixes_and_several_blocks(tmp_path):
    prefix = write_bundle(tmp_path / "m", some_arrays())
    index = (tmp_path / "m.index").read_bytes()
    assert index.count(b"RGB/net/Mixed_") < 24
    assert len(read_index(index).tensors) == 28
    assert prefix.name == "m"


def test_the_checksum_is_that_of_the_format():
    assert google_crc32c.value(b"123456789") == 0xE3069283  # the check value of CRC-32C
    crc = 0xE3069283
    expected = ((crc >> 15 | (crc << 17 & 0xFFFFFFFF)) + 0xA282EAD8) & 0xFFFFFFFF
    assert tf_bundle.masked_crc32c(b"123456789") == expected


def test_one_flipped_bit_in_any_tensor_is_found(tmp_path):
    arrays = some_arrays()
    prefix = write_bundle(tmp_path / "m", arrays)
    path = tmp_path / "m.data-00000-of-00001"
    whole = path.read_bytes()
    at = 0
    rng = np.random.default_rng(2)
    for name in sorted(arrays):
        size = arrays[name].nbytes
        broken = bytearray(whole)
        broken[at + rng.integers(size)] ^= 1 << int(rng.integers(8))
        path.write_bytes(broken)
        with pytest.raises(Corrupt, match=f"{name} is damaged"):
            read_bundle(prefix)
        at += size
    assert at == len(whole)


@pytest.mark.parametrize("packed", [False, True])
def test_one_flipped_bit_anywhere_in_the_index_changes_nothing_silently(tmp_path, packed):
    arrays = {"a/one": np.arange(3, dtype="<f4"), "a/two": np.arange(4, dtype="<i4")}
    write_bundle(tmp_path / "m", arrays, packed=packed)
    whole = (tmp_path / "m.index").read_bytes()
    truth = read_index(whole)
    harmless = 0
    for at in range(len(whole)):
        for bit in range(8):
            broken = bytearray(whole)
            broken[at] ^= 1 << bit
            try:
                assert read_index(bytes(broken)) == truth
                harmless += 1
            except Corrupt:
                pass
    assert harmless < 55 * 8  # the unused meta block and the padding of the footer


def test_a_cut_index_or_data_file_is_refused(tmp_path):
    prefix = write_bundle(tmp_path / "m", some_arrays())
    index, data = tmp_path / "m.index", tmp_path / "m.data-00000-of-00001"
    whole = data.read_bytes()
    data.write_bytes(whole[:-1])
    with pytest.raises(Corrupt, match="cut short: scalar is not whole"):
        read_bundle(prefix)
    data.unlink()
    with pytest.raises(MissingWeights, match="is not beside its index"):
        read_bundle(prefix)
    raw = index.read_bytes()
    for end in range(0, len(raw), 7):
        with pytest.raises(Corrupt, match="not a complete checkpoint index"):
            read_index(raw[:end])
    index.unlink()
    with pytest.raises(MissingWeights):
        read_bundle(prefix)


def pair(proto):
    return sst([(b"", field(1, 1)), (b"x", proto)])


GOOD = entry_proto(np.zeros((2, 2), "<f4"), 0, 0)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (sst([(b"", field(1, 1) + field(2, 1))]), "big-endian"),
        (sst([(b"", field(1, 0))]), "0 data files"),
        (sst([(b"x", GOOD)]), "no header"),
        (pair(GOOD + field(7, b"")), "slices"),
        (pair(field(1, 7) + field(5, 4)), "number type 7"),
        (pair(field(1, 1) + field(5, 12)), "does not fit"),
        (pair(field(1, 1) + field(2, field(3, 1))), "no known shape"),
        (pair(varint(1 << 3 | 3)), "unknown kind"),
        (pair(field(2, b"abc")[:-1]), "cut short"),
        (sst([(b"", field(1, 1)), (b"x", GOOD), (b"x", GOOD)]), "twice"),
        (b"<!doctype html>" * 10, "last bytes"),
        (b"", "last bytes"),
    ],
)
def test_what_is_not_understood_is_refused(data, why):
    with pytest.raises(Corrupt, match=why):
        read_index(data, "model.ckpt.index")


def test_a_tensor_in_a_file_that_does_not_exist_is_refused(tmp_path):
    (tmp_path / "m.index").write_bytes(pair(entry_proto(np.zeros(1, "<f4"), 3, 0)))
    (tmp_path / "m.data-00000-of-00001").write_bytes(bytes(4))
    with pytest.raises(Corrupt, match="data file that does not exist"):
        read_bundle(tmp_path / "m")


def test_snappy_vectors():
    assert unsnap(b"\x00") == b""
    assert unsnap(b"\x05\x10hello") == b"hello"
    # the literal "ab", then 8 bytes from 2 back, with a copy of each of the three kinds
    assert unsnap(b"\x0a\x04ab" + bytes([4 << 2 | 1, 2])) == b"ab" * 5
    assert unsnap(b"\x0a\x04ab" + bytes([7 << 2 | 2, 2, 0])) == b"ab" * 5
    assert unsnap(b"\x0a\x04ab" + bytes([7 << 2 | 3, 2, 0, 0, 0])) == b"ab" * 5
    # a literal of 300 bytes, with two bytes for its length; a copy from far back
    long = bytes(range(256)) + bytes(44)
    packed = varint(304) + bytes([61 << 2]) + struct.pack("<H", 299) + long
    assert unsnap(packed + bytes([(300 >> 8) << 5 | 1, 300 & 255])) == long + long[:4]


@pytest.mark.parametrize(
    "data",
    [
        b"\x05\x10hell",  # cut
        b"\x04\x10hello",  # longer than it says
        b"\x06\x10hello",  # shorter
        b"\x08\x0cabcd" + bytes([1, 9]),  # from before the beginning
        b"\x08\x0cabcd" + bytes([1, 0]),  # from nowhere
        b"\xff\xff\xff\xff\x7f",  # too large
    ],
)
def test_broken_snappy_is_refused(data):
    raw = data + b"\x01"
    block = raw + struct.pack("<I", masked(raw))
    index = table_block([(b"x", varint(0) + varint(len(data)))])
    at = len(block)
    tail = index + b"\0"
    footer = varint(0) + varint(0) + varint(at) + varint(len(index))
    table = block + tail + struct.pack("<I", masked(tail))
    table += footer.ljust(40, b"\0") + struct.pack("<Q", tf_bundle.MAGIC)
    with pytest.raises(Corrupt):
        read_index(table)
