"""Asks the process of a dataset plugin; see `vpbench.harness.inputs.dataset_worker`."""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vpbench.api.optional import Progress
from vpbench.api.specs import DatasetSpec
from vpbench.api.types import ClipInfo, Frames, Pose, Problem
from vpbench.core.child import Child
from vpbench.core.dataset_json import problem, to_json
from vpbench.harness.inputs.dataset_worker import WORD


@dataclass(frozen=True)
class DatasetSource:
    """What a plugin's dataset is made from, wherever that is done.

    Attributes:
        spec: its spec, read without importing it.
        value: where the spec stands, as `PluginRef.value`.
        options: as typed in brackets, and `path` for NAME:PATH.
        root: the folder in force, or None.
        cache: the user's cache.
    """

    spec: DatasetSpec
    value: str
    options: Mapping[str, str]
    root: Path | None
    cache: Path

    @property
    def folders(self) -> list[Path]:
        """Folders that hold its files, as far as is known without opening it."""
        path = self.options.get("path")
        return [*([self.root] if self.root else []), *([Path(path)] if path else [])]


class DatasetReader:
    """Reads a plugin's dataset in a process of its own, started at the first request.

    The process ends with this object, or with this process.
    """

    def __init__(self, source: DatasetSource) -> None:
        self.source = source
        self._child: Child | None = None

    def ask(self, what: str, report: Progress | None = None, **fields: Any) -> dict[str, Any]:
        """The answer to a request of `dataset_worker`.

        Raises:
            VpbenchError: what the dataset raised.
            MethodFailed: it raised something that is not vpbench's, or ended its process.
        """
        return self._ask(what, report, fields)[0]

    def read(self, clip: ClipInfo, indices: Sequence[int]) -> Frames:
        """What `Dataset.read` gives."""
        fields = {"clip": to_json(clip), "indices": [int(i) for i in indices]}
        array = _array(*self._ask("read", None, fields))
        assert array is not None  # frames always are an array
        return array

    def pose(self, clip: ClipInfo) -> Pose | None:
        """What `Dataset.pose` gives."""
        return _array(*self._ask("pose", None, {"clip": to_json(clip)}))

    def verify(self, report: Progress) -> list[Problem]:
        """What `Dataset.verify` gives."""
        return [problem(row) for row in self.ask("verify", report)["problems"]]

    def close(self) -> None:
        """End the process."""
        if self._child is not None:
            self._child.close()
            self._child = None

    def _ask(
        self, what: str, report: Progress | None, fields: Mapping[str, Any]
    ) -> tuple[dict[str, Any], bytes]:
        if self._child is None:
            self._child = self._open()

        def heard(event: Mapping[str, Any]) -> None:
            if report is not None and event["event"] == "progress":
                report(event["done"], event["total"])

        return self._child.ask({"do": what, **fields}, heard)

    def _open(self) -> Child:
        source = self.source
        child = Child(WORD, f"the dataset {source.spec.name!r}")
        weakref.finalize(self, child.close)
        child.ask(
            {
                "do": "open",
                "name": source.spec.name,
                "value": source.value,
                "options": dict(source.options),
                "root": None if source.root is None else str(source.root),
                "cache": str(source.cache),
            }
        )
        return child

    def __getstate__(self) -> dict[str, Any]:
        return {"source": self.source, "_child": None}


def _array(answer: Mapping[str, Any], data: bytes) -> Any:
    if answer["shape"] is None:
        return None
    array = np.frombuffer(bytearray(data), np.dtype(answer["dtype"]))
    return array.reshape(answer["shape"])
