"""The hash of the given frames that a method saw."""

import numpy as np
import pytest

from vpbench.harness.inputs.task_data import given_hash

FRAMES = np.random.default_rng(0).integers(0, 256, (3, 2, 4, 5, 3), np.uint8)


def test_it_changes_with_every_pixel_the_order_and_the_shape():
    flipped = FRAMES.copy()
    flipped[2, 1, 3, 4, 2] ^= 1
    others = [flipped, FRAMES[::-1], FRAMES[:2], FRAMES[:, :1], FRAMES.reshape(3, 2, 5, 4, 3)]
    assert len({given_hash(frames) for frames in (FRAMES, *others)}) == 6


def test_it_does_not_depend_on_how_the_array_lies_in_memory():
    assert given_hash(np.asfortranarray(FRAMES)) == given_hash(FRAMES)
    assert given_hash(np.repeat(FRAMES, 2, 1)[:, ::2]) == given_hash(FRAMES)


def test_other_arrays_are_refused():
    for wrong in (FRAMES[0], FRAMES.astype(np.float32)):
        with pytest.raises(ValueError, match="uint8"):
            given_hash(wrong)
