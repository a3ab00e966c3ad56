"""A method at work in its own process: the instance, and what is recorded of how it predicts."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vpbench.core.code import CodeTable
from vpbench.core.input_files import file_hashes
from vpbench.core.names import parse_name
from vpbench.core.paths import Paths
from vpbench.core.plan import RunPlan
from vpbench.core.records import DiscoveredFile
from vpbench.core.registry import Registry
from vpbench.harness.inputs.opened_files import OpenedFiles
from vpbench.harness.inputs.task_data import TaskData
from vpbench.harness.prediction.inputs import plugin_folders
from vpbench.harness.prediction.loaded import LoadedMethod, load_method
from vpbench.harness.prediction.settings import changes, settings


@dataclass
class RecordedMethod:
    """The `Maker` of `vpbench.harness.prediction.shards`."""

    loaded: LoadedMethod
    device: str
    cache: Path
    files: OpenedFiles
    before: dict[str, Any]
    _changed: list[str] = field(default_factory=list[str])

    @property
    def instance(self) -> Any:
        """What the method's factory made."""
        return self.loaded.instance

    @contextmanager
    def at_work(self) -> Generator[None]:
        """While the method predicts: files that it opens are seen, settings are checked after."""
        with self.files.watching():
            yield
        for name in changes(self.before, settings()):
            if name not in self._changed:
                self._changed.append(name)

    def code(self) -> CodeTable:
        """The code of vpbench and of the plugin that is loaded by now."""
        return self.files.code(self.loaded.run.method.factories, self.cache)

    def opened(self) -> list[DiscoveredFile]:
        """Files that the method has read by now, besides those that are declared."""
        folders = [] if self.loaded.run.method.built_in else plugin_folders(self.loaded.run.method)
        return self.files.files(folders, file_hashes(self.cache))

    def changed_settings(self) -> list[str]:
        """Interpreter-wide settings that the method has changed by now."""
        return sorted(self._changed)


@dataclass(frozen=True)
class ProcessRecord:
    """A worker that is about to import plugins: the files that it opens, and its settings.

    Attributes:
        files: opened for predictions, and while code is loaded.
        loading: opened while code is loaded: trainings depend on these too.
    """

    files: OpenedFiles = field(default_factory=OpenedFiles)
    loading: OpenedFiles = field(default_factory=OpenedFiles)
    before: dict[str, Any] = field(default_factory=settings)

    @contextmanager
    def loading_code(self) -> Generator[None]:
        """While plugins are imported and their parts created: once, for all jobs of the process."""
        with self.files.watching(), self.loading.watching():
            yield


def record_method(
    run: RunPlan,
    task_data: TaskData,
    registry: Registry,
    device: str,
    paths: Paths,
    process: ProcessRecord,
) -> RecordedMethod:
    """Load a run's method, watched from its import on.

    Args:
        process: what is known of this process from before any plugin was imported.
    """
    files = process.files
    files.ignore(accounted_for(run, task_data, paths))
    with process.loading_code():
        loaded = load_method(run, task_data, registry, device)
    made = RecordedMethod(loaded, device, paths.cache, files, process.before)
    with made.at_work():
        pass  # importing may have changed settings already
    return made


def accounted_for(run: RunPlan, task_data: TaskData, paths: Paths) -> Sequence[Path]:
    """Folders whose files are part of the run id already, or are the harness's own."""
    stages = [stage.folder.path for stage in run.stages]
    return [paths.runs, paths.cache, *stages, *dataset_folders(task_data)]


def dataset_folders(task_data: TaskData) -> list[Path]:
    """Where the clips lie: `--root`, and the path of a folder dataset."""
    ref = task_data.ref
    _, colon, path = parse_name(ref.dataset).base.partition(":")
    return [Path(p) for p in (ref.root, path if colon else None) if p]
