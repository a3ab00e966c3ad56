"""What a process takes at a time: every clip once, fewer where they are large."""

from pathlib import Path

import pytest

from vpbench.api.types import ClipInfo
from vpbench.core.tasks import Item
from vpbench.harness.scoring.measure_workers import PART, PART_BYTES, Measurement
from vpbench.media.geometry import Geometry


def items(count, height, width, frames):
    made = (ClipInfo(f"c{k:03}", frames, height, width, None) for k in range(count))
    return {c.id: Item(c.id, c, (), tuple(range(frames))) for c in made}


@pytest.mark.parametrize(
    ("height", "width", "frames", "size", "step"),
    [
        (64, 64, 16, None, PART),
        (544, 960, 16, None, 1),
        (544, 960, 5, None, 4),
        (544, 960, 16, 64, PART),
        (64, 64, 16, 256, PART_BYTES // (16 * 256 * 256 * 3)),
        (4320, 7680, 300, None, 1),
    ],
)
@pytest.mark.parametrize(("real", "fake"), [(37, 37), (5, 41), (0, 3), (3, 0), (0, 0)])
def test_parts_hold_every_clip_once(height, width, frames, size, step, real, fake):
    sides = items(real, height, width, frames), items(fake, height, width, frames)
    geometry = None if size is None else Geometry(size)
    parts = Measurement((), sides, None, geometry, Path(), "cpu").parts
    assert [name for part in parts for name in part] == sorted({*sides[0], *sides[1]})
    assert {len(part) for part in parts[:-1]} <= {step}
    assert all(0 < len(part) <= step for part in parts[-1:])
