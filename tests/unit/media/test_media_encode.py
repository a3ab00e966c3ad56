import numpy as np
import pytest

from vpbench.api.errors import BadData, UsageError
from vpbench.media import encode
from vpbench.media.decode import probe, read, read_image
from vpbench.media.encode import write_gif, write_mp4, write_png


def test_png_is_lossless(tmp_path, clip):
    frame = clip(1, 9, 14)[0]
    write_png(tmp_path / "a.png", frame)
    assert np.array_equal(read_image(tmp_path / "a.png"), frame)


def test_gif_keeps_every_frame_also_repeated_ones(tmp_path, clip):
    frames = clip(6, 16, 24) // 64 * 64
    frames[3] = frames[2]
    frames[5] = frames[4]
    write_gif(tmp_path / "a.gif", frames, 12.5)
    found = probe(tmp_path / "a.gif")
    assert (found.frames, found.height, found.width, found.fps) == (6, 16, 24, 12.5)
    assert np.array_equal(read(tmp_path / "a.gif"), frames)


def test_gif_of_many_colours_stays_close(tmp_path, clip):
    frames = clip(4, 64, 64)
    write_gif(tmp_path / "a.gif", frames, 10)
    assert np.abs(read(tmp_path / "a.gif").astype(int) - frames).mean() < 12
    write_gif(tmp_path / "b.gif", frames, 1000)
    assert probe(tmp_path / "b.gif").fps == 50


def test_gif_of_one_frame_and_one_colour(tmp_path):
    for frames in (np.zeros((1, 3, 5, 3), np.uint8), np.full((4, 1, 1, 3), 77, np.uint8)):
        write_gif(tmp_path / "a.gif", frames, 10)
        assert np.array_equal(read(tmp_path / "a.gif"), frames)


@pytest.mark.parametrize(("height", "width"), [(32, 48), (33, 47), (1, 1)])
@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_mp4_pads_odd_sizes(tmp_path, clip, monkeypatch, height, width, codec):
    import av

    monkeypatch.setattr(av, "codecs_available", {codec})
    frames = np.full((5, height, width, 3), 90, np.uint8)
    frames[:, : height // 2] = 200
    write_mp4(tmp_path / "a.mp4", frames, 25)
    found = probe(tmp_path / "a.mp4")
    assert (found.frames, found.fps) == (5, 25)
    assert (found.height, found.width) == (height + height % 2, width + width % 2)
    assert np.abs(read(tmp_path / "a.mp4")[:, :height, :width].astype(int) - frames).mean() < 8


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path, clip, monkeypatch):
    for name, write in (("a.gif", write_gif), ("a.mp4", write_mp4)):
        path = tmp_path / name
        path.write_bytes(b"old")

        def broken(*_):
            raise RuntimeError

        monkeypatch.setattr(encode.os, "fsync", broken)
        with pytest.raises(RuntimeError):
            write(path, clip(3, 16, 16), 10)
        assert path.read_bytes() == b"old"
        assert [file.name for file in tmp_path.iterdir()] == [name]
        monkeypatch.undo()
        write(path, clip(3, 16, 16), 10)
        assert probe(path).frames == 3
        path.unlink()


@pytest.mark.parametrize(
    "frames",
    [np.zeros((2, 4, 4, 3)), np.zeros((2, 4, 4, 4), np.uint8), np.zeros((0, 4, 4, 3), np.uint8)],
)
def test_what_is_no_clip_is_refused(tmp_path, frames):
    for write in (write_gif, write_mp4):
        with pytest.raises(BadData):
            write(tmp_path / "a", frames, 10)
    with pytest.raises(BadData):
        write_png(tmp_path / "a", frames)
    with pytest.raises(UsageError, match="fps=0"):
        write_gif(tmp_path / "a", np.zeros((1, 4, 4, 3), np.uint8), 0)
    assert not list(tmp_path.iterdir())
