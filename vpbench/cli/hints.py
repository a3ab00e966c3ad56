"""Commands that a command suggests: they mean the same task, folders and methods."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from typing import Any

_OPTIONS = {
    "dataset": ("--dataset", "puppets"),
    "task_name": ("--task", None),
    "root": ("--root", None),
    "limit": ("--limit", None),
    "train_on": ("--train-on", "train"),
    "preset": ("--preset", None),
    "seeds": ("--seeds", "0"),
    "fit_seeds": ("--fit-seeds", "0"),
    "samples": ("--samples", 1),
    "checkpoint": ("--checkpoint", None),
    "runs": ("--runs", None),
}
"""Field of a command -> the option, and the value that need not be repeated."""

_OF_VERB = {
    "compare": ("dataset", "task_name", "root", "preset", "runs"),
    "score": ("dataset", "task_name", "root", "runs"),
}
"""What a verb takes; others take everything."""


def next_command(verb: str, methods: Iterable[object], fields: Mapping[str, Any]) -> str:
    """A command for the same methods and task.

    Args:
        fields: what the present command was given, by the names of its parameters.
    """
    words = ["vpbench", verb, *map(str, methods)]
    for name in _OF_VERB.get(verb, _OPTIONS):
        option, usual = _OPTIONS[name]
        value = fields.get(name)
        if value is not None and value != usual:
            words += [option, str(value)]
    return shlex.join(words)
