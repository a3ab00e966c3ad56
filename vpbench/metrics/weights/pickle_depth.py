"""How deep a pickle nests, from its instructions alone.

Python hashes and compares tuples by recursion without a limit: a tuple in a tuple, 180,000 deep, as
the key of a dict ends the interpreter. So the depth is known before anything is built.
"""

from __future__ import annotations

import io
import pickletools
from typing import Any

_MARK = -1
_FILLED = frozenset({"SETITEM", "SETITEMS", "APPEND", "APPENDS", "ADDITEMS", "BUILD"})
"""Instructions that put things into a container that is there already."""
_PUT = frozenset({"PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"})
_GET = frozenset({"GET", "BINGET", "LONG_BINGET"})


def nests_deeper(data: bytes | io.BytesIO, limit: int) -> bool:
    """Whether a pickle makes anything that nests deeper; reads up to its end.

    Raises:
        ValueError, IndexError, KeyError: it is not a pickle, or takes what is not there.
    """
    stack: list[int] = []
    memo: dict[int, int] = {}
    stream = io.BytesIO(data) if isinstance(data, bytes) else data
    for step, argument, _ in pickletools.genops(stream):
        if step.name in _PUT:
            memo[len(memo) if step.name == "MEMOIZE" else int(argument or 0)] = stack[-1]
        elif step.name in _GET:
            stack.append(memo[int(argument or 0)])
        else:
            depth = _apply(step, stack)
            if depth > limit:
                return True
    return False


def _apply(step: Any, stack: list[int]) -> int:
    """Carry out one instruction on depths instead of values; returns the depth of its result."""
    before, after = step.stack_before, step.stack_after
    taken: list[int] = []
    count = len(before)
    if pickletools.markobject in before or (step.name == "POP" and stack[-1] == _MARK):
        while (value := stack.pop()) != _MARK:
            taken.append(value)
        count = before.index(pickletools.markobject) if pickletools.markobject in before else 0
    for _ in range(count):
        taken.append(stack.pop())
    if not after:
        return 0
    if step.name in _FILLED:
        *items, container = taken
        depth = max(container, 1 + max(items, default=0))
    elif step.name in ("DUP",):
        depth = taken[0]
    else:
        depth = 1 + max(taken) if taken else 0
    stack.extend(_MARK if kind is pickletools.markobject else depth for kind in after)
    return depth
