"""What the state of an unfinished training stands on, stored beside it.

A training resumes only from a state that the same clips, earlier stages, parameters, code and files
have made. A state of anything else is set aside, and the training starts again.
"""

from __future__ import annotations

import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

from vpbench.api.errors import Corrupt
from vpbench.core import schema
from vpbench.core.checkpoints import StagePlan, content
from vpbench.core.code import (
    CodeTable,
    changed_modules,
    describe_change,
    digest_cache,
    factory_modules,
)
from vpbench.core.files import Guard
from vpbench.core.hashing import digest
from vpbench.core.input_files import changed_inputs, file_hashes, file_names
from vpbench.core.methods import counted_params
from vpbench.core.progress import Report
from vpbench.core.records import DiscoveredFile
from vpbench.core.run_folders import retire_parts
from vpbench.core.rundir import StageDir, read_sealed, write_sealed
from vpbench.core.stages import StageNode
from vpbench.core.tasks import Task
from vpbench.harness.inputs.opened_files import OpenedFiles, data_beside

NATIVE_WEIGHTS = (".safetensors", ".h5", ".hdf5", ".onnx", ".gguf")
"""Weights that readers open past Python: beside a plugin, they count for its trainings unopened.

Other files there do not: a table or a picture that a user keeps beside a plugin must not cost hours
of training.
"""


@dataclass(frozen=True)
class StageFiles:
    """The files that a stage's code opens.

    Attributes:
        loading: sees those that are opened while code is loaded, for all jobs of this process.
        others: see the same for other jobs.
        folders: of the plugin.
        ignored: folders whose files are accounted for otherwise: runs, cache, clips.
        fitting: sees those that are opened while the stage is made.
    """

    loading: OpenedFiles
    others: OpenedFiles
    folders: Sequence[Path]
    ignored: Sequence[Path]
    fitting: OpenedFiles = field(default_factory=OpenedFiles)

    def __post_init__(self) -> None:
        for files in (self.loading, self.others, self.fitting):
            files.ignore(self.ignored)

    @contextmanager
    def loading_code(self) -> Generator[None]:
        """While parts are created and earlier stages loaded."""
        with self.loading.watching(), self.others.watching():
            yield

    @property
    def count(self) -> int:
        """How many files were opened so far."""
        return self.loading.count + self.fitting.count

    def read(self, cache: Path) -> list[DiscoveredFile]:
        """What was read so far, and weights beside the plugin, with their hashes."""
        hashes = file_hashes(cache)
        beside = data_beside(self.folders, hashes, self.ignored)
        rows = {f["path"]: f for f in beside if Path(f["path"]).suffix in NATIVE_WEIGHTS}
        for files in (self.loading, self.fitting):
            rows |= {f["path"]: f for f in files.files(self.folders, hashes)}
        return [rows[path] for path in sorted(rows)]


@dataclass
class Begun:
    """The record of a training that has begun: begun.json in the folder of its stage.

    Attributes:
        before: all stages that this one needs; they are complete.
    """

    node: StageNode
    folder: StageDir
    task: Task
    before: Sequence[StagePlan]
    files: StageFiles
    cache: Path
    report: Report
    guard: Guard
    _inputs: dict[str, DiscoveredFile] = field(default_factory=dict[str, DiscoveredFile])
    _seen: tuple[int, int] | None = None

    @contextmanager
    def at_work(self) -> Generator[None]:
        """While the stage is made: a state that may not be used is set aside before."""
        self._take_over()
        self.store()
        with self.files.fitting.watching():
            yield

    def store(self) -> None:
        """Record the code and the files that a state stands on which is stored now.

        The first hash of a file is kept: one that changes later was another when it was read.
        """
        seen = (len(sys.modules), self.files.count)
        if seen == self._seen:
            return
        known = self._inputs
        new = (f for f in self.files.read(self.cache) if f["path"] not in known)
        known.update({f["path"]: f for f in new})
        code = self.files.loading.code(self.node.method.factories, self.cache)
        fields = {"schema": schema.BEGUN, "key": self.node.key, **self._fixed()}
        write_sealed(self.path, {**fields, "inputs": self.inputs(), "code": code}, self.guard)
        self._seen = seen

    def before_write(self) -> None:
        """Called before a part of the state is written: records what it stands on."""
        self.store()
        self.guard()

    @property
    def path(self) -> Path:
        """Where the record lies while the training is unfinished."""
        return self.folder.path / "begun.json"

    def inputs(self) -> list[DiscoveredFile]:
        """Files that the stage has read in all its processes, and weights beside the plugin."""
        return [self._inputs[path] for path in sorted(self._inputs)]

    def _fixed(self) -> dict[str, Any]:
        """What is known before the stage is made."""
        items = [(split, i) for split in ("train", "val") for i in self.task.items[split]]
        clips = [
            [s, i.id, i.clip.sha256, i.clip.label, i.clip.frames, i.given, i.targets, i.cluster]
            for s, i in items
        ]
        return {
            "clips": digest(sorted(clips, key=lambda row: (row[0], row[1]))),
            "poses": digest(sorted([s, i.id, i.clip.pose_sha256 or ""] for s, i in items)),
            "names": digest(asdict(self.task.training_info)),
            "parents": {s.node.folder: content(s.folder) for s in self.before},
            "params": _params(self.node),
        }

    def _take_over(self) -> None:
        """Go on from the state that is there, or set it aside."""
        state = _state(self.folder)
        if not any((self.folder.path / name).exists() for name in state):
            return
        try:
            record = read_sealed(self.path, schema.BEGUN)
        except FileNotFoundError:
            why = (
                "by an earlier vpbench, which did not record the clips, code and files that its "
                "state stands on"
            )
        except Corrupt:
            why = f"and {self.path.name}, which says what its state stands on, is damaged"
        else:
            differences = self._differences(record)
            if not differences:
                self._inputs = {f["path"]: f for f in record["inputs"]}
                return
            why = f"and {', '.join(differences)} since"
        self.guard()
        kept = retire_parts(self.folder.path, (*state, "train.jsonl", "pictures", self.path.name))
        text = f"{self.node.label} was left unfinished {why}: it starts again from step 0"
        self.report({"event": "note", "text": f"{text}; the earlier state is kept in {kept}"})

    def _differences(self, record: Mapping[str, Any]) -> list[str]:
        """What a state stands on that is not here, one phrase each."""
        now = self._fixed()
        names = {
            "clips": "its training clips changed",
            "poses": "the joints of its training clips changed",
            "names": "the names of classes or joints changed",
        }
        found = [text for name, text in names.items() if record[name] != now[name]]
        for name, verb in (("parents", " was made again"), ("params", " changed")):
            was, here = record[name], now[name]
            keys = sorted(k for k in {*was, *here} if was.get(k) != here.get(k))
            keys = [k.rpartition("-")[0] if name == "parents" else k for k in keys]
            found += [f"{', '.join(keys)}{verb}"] if keys else []
        table = cast("CodeTable", record["code"])
        needed = factory_modules(self.node.method.factories)
        modules = changed_modules(table, digest_cache(self.cache))
        modules += [name for name in needed if name not in table["modules"]]
        found += [describe_change(modules)] if modules else []
        files = changed_inputs(record["inputs"], file_hashes(self.cache))
        return [*found, f"{file_names(files)} changed"] if files else found


def _state(folder: StageDir) -> tuple[str, ...]:
    """What a later process would go on from: a state, scratch, and keypoints stored so far."""
    return (folder.resume.name, "scratch", folder.checkpoint.name)


def _params(node: StageNode) -> dict[str, Any]:
    """Parameters that a method's `fit` can see, whether or not the stage's key holds them."""
    if node.mode != "method":
        return {}
    method = node.method
    params = method.own_params(node.trains) if node.trains else method.params
    return counted_params(method.spec, params)
