"""Makers of folders of clips."""

import os
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from vpbench.data.folder.dataset import FolderDataset


def pixels(name, length, height, width):
    """Noise that only this name has, uint8 [T,H,W,3]."""
    rng = np.random.default_rng(list(str(name).encode()))
    return rng.integers(0, 256, (length, height, width, 3), dtype=np.uint8)


@pytest.fixture
def put(tmp_path):
    """put(rel, length=20, size=(16, 16)): write a clip of the type of its name; its frames.

    A name without extension is a folder of numbered frames, an image is a strip.
    """

    def write(rel, length=20, size=(16, 16)):
        path = tmp_path / "data" / rel
        path.parent.mkdir(parents=True, exist_ok=True)
        frames = pixels(rel, length, *size)
        if path.suffix == ".npz":
            np.savez(path, frames=frames)
        elif path.suffix == ".gif":
            pictures = [Image.fromarray(f) for f in frames]
            pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=50)
        elif path.suffix in (".png", ".jpg"):
            Image.fromarray(np.concatenate(list(frames), axis=1)).save(path, format="PNG")
        elif path.suffix:
            codec = {".mkv": "ffv1", ".mp4": "libx264", ".avi": "mpeg4", ".webm": "libvpx"}
            pix_fmt = "bgr0" if path.suffix == ".mkv" else "yuv420p"
            with av.open(str(path), "w") as container:
                stream = container.add_stream(codec[path.suffix], rate=30)
                stream.height, stream.width, stream.pix_fmt = *size, pix_fmt
                for frame in frames:
                    container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, "rgb24")))
                container.mux(stream.encode(None))
        else:
            path.mkdir()
            for number, frame in enumerate(frames, 1):
                Image.fromarray(frame).save(path / f"{number:05d}.png")
        return frames

    return write


@pytest.fixture
def folder(tmp_path):
    """folder(**options): the dataset of all that was put."""

    def make(root=None, **options):
        given = {"path": str(tmp_path / "data"), **options}
        return FolderDataset(given, root, tmp_path / "cache")

    return make


@pytest.fixture
def table(tmp_path):
    """table(text): write labels.csv."""

    def write(text, name="labels.csv"):
        (tmp_path / "data").mkdir(exist_ok=True)
        (tmp_path / "data" / name).write_text(text, encoding="utf-8")

    return write


@pytest.fixture
def real_clips():
    """The folder of real clips, from VPBENCH_TEST_DATA."""
    path = os.environ.get("VPBENCH_TEST_DATA")
    if not path:
        pytest.skip("VPBENCH_TEST_DATA names no folder of real clips")
    return Path(path)
