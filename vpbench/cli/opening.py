"""Shared set-up of verbs with methods or a dataset: names, plugins, folders, the task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vpbench.api.optional import HasWarnings, KeepsIndex, ReportsProgress
from vpbench.cli import options
from vpbench.cli.progress import Progress
from vpbench.core.names import MethodRef, parse_name, parse_seeds
from vpbench.core.options import RunOptions, Step, TaskRef
from vpbench.core.paths import Paths

if TYPE_CHECKING:
    from vpbench.api.protocols import Dataset


@dataclass(frozen=True)
class Opened:
    """An opened task with all that a command needs besides.

    Attributes:
        plugins: values to register, of methods given as files.
    """

    methods: list[MethodRef]
    plugins: tuple[str, ...]
    registry: Any
    paths: Paths
    task_data: Any


def parse_methods(texts: Sequence[str]) -> tuple[list[MethodRef], tuple[str, ...]]:
    """`./file.py:SPEC[k=v]` and `pkg.mod:SPEC` -> names, and the values to register."""
    from vpbench.api.specs import MethodSpec
    from vpbench.core.loading import load_plugin
    from vpbench.core.surroundings import plugin_output, unchanged_surroundings

    refs: list[MethodRef] = []
    values: list[str] = []
    for text in texts:
        ref = MethodRef.parse(text)
        module = ref.base.partition(":")[0]
        if not module.endswith(".py") and ("." not in module or ":" not in ref.base):
            refs.append(ref)
            continue
        value = ref.base
        if module.endswith(".py"):
            path = Path(module).expanduser().absolute()
            value = f"{path}:{ref.base.partition(':')[2] or 'SPEC'}"
        with unchanged_surroundings(), plugin_output():
            spec = load_plugin(value, ref.base, f"the module {module}")
        if not isinstance(spec, MethodSpec):
            raise click.UsageError(f"{ref.base} is not a MethodSpec.")
        values.append(value)
        refs.append(MethodRef(spec.name, ref.params))
    return refs, tuple(values)


def methods_or_runs(texts: Sequence[str]) -> tuple[list[str], tuple[str, ...]]:
    """Names as `parse_methods` gives them, and the values to register.

    Run folders, bundles and entries stay as they are.
    """
    from vpbench.board.sources import is_source

    refs, values = parse_methods([text for text in texts if not is_source(text)])
    names = map(str, refs)
    return [text if is_source(text) else next(names) for text in texts], values


def recorded_files(texts: Sequence[str], runs: Path) -> tuple[str, ...]:
    """The single files of methods that are not installed, as their finished runs record them.

    Args:
        texts: names of methods and run folders; () for all finished runs.
    """
    from vpbench.core.command_names import recorded_file
    from vpbench.core.registry import registry
    from vpbench.core.run_folders import finished
    from vpbench.core.rundir import RunDir

    bases = {parse_name(text).base for text in texts}
    folders = [f for f, inputs in finished(runs) if not bases or _base(inputs["method"]) in bases]
    given = [RunDir(Path(text).expanduser().absolute()) for text in texts]
    folders += [folder for folder in given if folder.manifest.is_file()]
    installed = registry().names("method")
    values = [
        recorded_file(folder)
        for folder in folders
        if _base(folder.read_record()["inputs"]["method"]) not in installed
    ]
    return tuple(dict.fromkeys(filter(None, values)))


def _base(method: str) -> str:
    return parse_name(method).base


def local_dataset(text: str) -> tuple[str, tuple[str, ...]]:
    """`./file.py:SPEC[k=v]` -> its name with the options, and the value to register.

    Others stay as they are. The file is read as the registry reads any dataset of a plugin.

    Raises:
        UsageError: the file holds no usable dataset.
    """
    from vpbench.api.errors import UsageError
    from vpbench.core.registry import registry

    if not text or not parse_name(text).base.partition(":")[0].endswith(".py"):
        return text, ()
    named = parse_name(text)
    module, _, attribute = named.base.partition(":")
    path = Path(module).expanduser().absolute()
    value = f"{path}:{attribute or 'SPEC'}"
    for entry in registry((value,)).of("dataset"):
        if entry.ref.value == value:
            if entry.status != "ok":
                raise UsageError(f"{named.base} cannot be used: {entry.reason}.")
            return str(replace(named, base=entry.name)), (value,)
    raise UsageError(f"{named.base} is not a DatasetSpec.")


def task_ref(
    dataset: str,
    task_name: str | None = None,
    root: str | None = None,
    limit: int | None = None,
    train_on: str = "train",
) -> TaskRef:
    """The task that the options of a command mean, with paths made absolute."""
    from vpbench.harness.inputs.task_data import absolute

    local = bool(dataset) and parse_name(dataset).base.partition(":")[0].endswith(".py")
    return TaskRef(
        dataset=absolute(dataset) if dataset and not local else dataset,
        task=task_name,
        root=str(Path(root).expanduser().absolute()) if root else None,
        limit=limit,
        train_on=train_on,
    )


def open_task(
    methods: Sequence[str],
    ref: TaskRef,
    runs: str | None,
    offline: bool,
    *,
    prepare: bool = False,
    recompute: bool = False,
) -> Opened:
    """Open everything.

    Args:
        prepare: make the dataset ready first, with a bar.
        recompute: hash its clips again.
    """
    from vpbench.core.registry import registry
    from vpbench.harness.inputs.task_data import open_dataset, open_task_data

    refs, values = parse_methods(methods)
    dataset_name, own = local_dataset(ref.dataset)
    ref, values = replace(ref, dataset=dataset_name), (*values, *own)
    plugins = registry(values)
    for method in refs:
        plugins.find("method", method.base)
    paths = options.folders(runs, offline)
    if prepare:
        with Progress(f"preparing {ref.dataset}") as progress:
            dataset = open_dataset(ref.dataset, plugins, paths, ref.root)[0]
            prepare_dataset(dataset, progress, fresh=recompute)
    return Opened(refs, values, plugins, paths, open_task_data(ref, plugins, paths))


def run_options(
    until: Step,
    plugins: tuple[str, ...],
    metrics: str | None,
    references: bool,
    *,
    seeds: str,
    fit_seeds: str,
    samples: int,
    preset: str | None,
    checkpoint: str | None,
    refit: bool,
    workers: int | None,
    threads: int | None,
    device: str,
    executor: str,
    again: bool = False,
    recompute: bool = False,
    **_: Any,
) -> RunOptions:
    """The options of run, fit, predict and plan as `RunOptions`."""
    names = options.split_names(metrics)
    return RunOptions(
        preset=preset,
        seeds=parse_seeds(seeds),
        fit_seeds=parse_seeds(fit_seeds),
        samples=samples,
        references=references,
        checkpoint=Path(checkpoint).absolute() if checkpoint else None,
        refit=refit,
        again=again,
        until=until,
        metrics=None if names is None else tuple(names),
        workers=workers,
        threads=threads,
        device=device,
        plugins=plugins,
        recompute=recompute,
        executor=executor,
    )


def prepare_dataset(dataset: Dataset, progress: Progress, *, fresh: bool = False) -> None:
    """Convert or render the dataset once, with a bar, and pass its warnings on.

    Args:
        fresh: hash and decode all clips again, where the dataset keeps an index of them.
    """
    report = progress.of(dataset.spec.name, "prepare")
    if fresh and (index := keeps_index(dataset)) is not None:
        index.prepare(None, report, fresh=True)
    elif (reporting := reports_progress(dataset)) is not None:
        reporting.prepare(None, report)
    else:
        dataset.prepare()
    if isinstance(dataset, HasWarnings):
        for line in dataset.warnings():
            click.echo(f"warning: {line}", err=True)


def keeps_index(dataset: object) -> KeepsIndex | None:
    """The dataset, where it remembers hashes of its files."""
    return dataset if isinstance(dataset, KeepsIndex) and dataset.keeps_index else None


def reports_progress(dataset: object) -> ReportsProgress | None:
    """The dataset, where `prepare` and `verify` report progress."""
    if isinstance(dataset, ReportsProgress) and dataset.reports_progress:
        return dataset
    return None
