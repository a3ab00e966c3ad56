"""Makers of clips."""

import os
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest


@pytest.fixture
def clip():
    """clip(T, H, W): a smooth picture that moves one pixel a frame, uint8 [T,H,W,3]."""

    def make(length, height, width):
        y, x = np.mgrid[:height, :width]
        frames = [
            np.stack([(x + t) * 5 % 256, y * 7 % 256, (x + y + 3 * t) * 2 % 256], axis=-1)
            for t in range(length)
        ]
        return np.array(frames, np.uint8)

    return make


@pytest.fixture
def encode():
    """encode(path, frames, codec, pix_fmt, fps=25, **container options)."""

    def write(path, frames, codec, pix_fmt, fps=25, times=None, **options):
        with av.open(str(path), "w", options=options) as container:
            stream = container.add_stream(codec, rate=fps)
            stream.height, stream.width = frames.shape[1:3]
            stream.pix_fmt = pix_fmt
            stream.thread_count = 1
            for number, frame in enumerate(frames):
                picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
                if times is not None:
                    picture.pts, picture.time_base = times[number], Fraction(1, fps)
                container.mux(stream.encode(picture))
            container.mux(stream.encode(None))
        return Path(path)

    return write


@pytest.fixture
def real_clips():
    """The folder of real clips, from VPBENCH_TEST_DATA."""
    folder = os.environ.get("VPBENCH_TEST_DATA")
    if not folder:
        pytest.skip("VPBENCH_TEST_DATA names no folder of real clips")
    return Path(folder)
