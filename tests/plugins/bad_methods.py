"""Methods that answer with something that is no video."""

import numpy as np

from vpbench.api import MethodSpec

SPEC = MethodSpec("bad", f"{__file__}:make", "bad on demand", params={"how": "float"})


def make(task, params, slots):
    if params["how"] == "import":
        import no_such_package  # noqa: F401
    if params["how"] == "init":
        raise RuntimeError("no")
    return Bad(params["how"])


class Bad:
    def __init__(self, how):
        self.how = how

    def predict(self, given, horizon, seeds):
        shape = (len(given), seeds.shape[1], horizon, *given.frames.shape[2:])
        return {
            "float": lambda: np.zeros(shape, np.float32),
            "nan": lambda: np.full(shape, np.nan, np.float32),
            "shape": lambda: np.zeros(shape[:1] + shape[2:], np.uint8),
            "horizon": lambda: np.zeros((*shape[:2], horizon - 1, *shape[3:]), np.uint8),
            "list": lambda: [1, 2],
            "raise": self.fail,
        }[self.how]()

    def fail(self):
        raise ValueError("on purpose")
