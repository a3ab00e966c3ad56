"""npz files that are not what they seem: one sentence each, never a huge allocation."""

import io
import random
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest

from vpbench.api import BadData
from vpbench.media import decode

FRAMES = np.random.default_rng(0).integers(0, 256, (6, 12, 12, 3), np.uint8)


def npy(array):
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def claiming(*shape):
    """A header that claims more than there is."""
    text = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}"
    text = text.ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode() + bytes(64)


def written(path, data, name="frames.npy", method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr(name, data)
    return path


def patched(path, old, new, count=-1):
    path.write_bytes(path.read_bytes().replace(old, new, count))
    return path


def encrypted(path):
    """The flag of a password, in the local and the central header."""
    data = bytearray(written(path, npy(FRAMES)).read_bytes())
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)


def unknown_compression(path):
    data = bytearray(written(path, npy(FRAMES)).read_bytes())
    data[8:10] = b"\x63\x00"
    place = data.index(b"PK\x01\x02") + 10
    data[place : place + 2] = b"\x63\x00"
    path.write_bytes(data)


def large_member(path):
    """The directory claims 11 TiB for a member of some hundred bytes."""
    data = bytearray(written(path, npy(FRAMES)).read_bytes())
    place = data.index(b"PK\x01\x02") + 24
    data[place : place + 4] = struct.pack("<I", 0xFFFFFFF0)
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda p: written(p, b"hello", "frames"), "not an array"),
        (lambda p: written(p, b"hello", "frames.npy"), "not an array"),
        (lambda p: written(p, npy(FRAMES), "readme.txt"), "has no array 'frames'"),
        (encrypted, "is encrypted"),
        (unknown_compression, "not a readable npz archive"),
        (lambda p: written(p, claiming(1 << 20, 2048, 2048, 3)), "declares 13194139533312 bytes"),
        (lambda p: written(p, claiming(-3, 12, 12, 3)), "not a readable npz archive"),
        (large_member, "cannot hold"),
        (lambda p: patched(written(p, npy(FRAMES)), b"fortran_order", b"fortran_orbit"), "npz"),
        (lambda p: written(p, npy(np.array([{}], object))), "not a readable npz archive"),
        (lambda p: written(p, npy(FRAMES)[:200]), "declares"),
    ],
)
def test_one_sentence_with_the_file(tmp_path, make, says):
    path = tmp_path / "clip.npz"
    make(path)
    tracemalloc.start()
    for use in (decode.probe, decode.read):
        with pytest.raises(BadData, match=says) as caught:
            use(path)
        assert "clip.npz" in caught.value.message and caught.value.exit_code == 4
        assert caught.value.fix
    assert tracemalloc.get_traced_memory()[1] < 50 << 20
    tracemalloc.stop()


@pytest.mark.parametrize(
    "method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
def test_every_method_of_compression_is_read_and_its_checksum_checked(tmp_path, method):
    path = written(tmp_path / "clip.npz", npy(FRAMES), method=method)
    assert np.array_equal(decode.read(path), FRAMES)
    whole = path.read_bytes()
    rng = random.Random(0)
    for _ in range(150):
        data = bytearray(whole)
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        path.write_bytes(data)
        try:
            frames = decode.read(path)
        except BadData:
            continue
        assert np.array_equal(frames, FRAMES)  # a flip where nothing of the pixels is


def test_fortran_order_and_big_headers_are_read(tmp_path):
    path = tmp_path / "clip.npz"
    written(path, npy(np.asfortranarray(FRAMES)))
    assert np.array_equal(decode.read(path), FRAMES)
    stream = io.BytesIO()
    np.lib.format.write_array(stream, FRAMES, (2, 0))
    written(path, stream.getvalue())
    assert np.array_equal(decode.read(path), FRAMES)
