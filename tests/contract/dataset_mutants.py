"""A good dataset, and for every check a dataset that only this check catches."""

import hashlib
import threading

import numpy as np

from vpbench.api import ClipInfo, DatasetSpec, Problem, TaskSpec, WindowRule

MUTANTS = {}
TASKS = (TaskSpec("small", WindowRule(1, 4), 16),)


def dataset(name, catches, tasks=TASKS):
    def add(cls):
        globals()[f"SPEC_{name}"] = cls.spec = DatasetSpec(
            name, f"{__file__}:{cls.__name__}", "a mutant", tasks=tasks
        )
        MUTANTS[name] = catches
        return cls

    return add


def frames_of(clip_id):
    seed = int(hashlib.sha256(clip_id.encode()).hexdigest()[:8], 16)
    return np.random.default_rng(seed).integers(0, 256, (8, 16, 18, 3), np.uint8)


@dataset("good-clips", None)
class Good:
    length = 8

    def __init__(self, options, root, cache):
        pass

    def splits(self):
        return ("train", "test")

    def clips(self, split):
        return [self.clip(split, k) for k in range(4)]

    def clip(self, split, k):
        name = f"{split}/{k}"
        sha = hashlib.sha256(frames_of(name).tobytes()).hexdigest()
        return ClipInfo(name, self.length, 16, 18, k % 2, sha256=sha)

    def read(self, clip, indices):
        return frames_of(clip.id)[list(indices)]

    def pose(self, clip):
        return np.zeros((clip.frames, 2, 3), np.float32)

    def class_names(self):
        return ("a", "b")

    def joint_names(self):
        return ("hand", "foot")

    def prepare(self, root=None):
        pass

    def verify(self, root=None):
        return []


@dataset("no-pose-method", "methods")
class NoPoseMethod(Good):
    pose = None


@dataset("no-test", "methods")
class NoTest(Good):
    def splits(self):
        return ("train",)


@dataset("one-id", "clips")
class OneId(Good):
    def clip(self, split, k):
        return super().clip("all", k)


@dataset("unsorted", "clips")
class Unsorted(Good):
    def clips(self, split):
        return super().clips(split)[::-1]


@dataset("no-hash", "hashes")
class NoHash(Good):
    def clip(self, split, k):
        c = super().clip(split, k)
        return ClipInfo(c.id, c.frames, c.height, c.width, c.label)


@dataset("same-bytes", "disjoint")
class SameBytes(Good):
    def clip(self, split, k):
        c = super().clip(split, k)
        return ClipInfo(c.id, c.frames, c.height, c.width, c.label, sha256=f"{k:064x}")


@dataset("label-seven", "labels")
class LabelSeven(Good):
    def clip(self, split, k):
        c = super().clip(split, k)
        return ClipInfo(c.id, c.frames, c.height, c.width, 7, sha256=c.sha256)


@dataset("too-short", "tasks", (TaskSpec("long", WindowRule(5, 40), 16),))
class TooShort(Good):
    pass


@dataset("too-many-frames", "decodes")
class TooManyFrames(Good):
    length = 9

    def read(self, clip, indices):
        return super().read(clip, [i for i in indices if i < 8])


@dataset("sorts-indices", "indices")
class SortsIndices(Good):
    def read(self, clip, indices):
        return super().read(clip, sorted(indices))


@dataset("noisy-reader", "deterministic")
class NoisyReader(Good):
    count = 0

    def __init__(self, options, root, cache):
        NoisyReader.count += 1
        self.own = NoisyReader.count

    def read(self, clip, indices):
        return super().read(clip, indices) + np.uint8(self.own)


@dataset("pose-short", "pose")
class PoseShort(Good):
    def pose(self, clip):
        return super().pose(clip)[:-1]


@dataset("locked", "pickles")
class Locked(Good):
    def __init__(self, options, root, cache):
        self.lock = threading.Lock()


@dataset("complains", "verify")
class Complains(Good):
    def verify(self, root=None):
        return [Problem("error", "clips/1", "it is broken", "Repair it.")]
