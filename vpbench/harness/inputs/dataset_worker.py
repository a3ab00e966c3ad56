"""The process of one dataset plugin: it opens the dataset and reads clips for other processes.

It hands out what the dataset gives, as it is. Bringing frames to size, hashing and caching is done
by processes that have not loaded the plugin.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from vpbench.api.errors import BadData, MethodFailed
from vpbench.api.optional import (
    Downloads,
    HasInstructions,
    HasPublishedCounts,
    HasReading,
    HasSubsets,
    HasWarnings,
    KeepsIndex,
    MakesTasks,
    Progress,
    ReportsProgress,
)
from vpbench.core.child import Answer, Send, serve
from vpbench.core.dataset_json import clip_info, to_json
from vpbench.core.input_files import file_hashes
from vpbench.core.registry import plugin_registry
from vpbench.harness.inputs.opened_files import OpenedFiles

WORD = "_inputs"
"""Hidden verb of the command line."""


@dataclass
class _Served:
    """The opened dataset, and the files that its code has opened."""

    files: OpenedFiles = field(default_factory=OpenedFiles)
    name: str = ""
    dataset: Any = None
    home: str = ""
    factory: str = ""
    cache: Path = Path()

    def open(self, name: str, value: str, options: Any, root: str | None, cache: str) -> None:
        """Import the plugin and make the dataset."""
        self.name, self.home, self.cache = name, value, Path(cache)
        self.files.ignore([self.cache, *map(Path, filter(None, [root, options.get("path")]))])
        plugins = plugin_registry(value)
        self.factory = plugins.dataset(name).factory
        factory = plugins.factory("dataset", name)
        self.dataset = factory(options, Path(root) if root else None, self.cache)

    def code(self) -> dict[str, Any]:
        """What has decided the answers so far: modules, files opened and folders listed."""
        table = self.files.code([(self.factory, self.home)], self.cache)
        opened = self.files.files([], file_hashes(self.cache))
        listed = self.files.folders_listed()
        return {"modules": table["modules"], "opened": opened, "listed": listed}


def main() -> int:
    """Serve one dataset: the first request opens it."""
    served = _Served()

    def answer(request: dict[str, Any], send: Send) -> Answer:
        what = request.pop("do")
        with served.files.watching():
            if what == "open":
                served.open(**request)
                return {}, b""
            if what == "code":
                return served.code(), b""
            return _CALLS[what](served.dataset, request, _progress(send))

    serve(answer, lambda: f"the dataset {served.name!r}")
    return 0


def _progress(send: Send) -> Progress:
    return lambda done, total: send({"event": "progress", "done": done, "total": total})


# what can be asked: (dataset, request, progress) -> answer -------------------------------------


def _prepare(dataset: Any, request: Mapping[str, Any], progress: Progress) -> Answer:
    own: object = dataset
    if request["fresh"] and isinstance(own, KeepsIndex) and own.keeps_index:
        own.prepare(None, progress, fresh=True)
    elif isinstance(own, ReportsProgress) and own.reports_progress:
        own.prepare(None, progress)
    else:
        dataset.prepare()
    return {}, b""


def _verify(dataset: Any, request: Mapping[str, Any], progress: Progress) -> Answer:
    own: object = dataset
    if isinstance(own, ReportsProgress) and own.reports_progress:
        problems = own.verify(None, progress)
    else:
        problems = dataset.verify()
    return {"problems": [to_json(problem) for problem in problems]}, b""


def _describe(dataset: Any, request: Mapping[str, Any], progress: Progress) -> Answer:
    own: object = dataset
    splits = [str(split) for split in dataset.splits()]
    listed = {split: list(dataset.clips(split)) for split in splits}
    for clips in listed.values():
        for clip in clips[:1]:
            # Code that it loads when it reads counts as well; an error comes when it is needed.
            with contextlib.suppress(Exception):
                dataset.read(clip, [0])
    tasks = [to_json(task) for task in own.tasks()] if isinstance(own, MakesTasks) else None
    subsets: Mapping[str, frozenset[str]] = own.subsets() if isinstance(own, HasSubsets) else {}
    return {
        "splits": splits,
        "clips": {split: [to_json(clip) for clip in clips] for split, clips in listed.items()},
        "class_names": list(dataset.class_names()),
        "joint_names": list(dataset.joint_names()),
        "tasks": tasks,
        "subsets": [[name, sorted(ids)] for name, ids in subsets.items()],
        "warnings": list(own.warnings()) if isinstance(own, HasWarnings) else [],
        "published": dict(own.published()) if isinstance(own, HasPublishedCounts) else {},
        "reading": own.reading if isinstance(own, HasReading) else "",
    }, b""


def _read(dataset: Any, request: Mapping[str, Any], progress: Progress) -> Answer:
    clip = clip_info(request["clip"])
    return _array(dataset.read(clip, request["indices"]), f"the frames of {clip.id!r}")


def _pose(dataset: Any, request: Mapping[str, Any], progress: Progress) -> Answer:
    clip = clip_info(request["clip"])
    pose = dataset.pose(clip)
    return ({"shape": None}, b"") if pose is None else _array(pose, f"the poses of {clip.id!r}")


def _array(value: Any, what: str) -> Answer:
    array = np.ascontiguousarray(value)
    if array.dtype.kind not in "biuf":
        raise BadData(f"{what} are {array.dtype}, not numbers.")
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    return {"shape": list(array.shape), "dtype": little.dtype.str}, little.tobytes()


def _offers(dataset: Any, request: Mapping[str, Any], progress: Progress) -> Answer:
    return {
        "download": isinstance(dataset, Downloads),
        "instructions": isinstance(dataset, HasInstructions),
    }, b""


def _download(dataset: Any, request: Mapping[str, Any], progress: Progress) -> Answer:
    if not isinstance(dataset, Downloads):
        raise MethodFailed("it is not downloaded.")
    return {"folder": str(dataset.download(progress))}, b""


def _instructions(dataset: Any, request: Mapping[str, Any], progress: Progress) -> Answer:
    if not isinstance(dataset, HasInstructions):
        raise MethodFailed("it has no instructions.")
    return {"text": dataset.instructions()}, b""


_CALLS: dict[str, Callable[[Any, Mapping[str, Any], Progress], Answer]] = {
    "prepare": _prepare,
    "verify": _verify,
    "describe": _describe,
    "read": _read,
    "pose": _pose,
    "offers": _offers,
    "download": _download,
    "instructions": _instructions,
}
