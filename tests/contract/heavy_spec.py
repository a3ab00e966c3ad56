"""A plugin whose spec takes its time."""

import time

from vpbench.api import MethodSpec

SPEC = MethodSpec("heavy", f"{__file__}:make", "imports too much")

_end = time.process_time() + 0.12
while time.process_time() < _end:
    pass


def make(task, params, slots):
    from tests.contract.method_mutants import Roll

    return Roll(task, params, slots)
