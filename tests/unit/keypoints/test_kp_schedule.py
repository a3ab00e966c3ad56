"""Settings of both stages, and what changes in the course of a training."""

import pytest

from vpbench.api import UnknownName
from vpbench.kit import named_precision, pair_window, ramp
from vpbench_keypoints import schedule
from vpbench_keypoints.spec import PARAMS, PRESETS
from vpbench_keypoints.translator import map_sharpness


def test_gaussians_begin_wide():
    values = [schedule.sharpness_at(k, 1000, 10.0, 0.4) for k in range(1001)]
    assert values[0] == pytest.approx(4.3) and values[200] == pytest.approx((4.3 + 10) / 2)
    assert set(values[400:]) == {10.0}
    assert schedule.sharpness_at(0, 1000, 10.0, 0.0) == 10.0


def test_maps_keep_the_width_of_a_bump_in_cells():
    assert map_sharpness(128) == pytest.approx(14.3)
    assert map_sharpness(64) == pytest.approx(6.92, abs=0.005)
    for size in (64, 72, 128):  # cells lie 2 / (n - 1) apart
        cell = 2 / (size // 4 - 1)
        assert map_sharpness(size) * cell == pytest.approx(14.3 * 2 / 31)


def test_names_of_augmentations_and_precisions():
    for known, name in ((schedule.AUGMENTS, "heavy"), (schedule.MOTION_AUGMENTS, "heavy")):
        with pytest.raises(UnknownName, match="heavy"):
            schedule.named_augment(name, known)
    assert schedule.named_augment("light", schedule.AUGMENTS) == (schedule.AUGMENTS["light"], False)
    found = schedule.named_augment("light-resident", schedule.AUGMENTS)
    assert found == (schedule.AUGMENTS["light"], True)
    with pytest.raises(UnknownName, match="paper-resident"):  # it has filters
        schedule.named_augment("paper-resident", schedule.AUGMENTS)
    for preset in PRESETS.values():
        values = {"augment": "paper", "motion_augment": "paper", "precision": "fp32", **preset}
        schedule.named_augment(str(values["augment"]), schedule.AUGMENTS)
        schedule.named_augment(str(values["motion_augment"]), schedule.MOTION_AUGMENTS)
        named_precision(str(values["precision"]))


def test_the_published_augmentations():
    assert schedule.AUGMENTS["paper"].rotate_deg == 10 and schedule.AUGMENTS["paper"].flip
    assert schedule.AUGMENTS["paper"].filters and schedule.AUGMENTS["paper"].crop > 0
    assert schedule.MOTION_AUGMENTS["paper"].rotate_deg == 15
    assert schedule.MOTION_AUGMENTS["paper"].flip
    pairs = pair_window(str(PARAMS["pair_gap"]), 32)
    assert (pairs.min_gap, pairs.max_gap, pairs.wrap) == (8, 11, True)
    assert ramp(0, int(PARAMS["steps"]), float(PARAMS["adversarial_start"])) == 1.0
    # left and right must not be mixed up in a short training
    assert not schedule.AUGMENTS["light"].flip and not schedule.MOTION_AUGMENTS["light"].flip
