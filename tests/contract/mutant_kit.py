"""How mutants are registered, and what the good methods among them do."""

import numpy as np

from vpbench.api import Capabilities as C
from vpbench.api import MethodSpec


def registering(home, mutants):
    """A decorator that makes a class of a module a method that one check catches.

    Args:
        home: the globals of the module, which receive the spec.
        mutants: receives name -> check.
    """

    def method(name, catches, capabilities=None, **more):
        def add(cls):
            factory = more.pop("factory", f"{home['__file__']}:{cls.__name__}")
            home[f"SPEC_{name}"] = MethodSpec(
                name,
                factory,
                more.pop("summary", "a mutant"),
                capabilities=capabilities or C(),
                **more,
            )
            mutants[name] = catches
            return cls

        return add

    return method


def rolled(given, horizon, seeds, shift):
    """uint8 [B,S,T,H,W,3]: the last frame, moved on by `shift(b, seed)` pixels a frame."""
    out = [
        [
            np.stack([np.roll(last, (t + 1) * shift(b, int(s)), 1) for t in range(horizon)])
            for s in row
        ]
        for b, (last, row) in enumerate(zip(given.frames[:, -1], seeds, strict=True))
    ]
    return np.array(out, np.uint8)
