"""Films of planes: where pictures lie, that colours come back, that bytes are the same."""

import numpy as np
import pytest
from PIL import Image

from vpbench.api.errors import BadData
from vpbench.board.planes import Layout, colour_planes, colours, decode_planes, encode_planes, psnr


@pytest.mark.parametrize(
    ("planes", "height", "width", "film"),
    [(1, 16, 16, (16, 16)), (7, 17, 9, (64, 64)), (30, 64, 64, (384, 320)), (3, 5, 70, (48, 80))],
)
def test_every_plane_has_its_own_place(planes, height, width, film):
    layout = Layout(planes, height, width)
    given = np.random.default_rng(planes).integers(0, 256, (planes, height, width), np.uint8)
    packed = layout.pack(given)
    assert packed.shape == film and packed.shape[0] % 2 == packed.shape[1] % 2 == 0
    assert np.array_equal(layout.unpack(packed), given)


def test_colours_are_those_of_jpeg():
    rng = np.random.default_rng(1)
    frames = rng.integers(0, 256, (2, 9, 7, 3), np.uint8)
    theirs = np.stack([np.array(Image.fromarray(f).convert("YCbCr")) for f in frames])
    ours = np.moveaxis(colour_planes(frames), 1, -1)
    assert np.abs(ours.astype(int) - theirs).max() <= 1
    assert np.abs(colours(colour_planes(frames)).astype(int) - frames).max() <= 2


@pytest.mark.parametrize(("size", "tracks"), [((64, 64), 3), ((15, 33), 1)])
def test_a_film_shows_the_frames_that_went_in(size, tracks):
    rng = np.random.default_rng(2)
    coarse = rng.integers(0, 256, (tracks, 5, 4, 4, 3), np.uint8)
    clips = [
        np.stack([np.array(Image.fromarray(f).resize(size[::-1], Image.BICUBIC)) for f in clip])
        for clip in coarse
    ]
    planes = np.concatenate([colour_planes(clip) for clip in clips], axis=1)
    film, layout = encode_planes(planes, 18)
    shown = decode_planes(film, layout)
    for k, clip in enumerate(clips):
        own = colours(shown[:, 3 * k : 3 * k + 3])
        assert psnr(own, clip) > 36
        for t in range(5):
            assert max(range(5), key=lambda s: psnr(own[t], clip[s])) == t
    assert encode_planes(planes, 18)[0] == film
    assert len(encode_planes(planes, 30)[0]) < len(film)


@pytest.mark.parametrize("planes", [np.zeros((2, 3, 4)), np.zeros((0, 1, 4, 4), np.uint8)])
def test_what_is_no_film_is_refused(planes):
    with pytest.raises(BadData, match="planes are uint8"):
        encode_planes(planes, 18)


def test_psnr_of_one_grey_level():
    black = np.zeros((2, 2, 3), np.uint8)
    assert psnr(black, black + 1) == pytest.approx(48.1308, abs=1e-4)
    assert psnr(black, black) == float("inf")
