"""A dataset that is used from its file: 12 clips of moving bars in two classes."""

import numpy as np

from vpbench.api import ClipInfo, DatasetSpec, TaskSpec, WindowRule

SPEC = DatasetSpec(
    "bars",
    f"{__file__}:Bars",
    "bars that move to the left or to the right",
    tasks=(TaskSpec("bars", WindowRule(1, 8), 16),),
    options={"speed": 1},
)
_SPLITS = {"train": range(4), "val": range(4, 6), "test": range(6, 12)}


class Bars:
    def __init__(self, options, root, cache):
        self.spec, self.speed = SPEC, int(options.get("speed", 1))

    def prepare(self, root=None):
        """Nothing to convert."""

    def splits(self):
        return tuple(_SPLITS)

    def clips(self, split):
        return [ClipInfo(f"bar-{k}", 12, 16, 16, k % 2) for k in _SPLITS[split]]

    def read(self, clip, indices):
        k = int(clip.id.partition("-")[2])
        frames = np.zeros((len(indices), 16, 16, 3), np.uint8)
        for at, t in enumerate(indices):
            place = (k + (1 if k % 2 else -1) * int(t) * self.speed) % 16
            frames[at, :, place] = 40 + 15 * k
        return frames

    def pose(self, clip):
        return None

    def class_names(self):
        return ("left", "right")

    def joint_names(self):
        return ()

    def verify(self, root=None):
        return []
