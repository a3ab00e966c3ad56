"""A method that takes its time, or dies on demand."""

import os
import signal
import time

import numpy as np

from vpbench.api import Capabilities, MethodSpec

SPEC = MethodSpec(
    "slow",
    ":Slow",
    "slow noise",
    capabilities=Capabilities(stochastic=True),
    params={"pause": 0.0, "crash": ""},
)


class Slow:
    def __init__(self, task, params, slots):
        self.params = params

    def predict(self, given, horizon, seeds):
        self.crash()
        time.sleep(self.params["pause"])
        if os.environ.get("SLOW_LOG"):
            with open(os.environ["SLOW_LOG"], "a") as log:
                log.write(f"{os.getpid()}\n")
        h, w, c = given.frames.shape[2:]
        out = [
            [np.random.default_rng(s).integers(0, 256, (horizon, h, w, c), np.uint8) for s in row]
            for row in seeds
        ]
        return np.array(out)

    def crash(self):
        how = self.params["crash"]
        if how == "segfault":
            os.kill(os.getpid(), signal.SIGSEGV)
        if how == "raise":
            raise RuntimeError("on purpose")
        if how == "exit":
            os._exit(3)
