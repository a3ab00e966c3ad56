"""Files of every kind give the pixels that ffmpeg or a closed form gives, or are refused."""

from collections import Counter
from collections.abc import Iterable

import numpy as np
import pytest

from tests.e2e.media_matrix.__main__ import all_cells
from tests.e2e.media_matrix.cell import REFUSALS, Cell, check
from vpbench.media import ground, streams, video

pytestmark = pytest.mark.e2e

CELLS: tuple[Cell, ...] = tuple(all_cells())


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
def test_the_pixels_are_right_or_the_file_is_refused(cell, tmp_path):
    check(cell, tmp_path)


def test_the_table_is_whole():
    names = Counter(cell.name for cell in CELLS)
    assert not [name for name, count in names.items() if count > 1]
    assert len(CELLS) >= 150
    assert {cell.refused for cell in CELLS} == {*REFUSALS, ""}
    assert sum(bool(cell.refused) for cell in CELLS) < len(CELLS) / 4
    compared = [cell for cell in CELLS if cell.ffmpeg and not cell.refused]
    assert len(compared) >= 150


def alpha_dropped(monkeypatch):
    monkeypatch.setattr(ground.Composer, "rgb", lambda self, rgba: rgba[..., :3].copy())


def first_stream(monkeypatch):
    def choose(container, path, form):
        return container.streams.video[0], len(container.streams.video) > 1

    monkeypatch.setattr(video, "film_stream", choose)


def longest_of_all(monkeypatch):
    def choose(container, path, form):
        found = container.streams.video
        lengths = streams._lengths(path, form, [stream.index for stream in found])
        return max(found, key=lambda stream: lengths[stream.index]), len(found) > 1

    monkeypatch.setattr(video, "film_stream", choose)


def aspect_ignored(monkeypatch):
    monkeypatch.setattr(video, "squared_size", lambda height, width, aspect: (height, width))


def range_ignored(monkeypatch):
    as_limited(monkeypatch, range_=1)


def matrix_ignored(monkeypatch):
    as_limited(monkeypatch, matrix=5)


def as_limited(monkeypatch, **given):
    """Convert every frame as if its header said this."""
    rgb = video._Film.rgb

    def converted(self, frame):
        if not frame.format.is_rgb:
            frame.color_range = given.get("range_", frame.color_range)
            frame.colorspace = given.get("matrix", frame.colorspace)
        return rgb(self, frame)

    monkeypatch.setattr(video._Film, "rgb", converted)


def rotation_ignored(monkeypatch):
    monkeypatch.setattr(video, "_quarter_turns", lambda frame, path: 0)


MUTANTS = {
    alpha_dropped: ("alpha", "gif", "strip/rgba", "folder"),
    first_stream: ("streams",),
    longest_of_all: ("streams",),
    aspect_ignored: ("aspect",),
    range_ignored: ("matrix",),
    matrix_ignored: ("matrix",),
    rotation_ignored: ("rotation",),
}


def broken(cells: Iterable[Cell], folder) -> int:
    """How many cells do not hold."""
    count = 0
    for number, cell in enumerate(cells):
        (folder / str(number)).mkdir()
        try:
            check(cell, folder / str(number))
        except AssertionError:
            count += 1
    return count


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_a_wrong_reader_fails(mutant, tmp_path, monkeypatch):
    mutant(monkeypatch)
    monkeypatch.setattr("tests.e2e.media_matrix.cell.has_ffmpeg", lambda: False)
    for start in MUTANTS[mutant]:
        chosen = [cell for cell in CELLS if cell.name.startswith(start) and not cell.refused]
        folder = tmp_path / start.replace("/", "-")
        folder.mkdir()
        assert broken(chosen[:40], folder) > 0, start


def test_ffmpeg_is_not_needed_for_alpha_shape_and_stream(tmp_path, monkeypatch):
    """The closed forms of these hold by themselves."""
    monkeypatch.setattr("tests.e2e.media_matrix.cell.has_ffmpeg", lambda: False)
    assert np.all([cell.truth is not None for cell in CELLS if not cell.refused])
    chosen = [c for c in CELLS if c.name.split("/")[0] in ("alpha", "aspect", "streams")]
    assert len(chosen) > 40
    assert broken(chosen, tmp_path) == 0
