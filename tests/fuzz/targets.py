"""Every reader and parser of files from elsewhere, with valid inputs to start from."""

from __future__ import annotations

import io
import json
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np

from tests.e2e.media_matrix import by_hand, pictures
from tests.e2e.media_matrix.cell import alpha_scene, scene
from tests.e2e.media_matrix.making import Film, write
from tests.make_archives import annotation

Seeds = Callable[[Path], Sequence[bytes]]
Reader = Callable[[Path], object]


@dataclass(frozen=True)
class Target:
    """A reader of one file.

    Attributes:
        name: of the file that an input is written to.
        seeds: makes valid inputs, with a folder to work in.
        read: reads the file; may raise errors of `vpbench.api` only.
        words: byte strings that mean something in the format.
        wrap: repairs or adds what would hide everything behind it, such as a checksum.
    """

    name: str
    seeds: Seeds
    read: Reader
    words: tuple[bytes, ...] = ()
    wrap: Callable[[bytes], bytes] = bytes


# -- media ------------------------------------------------------------------------------------


def _read_clip(path: Path, **how: object) -> None:
    from vpbench.media import decode

    reading = decode.Reading(**how)  # type: ignore[arg-type]
    found = decode.probe(path, reading)
    decode.read(path, [found.frames - 1], reading)


def _films(names: Sequence[tuple[str, Film]], folder: Path) -> list[bytes]:
    return [write(folder / name, film).read_bytes() for name, film in names]


_SMALL, _CLEAR = scene(3, 16, 16), alpha_scene(3, 16, 16)
_MOV = (
    ("a.mp4", Film(_SMALL, "libx264", "yuv420p")),
    ("b.mov", Film(_CLEAR, "qtrle", "argb")),
    ("c.mov", Film(_SMALL, "png", "rgb24")),
    ("d.mp4", Film(_SMALL, "mpeg4", "yuv420p", aspect=Fraction(2))),
)
_AVI = (
    ("a.avi", Film(_SMALL, "mjpeg", "yuvj420p")),
    ("b.avi", Film(_SMALL, "huffyuv", "bgra")),
    ("c.avi", Film(_SMALL, "rawvideo", "bgr24")),
)
_MATROSKA = (
    ("a.mkv", Film(_SMALL, "ffv1", "bgr0")),
    ("b.webm", Film(_CLEAR, "libvpx-vp9", "yuva420p")),
    ("c.webm", Film(_SMALL, "libvpx", "yuv420p")),
)


def _pictures(folder: Path) -> list[bytes]:
    made = [
        pictures._picture("a.png", _flat(_CLEAR), "RGBA", {}, folder),
        pictures._picture("a.jpg", _flat(_SMALL), "RGB", {}, folder),
        pictures._picture("a.webp", _flat(_CLEAR), "RGBA", {"lossless": True}, folder),
        pictures._picture("a.tif", _flat(_CLEAR), "RGBA", {}, folder),
        pictures._picture("a.bmp", _flat(_SMALL), "RGB", {}, folder),
        pictures._picture("a.ppm", _flat(_SMALL), "RGB", {}, folder),
        pictures._animated(_CLEAR, {"lossless": True, "duration": 40}, folder),
    ]
    return [path.read_bytes() for path in made]


def _flat(frames: np.ndarray) -> np.ndarray:
    return np.concatenate([*frames, frames[0]], axis=1)


def _apngs(folder: Path) -> list[bytes]:
    parts = [by_hand.Part(_CLEAR[0]), by_hand.Part(_CLEAR[1, :9, :7], (2, 3), 2, 1)]
    return [by_hand.apng((16, 16), parts), by_hand.apng((16, 16), parts, _CLEAR[2])]


def _gifs(folder: Path) -> list[bytes]:
    palette = np.arange(384, dtype=np.uint8).reshape(128, 3)
    numbers = np.arange(256, dtype=np.uint8).reshape(16, 16) % 100
    patches = [
        by_hand.Patch(numbers),
        by_hand.Patch(numbers[:5, :7], (3, 2), 2, 9, palette[::-1]),
        by_hand.Patch(numbers[:9, :3], (1, 8), 3, 4),
    ]
    return [by_hand.gif((16, 16), palette, patches), by_hand.gif((16, 16), palette, patches[:1])]


def _checked(data: bytes) -> bytes:
    """A PNG with right checksums, as far as its chunks can be followed."""
    out, place = bytearray(data), 8
    while place + 12 <= len(out):
        (length,) = struct.unpack_from(">I", out, place)
        end = place + 8 + length
        if end + 4 > len(out):
            break
        struct.pack_into(">I", out, end, zlib.crc32(out[place + 4 : end]))
        place = end + 4
    return bytes(out)


def _zipped(data: bytes) -> bytes:
    """An npz with this as its member."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("frames.npy", data)
    return stream.getvalue()


def _members(folder: Path) -> list[bytes]:
    made: list[bytes] = []
    for array in (_SMALL, np.asfortranarray(_SMALL)):
        np.save(folder / "a.npy", array)
        made.append((folder / "a.npy").read_bytes())
    return made


def _arrays(folder: Path) -> list[bytes]:
    made: list[bytes] = []
    for k, array in enumerate((_SMALL, _SMALL[:1, :5])):
        np.savez(folder / f"{k}.npz", frames=array)
        np.savez_compressed(folder / f"{k}c.npz", frames=array)
        made += [(folder / f"{k}{c}.npz").read_bytes() for c in ("", "c")]
    return made


def _npys(folder: Path) -> list[bytes]:
    made: list[bytes] = []
    for k, array in enumerate((np.stack([_SMALL, _SMALL]), np.stack([_CLEAR, _CLEAR]))):
        np.save(folder / f"{k}.npy", array)
        made.append((folder / f"{k}.npy").read_bytes())
    return made


# -- datasets ---------------------------------------------------------------------------------


def _tables(folder: Path) -> list[bytes]:
    return [
        b"file,who,split\na,x,train\nb/c.mp4,y,test\n",
        'file;k\n"a;b";1\n"c ""d""";2\n'.encode("utf-8-sig"),
        "file\tk\r\nä\t1\r\n".encode(),
    ]


def _read_table(path: Path) -> None:
    from vpbench.data.folder import labels
    from vpbench.data.folder.findings import Findings

    table = labels.load(path)
    rows = labels.match(table, [], Findings(path.parent))
    for name in table.columns:
        labels.column(table, rows, name, ["a"], Findings(path.parent))


def _annotations(folder: Path) -> list[bytes]:
    from scipy.io import savemat

    made: list[bytes] = []
    for k, packed in enumerate((False, True)):
        path = folder / f"{k}.mat"
        savemat(path, annotation("2141", 0, 5, (48, 64), 1), do_compression=packed)
        made.append(path.read_bytes())
    return made


def _read_annotation(path: Path) -> None:
    from vpbench.data.penn.labels import read_annotation

    read_annotation(path)


def _splits(folder: Path) -> list[bytes]:
    return [b"frames/0001 0\nframes/0758 1\nframes/2289 8\n"]


def _read_split(path: Path) -> None:
    from vpbench.data.penn import layout

    (path.parent / "test_set.txt").write_text("frames/0002 0\n")
    layout.own_split(path.parent)


def _indices(folder: Path) -> list[bytes]:
    entry = ["1:2:3:4", True, "0" * 64, 20, 16, 16, None, "lossless", "", []]
    content = {"schema": "vpbench.scan/3", "decode": {"vpbench": 2}, "entries": {"a.npz\t": entry}}
    return [json.dumps({**content, "sha256": "0" * 64}).encode()]


def _read_index(path: Path) -> None:
    from vpbench.data.folder import index

    index._load(path)


def _names(folder: Path) -> list[bytes]:
    return [b"ours[preset=cpu,motion=frozen]", b'folder:"a [b]"[size=64,rate=8]', b"x[a=1]"]


def _read_name(path: Path) -> None:
    from vpbench.core.names import parse_name

    named = parse_name(path.read_text(errors="replace"))
    parse_name(str(named))


# -- weights ----------------------------------------------------------------------------------


def _pickles(folder: Path) -> list[bytes]:
    tree = {"a": {"b": np.arange(6.0).reshape(2, 3), "c": np.arange(4, dtype=">i2")}}
    return [pickle.dumps(tree, protocol) for protocol in (3, 4)]


def _read_pickle(path: Path) -> None:
    from vpbench.metrics.weights import restricted

    restricted.load(path.read_bytes())


def _torch_files(folder: Path) -> list[bytes]:
    import torch

    made: list[bytes] = []
    for k, new in enumerate((True, False)):
        path = folder / f"{k}.pt"
        state = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.ones(2, dtype=torch.int8)}
        torch.save(state, path, _use_new_zipfile_serialization=new)
        made.append(path.read_bytes())
    return made


def _read_torch(path: Path) -> None:
    from vpbench.metrics.weights import convert

    convert._torch(path.read_bytes(), path.name)


def _torch7_files(folder: Path) -> list[bytes]:
    def integers(*values: int) -> bytes:
        return struct.pack(f"<{len(values)}i", *values)

    def text(value: str) -> bytes:
        return integers(len(value)) + value.encode()

    def head(number: int, kind: str) -> bytes:
        return integers(4, number) + text("V 1") + text(kind)

    tensor = head(2, "torch.FloatTensor") + integers(2) + struct.pack("<5q", 2, 3, 3, 1, 1)
    tensor += head(3, "torch.FloatStorage") + struct.pack("<q6f", 6, *range(6))
    table = integers(3, 1, 2) + integers(2) + text("weight") + tensor
    return [table + integers(1) + struct.pack("<d", 1.0) + integers(3, 1)]


def _read_torch7(path: Path) -> None:
    from vpbench.metrics.weights import torch7

    torch7.load(path.read_bytes())


def _bundles(folder: Path) -> list[bytes]:
    """An index of one tensor; the checksums of its blocks are not looked at here."""

    def field(number: int, value: bytes | int) -> bytes:
        if isinstance(value, int):
            return bytes([number << 3, value])
        return bytes([number << 3 | 2, len(value)]) + value

    def block(*entries: tuple[bytes, bytes]) -> bytes:
        body = b"".join(bytes([0, len(key), len(value)]) + key + value for key, value in entries)
        return body + bytes(4) + b"\1\0\0\0"

    shape = field(2, field(1, 2)) + field(2, field(1, 3))
    entry = field(1, 1) + field(2, shape) + field(5, 24)
    data = block((b"", field(1, 1)), (b"w", entry))
    handle = bytes([0, len(data)])
    inner = block((b"w", handle))
    footer = bytes([0, 0, len(data) + 5, len(inner)]).ljust(40, b"\0")
    magic = (0xDB4775248B80FB57).to_bytes(8, "little")
    return [data + bytes(5) + inner + bytes(5) + footer + magic]


def _read_bundle(path: Path) -> None:
    from vpbench.metrics.weights import tf_bundle

    tf_bundle.masked_crc32c = lambda data: 0
    data = bytearray(path.read_bytes())
    # Every checksum is taken as right: those of mutated blocks never would be.
    tf_bundle._block = partial(_unchecked, tf_bundle.unsnap)
    tf_bundle.read_index(bytes(data))
    (path.parent / "m.index").write_bytes(bytes(data))
    (path.parent / "m.data-00000-of-00001").write_bytes(bytes(24))
    tf_bundle.read_bundle(path.parent / "m")


def _unchecked(unsnap: Callable[[bytes], bytes], data: bytes, offset: int, size: int) -> bytes:
    raw = data[offset : offset + size + 5]
    return unsnap(raw[:size]) if len(raw) == size + 5 and raw[size] == 1 else raw[:size]


def _safetensors(folder: Path) -> list[bytes]:
    from safetensors.numpy import save

    arrays = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.ones(2, np.uint8)}
    return [save(arrays, {"order": '["b", "a"]'}), save(arrays)]


def _read_safetensors(path: Path) -> None:
    from vpbench.metrics.weights import convert

    convert.read(path)


TARGETS = {
    "mov": Target("a.mp4", partial(_films, _MOV), _read_clip, (b"moov", b"trak", b"stsz", b"elst")),
    "avi": Target("a.avi", partial(_films, _AVI), _read_clip, (b"LIST", b"idx1", b"00dc")),
    "matroska": Target("a.mkv", partial(_films, _MATROSKA), _read_clip, (b"\x18\x53\x80\x67",)),
    "gif": Target("a.gif", _gifs, _read_clip, (b"\x21\xf9\x04", b"\x2c", b"\x3b")),
    "apng": Target("a.png", _apngs, _read_clip, (b"fcTL", b"fdAT", b"tRNS"), _checked),
    "pictures": Target("a.png", _pictures, _read_clip, (b"IHDR", b"VP8L", b"\xff\xc0")),
    "npz": Target("a.npz", _arrays, _read_clip, (b"frames.npy", b"PK\1\2")),
    "npz-member": Target("a.npz", _members, _read_clip, (b"'shape': (9", b"|O"), _zipped),
    "npy": Target("a.npy", _npys, partial(_read_clip, axes="NTHWC"), (b"'shape': (9", b"|O")),
    "labels": Target("labels.csv", _tables, _read_table, (b'"', b"file", b"\0", b"\n", b";")),
    "annotation": Target("0001.mat", _annotations, _read_annotation, (b"\x0e\0\0\0",)),
    "split": Target("train_set.txt", _splits, _read_split, (b"frames/", b"\n", b" ")),
    "scan-index": Target("a.json", _indices, _read_index, (b"[" * 300, b"{}", b"null", b"1e999")),
    "names": Target("a.txt", _names, _read_name, (b"[", b"]", b'"', b",", b"=")),
    "pickle": Target("a.msgpack", _pickles, _read_pickle, (b"\x85", b"\x86", b"(", b"\x94", b"d")),
    "torch": Target("a.pt", _torch_files, _read_torch, (b"\x85" * 64, b"cos\nsystem\n")),
    "torch7": Target("a.t7", _torch7_files, _read_torch7, (b"\3\0\0\0\1\0\0\0", b"\4\0\0\0")),
    "tf-bundle": Target("a.index", _bundles, _read_bundle, (b"\x12\x02\x08\x00" * 40, b"\xff" * 9)),
    "safetensors": Target("a.safetensors", _safetensors, _read_safetensors, (b"[" * 99, b'"BF16"')),
}
