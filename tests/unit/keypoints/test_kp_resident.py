"""Clips on the device: the changes are those of the harness, windows lie inside their clips."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from vpbench.api import Augment, BadData, Batch, Clip, Pair, Refused
from vpbench.media.augment import Warp, recolour
from vpbench_keypoints import resident
from vpbench_keypoints.resident import Change, ResidentPairs, ResidentPaths, uniforms

FULL = Augment(flip=True, rotate_deg=30.0, crop=0.3, colour=0.4)


def numbers_of(seed=0, rows=6):
    return uniforms(seed, 0, rows, 8)


def harness_warp(augment, row, size):
    """The harness's own warp for the numbers of one clip, by its documented meaning."""
    scale = 1 - augment.crop * row[2]
    shift = tuple((1 - scale) * (2 * u - 1) for u in row[3:5])
    angle = math.radians(augment.rotate_deg * (2 * row[1] - 1))
    return Warp(size, size, augment.flip and row[0] < 0.5, angle, scale, shift)


@pytest.mark.parametrize("size", [16, 33])
@pytest.mark.parametrize(
    "augment",
    [
        Augment(),
        Augment(flip=True),
        Augment(rotate_deg=20),
        Augment(crop=0.4),
        dataclasses.replace(FULL, colour=0),
    ],
    ids=["none", "flip", "rotate", "crop", "all"],
)
def test_images_and_points_move_as_in_the_harness(augment, size):
    rng = np.random.default_rng(size)
    # smooth pictures: OpenCV interpolates at 1/32 of a pixel and rounds
    coarse = torch.from_numpy(rng.uniform(0, 1, (6, 3, 5, 5)).astype(np.float32))
    images = torch.nn.functional.interpolate(coarse, size=(size, size), mode="bicubic")
    frames = images.clamp(0, 1).mul(255).round().to(torch.uint8)
    places = rng.uniform(-1, 1, (6, 2, 7, 3)).astype(np.float32)
    numbers = numbers_of(3)
    change = Change.draw(augment, numbers, "cpu")
    clips = torch.stack([frames, frames.flip(2)], 1).float() / 255
    found = change.images(clips) * 255
    moved = change.points(torch.from_numpy(places[..., :2]))
    flipped = 0
    for i, row in enumerate(numbers):
        warp = harness_warp(augment, row, size)
        flipped += warp.flip
        wanted = warp.frames((clips[i].movedim(1, -1) * 255).round().to(torch.uint8).numpy())
        difference = np.abs(found[i].movedim(1, -1).numpy() - wanted)
        assert difference.max() < 6 and difference.mean() < 0.8
        np.testing.assert_allclose(moved[i], warp.points(places[i])[..., :2], atol=1e-5)
    assert not augment.flip or 0 < flipped < 6


def test_colours_change_as_in_the_harness():
    rng = np.random.default_rng(1)
    clips = rng.integers(0, 256, (6, 2, 9, 9, 3), dtype=np.uint8)
    numbers = numbers_of(4)
    change = Change.draw(Augment(colour=0.4), numbers, "cpu")
    found = change.images(torch.from_numpy(clips).movedim(-1, 2).float() / 255) * 255
    for i, row in enumerate(numbers):
        gains = [1 + 0.4 * (2 * u - 1) for u in row[5:8]]
        wanted = recolour(clips[i], *gains)
        np.testing.assert_allclose(found[i].movedim(1, -1), wanted, atol=1.6)
    assert found.min() >= 0 and found.max() <= 255


def test_a_dot_and_its_keypoint_stay_together():
    image = torch.zeros(1, 1, 3, 65, 65)
    image[0, 0, :, 20, 44] = 1.0
    place = torch.tensor([[[44 / 32 - 1, 20 / 32 - 1]]])
    for seed in range(5):
        change = Change.draw(dataclasses.replace(FULL, colour=0), numbers_of(seed, 1), "cpu")
        moved = change.images(image)[0, 0, 0]
        y, x = divmod(int(moved.argmax()), 65)
        wanted = (change.points(place)[0, 0] + 1) * 32
        assert abs(x - float(wanted[0])) <= 1 and abs(y - float(wanted[1])) <= 1


def test_uniform_numbers():
    found = uniforms(7, 3, 1000, 4)
    assert found.shape == (1000, 4) and found.min() >= 0 and found.max() < 1
    assert abs(found.mean() - 0.5) < 0.02 and abs(found.var() - 1 / 12) < 0.005
    assert np.array_equal(found, uniforms(7, 3, 1000, 4))
    assert not np.array_equal(found, uniforms(7, 4, 1000, 4))
    assert not np.array_equal(found, uniforms(8, 3, 1000, 4))
    assert uniforms(2**70 + 5, 0, 1, 1).shape == (1, 1)


class Clips:
    """Clips of different lengths whose pixels say which frame of which clip they are."""

    def __init__(self, lengths=(12, 3, 7, 20), size=4):
        self.lengths, self.size = lengths, size

    def len(self, split):
        return len(self.lengths)

    def length(self, split, i):
        return self.lengths[i]

    def read(self, split, i, frames):
        out = np.zeros((len(frames), self.size, self.size, 3), np.uint8)
        out[..., 0], out[..., 1] = i, np.array(frames)[:, None, None]
        out.flags.writeable = False
        return out


@pytest.mark.parametrize(
    "window", [Pair(1, 16), Pair(4, 6), Pair(0, 0), Pair(8, 11, wrap=True), Pair(3, 3)]
)
def test_pairs_are_those_of_one_clip(window):
    data = Clips()
    pairs = ResidentPairs(data, "cpu", window, 64, Augment(), 5)
    seen = set()
    for _, batch in zip(range(8), pairs.batches(0), strict=False):
        shown = (batch.values[:, :, :2, 0, 0] * 255).round().long()
        for (a, b), number in zip(shown.tolist(), batch.index.tolist(), strict=True):
            assert a[0] == b[0] == number
            length = data.lengths[number]
            gap = (b[1] - a[1]) % length if window.wrap else b[1] - a[1]
            gaps = {g % length for g in range(8, 12)} if window.wrap else None
            assert gap in gaps if gaps else window.min_gap <= gap <= window.max_gap
            assert 0 <= a[1] < length and 0 <= b[1] < length
            seen.add((number, a[1], b[1]))
    assert len(seen) >= 30
    short = [i for i, n in enumerate(data.lengths) if not window.wrap and n <= window.min_gap]
    assert {s[0] for s in seen} == set(range(4)) - set(short)


def test_every_pair_is_as_likely_as_another():
    """One clip of five frames, gaps 1 to 4: gaps are uniform, and so are starts for a gap."""
    pairs = ResidentPairs(Clips((5,)), "cpu", Pair(1, 4), 4000, Augment(), 5)
    _, times = pairs.times(0)
    gaps = times[:, 1] - times[:, 0]
    assert np.abs(np.bincount(gaps, minlength=5)[1:] / 4000 - 0.25).max() < 0.03
    starts = times[gaps == 2, 0]
    assert np.abs(np.bincount(starts, minlength=3) / len(starts) - 1 / 3).max() < 0.06


def test_batches_follow_from_seed_and_step():
    def made(seed, done):
        return next(ResidentPairs(Clips(), "cpu", Pair(1, 5), 8, FULL, seed).batches(done))

    whole = ResidentPairs(Clips(), "cpu", Pair(1, 5), 8, FULL, 5).batches(0)
    kept = [next(whole) for _ in range(4)]
    for k in (0, 3):
        assert torch.equal(made(5, k).values, kept[k].values)
        assert np.array_equal(made(5, k).index, kept[k].index)
    assert not torch.equal(kept[0].values, kept[1].values)
    assert not torch.equal(made(6, 0).values, kept[0].values)


def test_what_cannot_lie_on_a_device_is_refused(monkeypatch):
    with pytest.raises(Refused, match="filters"):
        ResidentPairs(Clips(), "cpu", Pair(1, 5), 8, Augment(filters=True), 5)
    with pytest.raises(BadData, match="none of the 4 training clips"):
        ResidentPairs(Clips(), "cpu", Pair(30, 31), 8, Augment(), 5)
    monkeypatch.setattr(resident, "_MOST_BYTES", 1000)
    with pytest.raises(Refused, match="more than a device holds"):
        ResidentPairs(Clips(), "cpu", Pair(1, 5), 8, Augment(), 5)


class Paths:
    """Keypoints that say clip and frame; asked for windows of one length."""

    def __init__(self, labels=True, keypoints=True):
        self.labels, self.keypoints = labels, keypoints

    def batches(self, split, window, batch, augment=None, start_step=0, stream=""):
        assert split == "train" and augment is None and stream == "pool"
        k = start_step
        while True:
            index = np.random.default_rng(k).integers(0, 9, batch)
            times = np.arange(window.length)[None].repeat(batch, 0)
            points = np.stack(np.broadcast_arrays(index[:, None], times, 1), -1)[:, :, None] / 100.0
            yield Batch(
                np.zeros((batch, window.length, 0, 0, 3), np.uint8),
                None,
                index % 2 if self.labels else None,
                index,
                times,
                points.repeat(3, 2).astype(np.float32) if self.keypoints else None,
            )
            k += 1


def test_paths_keep_their_clip_and_label():
    pool = ResidentPaths(Paths(), "cpu", Clip(6), 50, Augment(), 5)
    assert len(pool.points) == 8192
    batch = pool.batch(3)
    assert batch.values.shape == (50, 6, 6)
    points = batch.values.unflatten(2, (3, 2))
    assert torch.equal((points[:, 0, 0, 0] * 100).round().long(), torch.from_numpy(batch.index))
    assert torch.equal((points[0, :, 1, 1] * 100).round().long(), torch.arange(6))
    assert torch.equal(batch.label, torch.from_numpy(batch.index % 2))
    again = ResidentPaths(Paths(), "cpu", Clip(6), 50, Augment(), 5).batches(3)
    assert torch.equal(next(again).values, batch.values)
    assert not torch.equal(next(again).values, batch.values)
    assert pool.batch(3, 7).values.shape == (7, 6, 6)
    assert ResidentPaths(Paths(labels=False), "cpu", Clip(6), 5, FULL, 5).batch(0).label is None
    with pytest.raises(BadData, match="keypoints"):
        ResidentPaths(Paths(keypoints=False), "cpu", Clip(6), 5, Augment(), 5)


def test_a_path_is_changed_as_a_whole():
    plain = ResidentPaths(Paths(), "cpu", Clip(6), 20, Augment(), 5).batch(0).values
    turned = ResidentPaths(Paths(), "cpu", Clip(6), 20, FULL, 5).batch(0).values
    one, two = (v.unflatten(2, (3, 2)) for v in (plain, turned))

    def spans(points):
        return (points[:, 1:] - points[:, :1]).norm(dim=-1)

    ratio = spans(two) / spans(one)
    assert float((ratio.amax((1, 2)) / ratio.amin((1, 2))).max()) < 1.01
    assert float(ratio.min()) > 0.99 and 1.1 < float(ratio.max()) < 1 / 0.7 + 0.01
