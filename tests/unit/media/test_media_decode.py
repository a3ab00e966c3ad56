"""Reading videos: frames, sizes, rates, and what is wrong with a file."""

import os
import struct
import sys

import av
import numpy as np
import pytest
from media_files import (
    save_folder,
    save_gif,
)
from PIL import Image

from vpbench.api.errors import BadData, MissingData
from vpbench.media.decode import Probe, probe, read, read_image

LOSSLESS = [("a.mkv", "ffv1", "bgr0"), ("a.mov", "png", "rgb24"), ("a.avi", "rawvideo", "bgr24")]


LOSSY = [
    ("a.mp4", "libx264", "yuv420p"),
    ("a.mov", "libx264", "yuv444p"),
    ("a.avi", "mpeg4", "yuv420p"),
    ("b.avi", "mjpeg", "yuvj420p"),
    ("a.webm", "libvpx-vp9", "yuv420p"),
    ("b.webm", "libvpx", "yuv420p"),
    ("a.mkv", "libx264", "yuv420p"),
]


@pytest.mark.parametrize(("name", "codec", "pix_fmt"), LOSSLESS)
def test_lossless_video_comes_back_byte_for_byte(tmp_path, clip, encode, name, codec, pix_fmt):
    frames = clip(7, 33, 46)
    path = encode(tmp_path / name, frames, codec, pix_fmt, fps=12)
    assert probe(path) == Probe(7, 33, 46, 12.0, "lossless")
    assert np.array_equal(read(path), frames)
    assert np.array_equal(read(path, [6, 0, 3, 3]), frames[[6, 0, 3, 3]])


@pytest.mark.parametrize(("name", "codec", "pix_fmt"), LOSSY)
def test_coded_video_keeps_count_size_rate_and_order(tmp_path, clip, encode, name, codec, pix_fmt):
    ramp = np.arange(23, dtype=np.uint8)[:, None, None, None] * 9
    frames = clip(1, 32, 48) // 8 + ramp  # each frame is brighter than the one before
    path = encode(tmp_path / name, frames, codec, pix_fmt)
    assert probe(path) == Probe(23, 32, 48, 25.0, "codec")
    found = read(path)
    assert (found.dtype, found.shape) == (np.uint8, frames.shape)
    distance = [[np.abs(a.astype(int) - b).mean() for b in frames] for a in found]
    assert np.argmin(distance, axis=1).tolist() == list(range(23))
    assert np.array_equal(read(path, [22, 5]), found[[22, 5]])


def test_contents_decide_not_the_name(tmp_path, clip, encode):
    frames = clip(5, 16, 16)
    encode(tmp_path / "a.mkv", frames, "ffv1", "bgr0").rename(tmp_path / "a.mp4")
    assert np.array_equal(read(tmp_path / "a.mp4"), frames)
    np.savez(tmp_path / "b.npz", frames=frames)
    (tmp_path / "b.npz").rename(tmp_path / "b.gif")
    assert np.array_equal(read(tmp_path / "b.gif"), frames)


def test_names_that_look_like_addresses_are_files(tmp_path, clip, encode, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = encode(tmp_path / "a.mkv", clip(3, 16, 16), "ffv1", "bgr0")
    path.rename("concat:x|y %d ü.mkv")
    assert len(read("concat:x|y %d ü.mkv")) == 3


def test_a_playlist_opens_nothing(tmp_path, clip, encode):
    encode(tmp_path / "secret.mp4", clip(3, 16, 16), "libx264", "yuv420p")
    (tmp_path / "a.mp4").write_text("#EXTM3U\n#EXTINF:1,\nsecret.mp4\n#EXT-X-ENDLIST\n")
    (tmp_path / "b.mp4").write_text("ffconcat version 1.0\nfile secret.mp4\n")
    for name in ("a.mp4", "b.mp4"):
        with pytest.raises(BadData, match="holds no video"):
            read(tmp_path / name)


def test_variable_rates_keep_the_frames_and_name_no_rate(tmp_path, clip, encode):
    frames = clip(6, 16, 16)
    path = encode(tmp_path / "a.mkv", frames, "ffv1", "bgr0", times=[0, 1, 2, 10, 11, 30])
    assert probe(path) == Probe(6, 16, 16, None, "lossless", ("variable",))
    assert np.array_equal(read(path), frames)


@pytest.mark.parametrize(
    ("matrix", "turns"),
    [((0, 1, -1, 0), -1), ((-1, 0, 0, -1), 2), ((0, -1, 1, 0), 1)],
)
def test_rotation_marks_are_honoured(tmp_path, clip, encode, matrix, turns):
    frames = clip(4, 32, 48)
    path = encode(tmp_path / "a.mov", frames, "png", "rgb24")
    data = bytearray(path.read_bytes())
    start = data.index(b"tkhd") + 4 + 40
    a, b, c, d = (value * 65536 for value in matrix)
    data[start : start + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    expected = np.rot90(frames, turns, axes=(1, 2))
    assert np.array_equal(read(path), expected)
    found = probe(path)
    assert (found.height, found.width) == expected.shape[1:3]


CONTAINERS = [
    ("a.mp4", "libx264", "yuv420p", {}),
    ("fast.mp4", "libx264", "yuv420p", {"movflags": "faststart"}),
    ("parts.mp4", "libx264", "yuv420p", {"movflags": "frag_keyframe+empty_moov"}),
    ("a.mov", "png", "rgb24", {}),
    ("a.avi", "mjpeg", "yuvj420p", {}),
    ("raw.avi", "rawvideo", "bgr24", {}),
    ("a.webm", "libvpx-vp9", "yuv420p", {}),
    ("a.mkv", "ffv1", "bgr0", {}),
]


@pytest.mark.parametrize(("name", "codec", "pix_fmt", "options"), CONTAINERS)
def test_a_cut_off_video_is_an_error_wherever_it_is_cut(
    tmp_path, clip, encode, name, codec, pix_fmt, options
):
    path = encode(tmp_path / name, clip(20, 32, 48), codec, pix_fmt, **options)
    data = path.read_bytes()
    cut = tmp_path / f"cut_{name}"
    for share in (0.02, 0.2, 0.5, 0.6, 0.9, 0.99):
        cut.write_bytes(data[: int(len(data) * share)])
        for attempt in (probe, read):
            with pytest.raises(BadData, match=f"cut_{name}"):
                attempt(cut)
    cut.write_bytes(data[:-1])
    with pytest.raises(BadData):
        probe(cut)


def test_a_damaged_video_is_an_error(tmp_path, clip, encode):
    noise = np.random.default_rng(0).integers(0, 256, (12, 64, 64, 3), dtype=np.uint8)
    path = encode(tmp_path / "a.mp4", noise, "libx264", "yuv420p", movflags="faststart")
    data = bytearray(path.read_bytes())
    middle = len(data) * 2 // 3
    data[middle : middle + 60] = np.random.default_rng(1).bytes(60)
    path.write_bytes(data)
    with pytest.raises(BadData, match=r"a\.mp4"):
        probe(path)


def test_a_size_that_changes_is_an_error(tmp_path, clip, encode):
    first = encode(tmp_path / "a.mkv", clip(3, 32, 48), "mjpeg", "yuvj420p").read_bytes()
    second = encode(tmp_path / "b.mkv", clip(3, 48, 32), "mjpeg", "yuvj420p").read_bytes()
    assert len(first) != len(second)
    path = tmp_path / "c.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.height, stream.width, stream.pix_fmt = 32, 48, "yuvj420p"
        for source in ("a.mkv", "b.mkv"):
            with av.open(str(tmp_path / source)) as pieces:
                for number, packet in enumerate(pieces.demux(video=0)):
                    if packet.size:
                        packet.stream = stream
                        packet.pts = packet.dts = number + (3 if source == "b.mkv" else 0)
                        container.mux(packet)
    with pytest.raises(BadData, match="from 48x32 to 32x48 at frame 3"):
        probe(path)


def test_sound_without_pictures_is_an_error(tmp_path):
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(BadData, match="no video"):
        probe(path)


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("a.mp4", b"this is no video", "named .mp4 but holds no video"),
        ("a.gif", b"<html>not found</html>", "named .gif but holds"),
        ("a.png", b"", "is empty"),
        ("a.webm", b"\x1a\x45\xdf\xa3", "a.webm"),
        ("a.avi", b"RIFF\x10\0\0\0AVI LIST", "a.avi"),
        ("a.npy", b"\x93NUMPY\x01\0", "np.save("),
        ("a.xyz", b"something", "does not read"),
        ("a.png", b"\x89PNG\r\n\x1a\nrubbish", "not a readable image"),
        ("a.mov", b"\0\0\0\x18ftypqt  \0\0\0\0", "a.mov"),
    ],
)
def test_other_contents_are_errors_that_name_the_file(tmp_path, name, data, says):
    path = tmp_path / name
    path.write_bytes(data)
    for attempt in (probe, read):
        with pytest.raises(BadData) as error:
            attempt(path)
        assert says in str(error.value)
        assert str(path) in str(error.value)


def test_what_is_not_there_is_missing(tmp_path):
    for attempt in (probe, read, read_image):
        with pytest.raises(MissingData, match=r"none\.mp4"):
            attempt(tmp_path / "none.mp4")


def test_frames_outside_of_a_clip_are_errors(tmp_path, clip, encode):
    frames = clip(5, 16, 16)
    paths = [encode(tmp_path / "a.mkv", frames, "ffv1", "bgr0"), tmp_path / "b.npz"]
    np.savez(paths[1], frames=frames)
    paths.append(tmp_path / "c.png")
    Image.fromarray(np.concatenate(list(frames), axis=1)).save(paths[2])
    paths.append(tmp_path / "d.gif")
    save_gif(paths[3], frames)
    paths.append(tmp_path / "e")
    save_folder(paths[4], frames)
    for path in paths:
        for index in (5, -1):
            with pytest.raises(BadData, match=f"frame {index} was asked for"):
                read(path, [0, index])
        assert read(path, []).shape == (0, 16, 16, 3)
        assert len(read(path, range(5))) == 5


def test_nothing_is_printed_and_nothing_stays_open(tmp_path, clip, encode, capfd):
    path = encode(tmp_path / "a.mp4", clip(9, 32, 48), "libx264", "yuv420p")
    data = path.read_bytes()
    (tmp_path / "cut.mp4").write_bytes(data[: len(data) // 2])
    capfd.readouterr()
    before = len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0
    for _ in range(3):
        probe(path)
        read(path, [2])
        with pytest.raises(BadData):
            probe(tmp_path / "cut.mp4")
    after = len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0
    assert after == before
    assert capfd.readouterr() == ("", "")
