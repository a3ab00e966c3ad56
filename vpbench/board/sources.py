"""Where results are given as files: run folders, bundles and entries, alike for every verb."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from vpbench.api.errors import MissingData
from vpbench.board.bundle import ENDING, bundle_runs
from vpbench.board.entry import read_entry
from vpbench.board.rows import named_apart, runs_of_entry
from vpbench.harness.results.finished_runs import FinishedRun, stored_run

_ENTRY = ".json"


def is_source(text: str) -> bool:
    """Whether a word of the command line names a file or folder rather than a method.

    `my-method` is a method, also where a folder is called so; a run folder holds a run.json.
    """
    if text.endswith((ENDING, _ENTRY)):
        return True
    return (Path(text).expanduser() / "run.json").is_file()


@contextmanager
def open_sources(texts: Sequence[str]) -> Generator[list[FinishedRun]]:
    """The runs of run folders, bundles and entries, in their order.

    Where two say something else of the same method and seeds, the later is called after its file.
    Folders of bundles are there until the context ends.

    Raises:
        MissingData: there is no such file.
        Corrupt: a file is not what it should be; says which.
    """
    runs: list[FinishedRun] = []
    names: list[str] = []
    with ExitStack() as stack:
        for text in texts:
            path = Path(text).expanduser()
            own = _runs(path, stack)
            runs += own
            names += [path.name] * len(own)
        yield named_apart(runs, names)


def _runs(path: Path, stack: ExitStack) -> list[FinishedRun]:
    if path.is_dir():
        return [stored_run(path.absolute())]
    if not path.is_file():
        raise MissingData(f"there is no file {path}.")
    if path.name.endswith(_ENTRY):
        return runs_of_entry(read_entry(path))
    folders = stack.enter_context(bundle_runs(path))
    return [replace(stored_run(folder.path), foreign=True) for folder in folders]
