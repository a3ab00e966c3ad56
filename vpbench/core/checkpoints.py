"""Where the trained state of each stage comes from: fitted here, bundled, downloaded, given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

from vpbench.api.errors import MissingData, UsageError
from vpbench.api.specs import Checkpoint
from vpbench.core.hashing import digest
from vpbench.core.input_files import changed_inputs, file_hashes, file_names
from vpbench.core.methods import ResolvedMethod
from vpbench.core.records import DiscoveredFile, Names
from vpbench.core.rundir import StageDir, read_object
from vpbench.core.stages import StageNode


@dataclass(frozen=True)
class StagePlan:
    """A stage and where its trained state comes from.

    Attributes:
        origin: "fitted" (there already), "bundled" in the plugin, "downloaded" (from the URL
            that the plugin pins; fetched before jobs start), "given" (`--checkpoint`), "to fit",
            or "not needed" (nothing that is to be fitted or loaded depends on it).
        folder: the stage folder, there already or to be made.
        checkpoint: as the plugin declares it, for "bundled" and "downloaded".
        stale: why one of its key that is there may not be used, as "weights.npy changed": it was
            fitted on other clips, under other names of classes or joints, on other earlier stages
            or files, and is set aside when the stage is fitted; "" otherwise.
    """

    node: StageNode
    origin: str
    folder: StageDir
    checkpoint: Checkpoint | None = None
    stale: str = ""

    @property
    def needed(self) -> bool:
        """Whether the run depends on it."""
        return self.origin != "not needed"


@dataclass(frozen=True)
class CheckpointSources:
    """Where to look for trained stages.

    Attributes:
        own: RUNS/<task>/stages.
        cache: the cache folder; None ignores checkpoints with a URL, and hashes files anew.
        given: label -> stage folder, of `--checkpoint`.
        refit: everything is to be fitted, whatever exists.
        data: hash of the training clips; "" skips that check.
        labels: hash of their labels; "" skips that check.
        names: of classes and joints; None skips that check.
    """

    own: Path
    cache: Path | None = None
    given: Mapping[str, Path] = field(default_factory=dict[str, Path])
    refit: bool = False
    data: str = ""
    labels: str = ""
    names: Names | None = None


def plan_stages(
    nodes: Sequence[StageNode], method: ResolvedMethod, sources: CheckpointSources
) -> tuple[StagePlan, ...]:
    """Where each stage comes from, and which ones are not needed at all.

    Args:
        nodes: in an order in which they can be made.
        method: the one that is to predict.
    """
    planned: dict[str, StagePlan] = {}
    for node in nodes:
        planned[node.key] = _stage(node, planned, sources)
    needed = _needed(planned, method)
    return tuple(
        stage if stage.origin != "to fit" or key in needed else replace(stage, origin="not needed")
        for key, stage in planned.items()
    )


def loads(node: StageNode, method: ResolvedMethod) -> bool:
    """Whether a method that predicts loads what a stage has learned."""
    if node.mode == "labels":
        return False
    if node.mode == "component":
        return filled_slot(node, method) is not None
    if node.method.name == method.name:
        return True
    return any(part.spec.trained_by == node.label for part in method.slots.values())


def filled_slot(node: StageNode, method: ResolvedMethod) -> str | None:
    """The slot with the component that a stage of its own has trained; None if it has another.

    The graph also holds the trainings of what foreign components were trained beside.
    """
    slot = node.trains[0]
    part, trained = method.slots.get(slot), node.method.slots[slot]
    return slot if part is not None and part.identity() == trained.identity() else None


def _needed(planned: Mapping[str, StagePlan], method: ResolvedMethod) -> set[str]:
    """Keys of what is loaded, and of all that comes before a stage that is to be fitted."""
    needed = {key for key, stage in planned.items() if loads(stage.node, method)}
    todo = [key for key in needed if planned[key].origin == "to fit"]
    while todo:
        before = planned[todo.pop()].node.needs
        needed.update(before)
        todo += before
    return needed


def _stage(
    node: StageNode, planned: Mapping[str, StagePlan], sources: CheckpointSources
) -> StagePlan:
    own = StageDir(sources.own / node.folder)
    if node.label in sources.given:
        return StagePlan(node, "given", StageDir(sources.given[node.label]))
    if sources.refit:
        return StagePlan(node, "to fit", own)
    if own.complete():
        stale = _outdated(own, node, planned, sources)
        return StagePlan(node, "to fit" if stale else "fitted", own, stale=stale)
    for checkpoint in node.method.spec.checkpoints:
        if checkpoint.stage == node.stage and checkpoint.key == node.key:
            published = _published(checkpoint, node, sources.cache)
            if published is not None and _fits(published, planned, sources.names):
                return published
    return StagePlan(node, "to fit", own)


def _outdated(
    own: StageDir,
    node: StageNode,
    planned: Mapping[str, StagePlan],
    sources: CheckpointSources,
) -> str:
    """Why a stage was fitted on other clips, earlier stages or files than those that are here.

    Records of earlier versions say nothing of labels, names and files.
    """
    record = own.content()
    if sources.data and record.get("data", sources.data) != sources.data:
        return "its training clips changed"
    if sources.labels and record.get("labels", sources.labels) != sources.labels:
        return "the labels of its training clips changed"
    if not _same_names(record, sources.names):
        return "the names of classes or joints changed"
    parents = record.get("parents", {})
    for earlier in fitted_ancestors(node, planned):
        if earlier.folder.complete() and earlier.node.key in parents:
            if earlier.stale:
                return f"{earlier.node.label} is trained again"
            if parents[earlier.node.key] != content(earlier.folder):
                return f"{earlier.node.label} was trained again"
    read = cast("Sequence[DiscoveredFile]", record.get("inputs", []))
    files = changed_inputs(read, file_hashes(sources.cache))
    return f"{file_names(files)} changed" if files else ""


def _published(checkpoint: Checkpoint, node: StageNode, cache: Path | None) -> StagePlan | None:
    """A checkpoint of the plugin; one with a URL may still have to be fetched."""
    if checkpoint.source.startswith("https://"):
        if cache is None:
            return None
        folder = StageDir(cache / "checkpoints" / checkpoint.sha256)
        return StagePlan(node, "downloaded", folder, checkpoint)
    home = plugin_folder(node.method.spec.factory, node.method.home)
    if home is None or not (home / checkpoint.source / "stage.json").is_file():
        return None
    return StagePlan(node, "bundled", StageDir(home / checkpoint.source, shipped=True), checkpoint)


def _same_names(record: Mapping[str, object], names: Names | None) -> bool:
    """Whether a stage was told these names of classes and joints, as far as its record says."""
    return names is None or record.get("names", names) == names


def _fits(stage: StagePlan, planned: Mapping[str, StagePlan], names: Names | None) -> bool:
    """Whether the names and the stages before it are those that it was trained on, by content."""
    if stage.folder.complete() and not _same_names(stage.folder.content(), names):
        return False
    before = fitted_ancestors(stage.node, planned)
    if not before:
        return True
    if not stage.folder.complete():  # not fetched yet: all of one author's checkpoints, or none
        return all(s.origin in ("bundled", "downloaded") for s in before)
    parents = cast("dict[str, str]", stage.folder.content().get("parents", {}))
    return all(
        s.origin == "downloaded"
        if not s.folder.complete()
        else parents.get(s.node.key) == content(s.folder)
        for s in before
    )


def fitted_ancestors(node: StageNode, planned: Mapping[str, StagePlan]) -> list[StagePlan]:
    """All trained stages before one, labels left out, in the order of `planned`."""
    needed: set[str] = set()
    todo = list(node.needs)
    while todo:
        key = todo.pop()
        if key not in needed:
            needed.add(key)
            todo += planned[key].node.needs
    return [s for key, s in planned.items() if key in needed and s.node.mode != "labels"]


def content(folder: StageDir) -> str:
    """Hash of what a finished stage has learned."""
    return digest(folder.content().get("files"))


def plugin_folder(factory: str, home: str) -> Path | None:
    """The folder of a plugin's top package, or of its single file."""
    from importlib.util import find_spec

    module = factory.partition(":")[0] or home.partition(":")[0]
    if module.endswith(".py"):
        beside = Path(home.partition(":")[0])
        path = beside if beside.name == module else Path(module).expanduser().absolute()
        return path.parent
    spec = find_spec(module.partition(".")[0]) if module else None
    return Path(spec.origin).parent if spec is not None and spec.origin else None


def find_given(path: Path) -> dict[str, Path]:
    """Stages in a `--checkpoint` folder: a stage folder, or a folder of them.

    Raises:
        MissingData: there is none.
        UsageError: two folders hold the same stage.
        Corrupt: a stage.json is not a record.
    """
    direct = path / "stage.json"
    records = [direct] if direct.is_file() else sorted(path.glob("*/stage.json"))
    folders: dict[str, Path] = {}
    for record in records:
        value = read_object(record)
        label = f"{value.get('owner')}:{value.get('stage')}"
        if label in folders:
            raise UsageError(
                f"{folders[label]} and {record.parent} both hold the stage {label}.",
                fix="Name one of them.",
            )
        folders[label] = record.parent
    if not folders:
        raise MissingData(
            f"{path} contains no trained stage.",
            fix="Name a folder with a stage.json, or one that holds such folders.",
        )
    return folders
