"""Datasets with a wrong label and with two clips of one name."""

import numpy as np

from vpbench.api import ClipInfo, DatasetSpec, TaskSpec, WindowRule

TASKS = (TaskSpec("small", WindowRule(1, 4), 16),)
LABELS = DatasetSpec("badlabels", f"{__file__}:Labels", "a label out of range", tasks=TASKS)
TWICE = DatasetSpec("twice", f"{__file__}:Twice", "two clips of one name", tasks=TASKS)


class Labels:
    label, names = 7, ("one", "two")

    def __init__(self, options, root, cache):
        self.spec = LABELS

    def prepare(self, root=None):
        """Nothing to convert."""

    def splits(self):
        return ("test",)

    def clips(self, split):
        return [ClipInfo(n, 8, 16, 16, self.label) for n in self.names]

    def read(self, clip, indices):
        return np.zeros((len(indices), 16, 16, 3), np.uint8)

    def pose(self, clip):
        return None

    def class_names(self):
        return ("a", "b")

    def joint_names(self):
        return ()


class Twice(Labels):
    label, names = 1, ("same", "same")
