"""Figures of a detector's probe, without a detector."""

import numpy as np

from vpbench.harness.scoring.detector_probe import MAIN, Annotated, pck_interval
from vpbench.metrics.keypoint_probe import joint_errors


def test_the_interval_of_pck_is_over_clips_with_the_weight_of_their_joints():
    """20 clips: every other one shows 13 joints, all found, the rest 2, all missed.

    A resample with K of the first has PCK 13 K / (13 K + 2 (20 - K)), K ~ Bin(20, 1/2). The
    expanded tail of 20 clips is 1.6 %, P(K <= 4) = 0.6 %, P(K <= 5) = 2.1 %: K is 5 to 15.
    """
    clips = [f"c{k:02}" for k in range(20) for _ in range(6)]
    rng = np.random.default_rng(0)
    joints = np.zeros((120, 13, 3), np.float32)
    joints[..., :2] = rng.uniform(-1, 1, (120, 13, 2))
    read = joints[..., :2].astype(np.float64)
    for k in range(120):
        there = 13 if (k // 6) % 2 else 2
        joints[k, :there, 2] = 1
        read[k] += 0 if there == 13 else 5
    errors = joint_errors(read, joints, 64)
    test = Annotated(np.zeros((120, 0, 3), np.float32), joints, clips, clips)
    assert errors.pck(MAIN) == 130 / 150
    np.testing.assert_allclose(pck_interval(errors, test), [65 / 95, 195 / 205], atol=1e-12)
    few = Annotated(test.points, joints, clips, [f"person {int(c[1:]) % 7}" for c in clips])
    assert pck_interval(errors, few) is None
