"""Test clips that look like training clips."""

import numpy as np

from vpbench.data.duplicates import LEAST, chosen, movement, near_duplicates, problems, views


def clip(seed, frames=3, height=40, width=60):
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (frames, 4, 6, 3), np.uint8)
    return coarse.repeat(height // 4, 1).repeat(width // 6, 2)


def test_the_same_mirrored_brighter_and_resized_are_found_others_are_not():
    own = clip(0)
    train = {"a": views(clip(1)), "b": views(own), "c": views(clip(2))}
    changed = {
        "same": own,
        "mirrored": own[:, :, ::-1],
        "darker": (own * 0.6 + 20).astype(np.uint8),
        "larger": own.repeat(2, 1).repeat(2, 2),
        "one-frame": np.concatenate([clip(3, 2), own[1:2]]),
        "other": clip(4),
    }
    found = near_duplicates(train, {k: views(v) for k, v in changed.items()})
    assert {f.test for f in found} == set(changed) - {"other"}
    assert {f.train for f in found} == {"b"}
    assert all(LEAST <= f.similarity <= 1 for f in found)


def test_similarity_is_the_correlation_of_small_pictures():
    one, other = clip(5, 1), clip(6, 1)
    mixed = (one * 0.9 + other * 0.1).astype(np.uint8)
    (found,) = near_duplicates({"t": views(one)}, {"x": views(mixed)}, -1)

    def small(frame):
        return views(frame).reshape(-1)

    straight = float(np.corrcoef(small(one), small(mixed))[0, 1])
    assert abs(found.similarity - straight) < 1e-5


def test_flat_pictures_and_nothing():
    flat = np.full((1, 16, 16, 3), 7, np.uint8)
    assert not views(flat).any()
    assert near_duplicates({"a": views(flat)}, {"b": views(flat)}) == []
    assert near_duplicates({}, {"b": views(flat)}) == []
    assert near_duplicates({"b": views(flat)}, {}) == []
    assert chosen(1) == [0] and chosen(2) == [0, 1] and chosen(9) == [0, 4, 8]


def test_movements_do_not_depend_on_place_size_and_speed():
    times = np.linspace(0, 1, 31)
    joints = np.stack([np.sin(times * k + k) for k in range(26)], -1).reshape(31, 13, 2)
    slow = np.stack([np.sin(np.linspace(0, 1, 91) * k + k) for k in range(26)], -1)
    other = np.random.default_rng(0).normal(size=(20, 13, 2))
    train = {"t": movement(joints)}
    test = {
        "moved": movement(joints * 3 + 50),
        "slow": movement(slow.reshape(91, 13, 2)),
        "other": movement(other),
    }
    found = near_duplicates(train, test, 0.998)
    assert {f.test for f in found} == {"moved", "slow"}
    assert movement(np.zeros((4, 13, 2))).shape == (1, 16 * 13, 1, 2)
    (first, _) = problems(found, "moves like")
    assert first.level == "warning" and "moves like training clip t" in first.what
