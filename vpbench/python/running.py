"""Whole benchmarks, and tables of what is finished."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import click

from vpbench.api.errors import MethodFailed, MissingData, UsageError
from vpbench.core.schema import RunJson
from vpbench.python import process
from vpbench.python.results import Runs, Table

Seeds = int | Sequence[int] | str
"""A seed, several, or text such as "0-2"."""


def run(
    methods: str | Sequence[str],
    dataset: str = "puppets",
    *,
    task: str | None = None,
    root: str | os.PathLike[str] | None = None,
    metrics: Sequence[str] | None = None,
    preset: str | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    seeds: Seeds = 0,
    fit_seeds: Seeds = 0,
    samples: int = 1,
    references: bool = True,
    fit: bool = False,
    again: bool = False,
    limit: int | None = None,
    train_on: str = "train",
    workers: int | None = None,
    threads: int | None = None,
    device: str = "auto",
    executor: str = "local",
    runs: str | os.PathLike[str] | None = None,
    offline: bool = False,
    check: bool = True,
    progress: bool = True,
) -> Runs:
    """Fit if needed, predict the test clips and score, as `vpbench run` does.

    Finished runs are skipped, interrupted ones resume.

        >>> import vpbench
        >>> results = vpbench.run(["my-method", "copy-last"], "puppets")  # doctest: +SKIP
        >>> print(results["my-method"]["fvd"])  # doctest: +SKIP
        988 ± 96 (n = 90, corrected 715)
        >>> results.table  # doctest: +SKIP

    Args:
        methods: one name or several, as on the command line.
        runs: folder of the results; None is ./runs, or VPBENCH_RUNS.
        check: raise where a method fails or cannot do the task; else its entry says so.
        progress: show bars.

    All others are the options of `vpbench run`; see its --help.

    Raises:
        MethodFailed: a method failed or was refused, with the reason; others are finished.
        UnknownName: no such method, dataset, preset or metric.
        MissingData, BadData: the dataset's files are missing or invalid.
    """
    names = [methods] if isinstance(methods, str) else list(methods)
    folder = None if runs is None else os.fspath(runs)
    answer = process.ask(
        {
            "do": "run",
            "methods": names,
            "fields": {
                "dataset": dataset,
                "task_name": task,
                "root": None if root is None else os.fspath(root),
                "limit": limit,
                "train_on": train_on,
                "metrics": None if metrics is None else ",".join(metrics),
                "references": references,
                "seeds": _seeds(seeds),
                "fit_seeds": _seeds(fit_seeds),
                "samples": samples,
                "preset": preset,
                "checkpoint": None if checkpoint is None else os.fspath(checkpoint),
                "refit": fit,
                "again": again,
                "recompute": False,
                "workers": workers,
                "threads": threads,
                "device": device,
                "executor": executor,
                "runs": folder,
                "offline": offline,
            },
        },
        progress=progress,
    )
    bad = [r for r in answer["runs"] if r["status"] != "ok" and r["kind"] in ("method", "oracle")]
    if check and bad:
        raise MethodFailed("; ".join(_sentence(r) for r in bad))
    return Runs(answer["runs"], names, folder, preset, limit)


def _sentence(entry: RunJson) -> str:
    reason = str(entry["reason"])
    named = reason.startswith(entry["method"])
    return reason if named else f"{entry['method']} {entry['status']}: {reason}"


def _seeds(seeds: Seeds) -> str:
    if isinstance(seeds, str):
        return seeds
    return ",".join(map(str, [seeds] if isinstance(seeds, int) else seeds))


def compare(
    methods: str | Sequence[str],
    dataset: str | None = None,
    *,
    task: str | None = None,
    metrics: Sequence[str] | None = None,
    preset: str | None = None,
    vs: str | None = None,
    references: bool = True,
    subsets: Sequence[str] | None = None,
    limit: int | None = None,
    runs: str | os.PathLike[str] | None = None,
) -> Table:
    """The scores of finished runs side by side, as `vpbench compare` does; computes nothing.

        >>> import vpbench
        >>> table = vpbench.compare(["my-method", "li"])  # doctest: +SKIP
        >>> print(table.to_latex())  # doctest: +SKIP

    Args:
        methods: one name or several, as on the command line.
        dataset, task: show only these; None is all that have a run of any of the methods.
        metrics, preset, subsets: as the options of `vpbench compare`.
        vs: a row that all others are paired with; see `Table.differences`.
        references: show reference rows.
        limit: runs over so many test clips go before others.
        runs: folder of the results; None is ./runs, or VPBENCH_RUNS.

    Raises:
        MissingData: no method has a finished run.
        UnknownName: a method that is not installed and has no run.
        HashMismatch: a stored file is not what was written.
    """
    from vpbench.cli.opening import parse_methods
    from vpbench.core.options import RunOptions, TaskRef
    from vpbench.core.paths import user_paths
    from vpbench.core.registry import registry
    from vpbench.harness.results import compare as harness

    names = [methods] if isinstance(methods, str) else list(methods)
    try:
        refs, plugins = parse_methods(names)
        against, more = parse_methods([] if vs is None else [vs])
    except click.ClickException as error:
        raise UsageError(error.format_message()) from error
    chosen = RunOptions(
        preset=preset,
        references=references,
        metrics=None if metrics is None else tuple(metrics),
        plugins=(*plugins, *more),
    )
    paths = user_paths(None if runs is None else os.fspath(runs))
    result: Any = harness.compare(
        refs,
        chosen,
        registry(chosen.plugins),
        paths,
        TaskRef(dataset=dataset or "", task=task, limit=limit),
        None if subsets is None else list(subsets),
        versus=against[0] if against else None,
    )
    if not result.groups:
        raise MissingData(
            f"no finished run of {', '.join(names)} in {paths.runs}.",
            fix="vpbench.run(...) makes them.",
        )
    asked = [str(ref) for ref in (*refs, *against)]
    return Table(result.json(), asked)
