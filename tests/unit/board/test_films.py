"""Films within a bound: the finest quality at which all fit, else fewer clips; none twice."""

import numpy as np
import pytest

from vpbench.board.clips import choose_clips
from vpbench.board.films import QUALITIES, make_reel
from vpbench.board.footage import Footage
from vpbench.board.layers import RowLayers

NAMES = [f"clip{k:02d}" for k in range(12)]


class Stored:
    """Predictions that need no run."""

    def __init__(self, seed):
        self.seed = seed

    def frames(self, name):
        rng = np.random.default_rng([self.seed, NAMES.index(name)])
        return rng.integers(0, 256, (3, 16, 16, 3), np.uint8)


def reel(budget, **more):
    footage = Footage(NAMES, dict.fromkeys(NAMES, ""), 12.0, [], None, [Stored(1)], Stored(0))
    choice = choose_clips(dict.fromkeys(NAMES, "a"), [], "")
    return make_reel(footage, choice, [None], budget, **more), choice


def weight(found):
    return sum(len(film.data) for film in found.films) * 4 / 3


def test_the_finest_quality_that_fits_is_taken():
    whole, _ = reel(10**7)
    assert len(whole.films) == 12 and f"crf {QUALITIES[0]}" in whole.quality
    assert whole.rule == "All 12 test clips are shown."
    less, _ = reel(0.88 * weight(whole))
    assert len(less.films) == 12 and weight(less) <= 0.88 * weight(whole)
    assert f"crf {QUALITIES[0]}" not in less.quality


@pytest.mark.parametrize("share", [0.5, 0.2, 0.0])
def test_clips_that_do_not_fit_lie_in_the_folder(tmp_path, share):
    whole, _ = reel(10**7)
    bound = share * weight(whole)
    folder = tmp_path / "page.media"
    found, choice = reel(bound, folder=folder)
    assert weight(found) <= bound or len(found.films) == 1
    keys = {film.key for film in found.films}
    assert {c for c, key in found.keys.items() if key in keys} == choice.first(len(keys))
    outside = {path.stem for path in folder.iterdir()}
    assert outside == found.outside and not outside & keys and len(outside | keys) == 12
    alone, _ = reel(bound)
    assert alone.keys == {c: key for c, key in found.keys.items() if key in keys}


def test_masks_and_keypoints_follow_the_pictures():
    mask = {name: np.full((3, 16, 16), 7 * k, np.uint8) for k, name in enumerate(NAMES)}
    points = {name: np.zeros((4, 2, 3), np.float32) for name in NAMES}
    footage = Footage(NAMES, dict.fromkeys(NAMES, ""), 12.0, [], None, [Stored(1)], Stored(0))
    choice = choose_clips(dict.fromkeys(NAMES, "a"), [], "")
    found = make_reel(footage, choice, [RowLayers(points, mask)], 10**7)
    assert found.layout.planes == 7 and set(found.films[0].points) == {1}
