"""What is known of a plugin's dataset, as JSON: it comes from a process that has loaded the plugin.

The types are rebuilt from plain values, so that nothing from the plugin comes along.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any, TypeVar, cast

from vpbench.api.specs import DatasetSpec, TaskSpec
from vpbench.api.windows import WindowRule
from vpbench.core.hashing import plain

if TYPE_CHECKING:
    from vpbench.api.types import ClipInfo, Problem

T = TypeVar("T", "DatasetSpec", "TaskSpec", "ClipInfo", "Problem")


def to_json(value: T) -> dict[str, Any]:
    """The fields that vpbench knows of a spec, a task, a clip or a problem.

    Raises:
        TypeError, ValueError: a field holds something that is not a plain value.
    """
    return cast("dict[str, Any]", plain(asdict(value)))


def dataset_spec(stored: Mapping[str, Any]) -> DatasetSpec:
    """The spec of a dataset.

    Raises:
        TypeError, ValueError, KeyError: these are not its fields.
    """
    known = _known(DatasetSpec, stored)
    known["tasks"] = tuple(task_spec(task) for task in stored["tasks"])
    known["roots"] = tuple(stored["roots"])
    return DatasetSpec(**known)


def task_spec(stored: Mapping[str, Any]) -> TaskSpec:
    """One task of a dataset.

    Raises:
        TypeError, ValueError, KeyError: these are not its fields.
    """
    known = _known(TaskSpec, stored)
    known["window"] = WindowRule(**stored["window"])
    return TaskSpec(**known)


def clip_info(stored: Mapping[str, Any]) -> ClipInfo:
    """One clip."""
    from vpbench.api.types import ClipInfo  # numpy: whoever lists plugins does without

    return ClipInfo(**_known(ClipInfo, stored))


def problem(stored: Mapping[str, Any]) -> Problem:
    """One problem that a dataset's `verify` has found."""
    from vpbench.api.types import Problem

    return Problem(**_known(Problem, stored))


def _known(kind: type[T], stored: Mapping[str, Any]) -> dict[str, Any]:
    names = {field.name for field in fields(kind)}
    return {name: value for name, value in stored.items() if name in names}
