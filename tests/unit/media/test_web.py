"""Clips for browsers: near-lossless, of one length, the same bytes each time."""

import io
import math

import av
import numpy as np
import pytest

from vpbench.api.errors import BadData, UsageError
from vpbench.media.web import (
    CONTAINERS,
    encode,
    enlargement,
    least_padding,
    padded,
    to_yuv420,
)


def clip(frames=5, size=16, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (frames, size, size, 3), np.uint8)


def planes(data):
    """Y, U, V of every frame as the decoder gives them, uint8 [T,H*3/2,W]."""
    with av.open(io.BytesIO(data)) as container:
        return np.stack([frame.to_ndarray() for frame in container.decode(video=0)])


def to_rgb(yuv):
    """BT.709, chroma repeated: float64 [T,H,W,3]."""
    t, rows, width = yuv.shape
    height = rows * 2 // 3
    y = (yuv[:, :height] - 16.0) * 255 / 219
    chroma = yuv[:, height:].reshape(t, 2, height // 2, width // 2) - 128.0
    u, v = (chroma[:, k].repeat(2, 1).repeat(2, 2) * 255 / 224 for k in (0, 1))
    red, blue = y + 1.5748 * v, y + 1.8556 * u
    return np.stack([red, (y - 0.2126 * red - 0.0722 * blue) / 0.7152, blue], -1).clip(0, 255)


def psnr(a, b):
    return 10 * math.log10(255**2 / np.mean((a.astype(float) - b) ** 2))


@pytest.mark.parametrize(
    ("rgb", "yuv"),
    [
        ((0, 0, 0), (16, 128, 128)),
        ((255, 255, 255), (235, 128, 128)),
        ((255, 0, 0), (63, 102, 240)),
        ((0, 255, 0), (173, 42, 26)),
        ((0, 0, 255), (32, 240, 118)),
    ],
)
def test_bt709(rgb, yuv):
    """The primaries' code values of BT.709, 8 bits."""
    frame = np.full((2, 2, 3), rgb, np.uint8)
    flat = to_yuv420(frame)
    assert (flat[0, 0], flat[2, 0], flat[2, 1]) == yuv


def test_enlarged_pixels_keep_their_colour():
    frame = clip(1)[0]
    for factor in (2, 4):
        large = frame.repeat(factor, 0).repeat(factor, 1)
        np.testing.assert_array_equal(to_yuv420(frame, factor), to_yuv420(large))
        back = to_rgb(to_yuv420(frame, factor)[None])[0]
        assert np.abs(back - large).max() < 2.2  # half a step of chroma, 1.06, and of luma


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("factor", [1, 2, 4])
def test_near_lossless(container, factor):
    """The codec adds almost nothing, even to noise; frames and rate are exact."""
    video = clip()
    data = encode(video, 12.5, container, factor)
    assert data == encode(video, 12.5, container, factor)
    decoded = planes(data)
    given = np.stack([to_yuv420(frame, factor) for frame in video])
    assert decoded.shape == given.shape and psnr(decoded, given) > 44
    with av.open(io.BytesIO(data)) as container_:
        stream = container_.streams.video[0]
        assert stream.average_rate == pytest.approx(12.5)
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert (stream.codec_context.colorspace, stream.codec_context.color_range) == (1, 1)


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("more", [0, 1, 57, 100_000])
def test_padding(container, more):
    data = encode(clip(), 10, container, 2)
    size = len(data) + (least_padding(container) + more if more else 0)
    longer = padded(data, size, container)
    assert len(longer) == size
    np.testing.assert_array_equal(planes(longer), planes(data))
    with pytest.raises(ValueError, match="cannot be filled"):
        padded(data, len(data) + 1, container)
    with pytest.raises(ValueError, match="cannot be filled"):
        padded(data, len(data) - 1, container)


def test_index_comes_first():
    data = encode(clip(), 10, "mp4", 2)
    assert data.index(b"moov") < data.index(b"mdat")


def test_enlargement():
    assert [enlargement(s) for s in (16, 31, 64, 96, 128, 145, 256, 512, 255)] == [
        18,
        8,
        4,
        2,
        2,
        1 if 145 % 2 == 0 else 2,
        1,
        1,
        2,
    ]
    assert all((s * enlargement(s)) % 2 == 0 for s in range(4, 600))


@pytest.mark.parametrize(
    "bad",
    [clip().astype(np.float32), clip()[0], clip()[..., :2], np.empty((0, 4, 4, 3), np.uint8)],
)
def test_refused(bad):
    with pytest.raises(BadData):
        encode(bad, 10, "mp4", 2)


def test_refused_sizes_and_rates():
    with pytest.raises(BadData, match="even"):
        encode(clip(size=15), 10, "mp4")
    with pytest.raises(UsageError, match="fps"):
        encode(clip(), 0, "mp4")
