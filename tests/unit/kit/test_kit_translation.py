"""A translator that is told the true keypoints, or keypoints out of the frame."""

import numpy as np
import pytest
import torch

from vpbench.api import Conditioning, MethodFailed, TaskInfo, UsageError
from vpbench.kit.translation import translation_intermediates

TASK = TaskInfo("toy", 8, 4, 2, None, 0, (), 0, ())


class Brightest:
    """The place of the brightest pixel."""

    def detect(self, frames, pose):
        best = frames.mean(2).flatten(2).argmax(-1)
        y, x = best // 8, best % 8
        points = torch.stack([x / 3.5 - 1, y / 3.5 - 1, torch.ones_like(x)], -1)
        return points[:, :, None].float()


class Spot:
    """Black, with a white pixel at every keypoint in the frame; the mask says where."""

    def render(self, frame, source, target):
        return self.intermediates(frame, source, target)["mask"].expand(-1, -1, 3, -1, -1)

    def intermediates(self, frame, source, target):
        b, t, _, _ = target.shape
        mask = torch.zeros(b, t, 1, 8, 8)
        at = ((target[..., :2] + 1) * 3.5).round().long()
        for i in range(b):
            for k in range(t):
                for x, y in at[i, k].tolist():
                    if 0 <= x < 8 and 0 <= y < 8:
                        mask[i, k, 0, y, x] = 1
        return {"mask": mask, "where": source[:, None].expand(-1, t, -1, -1)}


class Wrong(Spot):
    def render(self, frame, source, target):
        return torch.zeros(3, 3) @ torch.zeros(4, 4)


SLOTS = {"detector": Brightest(), "translator": Spot()}


def clips(seed, b=3, t=4):
    rng = np.random.default_rng(seed)
    frames = rng.integers(0, 60, (b, 2 + t, 8, 8, 3), np.uint8)
    spots = rng.integers(0, 8, (b, 2 + t, 2))
    for i in range(b):
        for k in range(2 + t):
            frames[i, k, spots[i, k, 1], spots[i, k, 0]] = 250
    given = Conditioning(frames[:, :2], None, None, None, tuple(map(str, range(b))))
    return given, frames[:, 2:], spots


@pytest.mark.parametrize("seed", range(3))
def test_the_true_keypoints_reach_the_translator(seed):
    given, future, spots = clips(seed)
    found = translation_intermediates(TASK, SLOTS, given, future)
    assert found["keypoints"].shape == (3, 1, 6, 1, 3)
    np.testing.assert_allclose(found["keypoints"][:, 0, :, 0, :2], spots / 3.5 - 1, atol=1e-6)
    white = np.zeros((3, 4, 8, 8), bool)
    for i in range(3):
        for k in range(4):
            white[i, k, spots[i, 2 + k, 1], spots[i, 2 + k, 0]] = True
    assert np.array_equal(found["final"][:, 0] == 255, np.repeat(white[..., None], 3, -1))
    assert np.array_equal(found["mask"][:, 0] == 255, np.repeat(white[..., None], 3, -1))


def test_moved_keypoints_leave_the_source_alone():
    given, future, _ = clips(5)
    found = translation_intermediates(TASK, SLOTS, given, future, shift=(4.0, 0.0))
    assert found["final"].max() == 0 and found["mask"].max() == 0
    plain = translation_intermediates(TASK, SLOTS, given, future)
    assert np.array_equal(found["keypoints"][:, :, :2], plain["keypoints"][:, :, :2])
    moved = found["keypoints"][:, :, 2:] - plain["keypoints"][:, :, 2:]
    np.testing.assert_allclose(moved[..., 0], 4)
    assert (moved[..., 1:] == 0).all()


def test_refusals():
    given, future, _ = clips(1)
    with pytest.raises(UsageError, match="B = 3"):
        translation_intermediates(TASK, SLOTS, given, future[:2])
    with pytest.raises(MethodFailed, match="the translator failed"):
        translation_intermediates(TASK, {**SLOTS, "translator": Wrong()}, given, future)
