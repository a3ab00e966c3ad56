"""Checks of the spec and the factory, for every kind of plugin."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

from vpbench.api.errors import VpbenchError
from vpbench.api.specs import ComponentSpec, MethodSpec, MetricSpec
from vpbench.core.names import MethodRef
from vpbench.core.plan import retrieves
from vpbench.core.resolve import resolve
from vpbench.metrics.weights.weight_file import weight_file
from vpbench.testing.model import Check, CheckFailed, NotApplicable
from vpbench.testing.subject import Subject

LIMIT_MS = 50.0
"""Milliseconds of processor time that importing a spec may take, vpbench.api and numpy aside."""

ALL = ("method", "component", "dataset", "metric", "executor")

_PROBE = """
import json, sys, time
import numpy, vpbench.api.specs, vpbench.api.capabilities
from vpbench.core.loading import load_object
start = time.process_time()
try:
    load_object(sys.argv[1])
    error = ""
except BaseException as failure:
    lines = str(failure).strip().splitlines()
    error = f"{type(failure).__name__}: {lines[0] if lines else ''}"
spent = (time.process_time() - start) * 1000
print(json.dumps({"error": error, "ms": spent, "torch": "torch" in sys.modules}))
"""

_SIGNATURES = {
    "predict": ("given", "horizon", "seeds"),
    "fit": ("stage", "data", "ctx"),
    "save": ("stage", "folder"),
    "load": ("stage", "folder", "device"),
}


def _probe(subject: Subject) -> dict[str, Any]:
    """Import the spec in a fresh process."""
    value = subject.row.ref.value
    done = subprocess.run(
        [sys.executable, "-c", _PROBE, value], capture_output=True, text=True, check=False
    )
    lines = [x for x in done.stdout.splitlines() if x.startswith('{"error"')]
    if not lines:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        return {"error": f"the process ended: {last}", "ms": 0.0, "torch": False}
    return json.loads(lines[-1])


def spec_import(subject: Subject) -> None:
    """The module of the spec can be imported."""
    subject.probed = _probe(subject)
    error = subject.probed["error"]
    if error:
        raise CheckFailed(
            "a spec that can be imported",
            error,
            subject.row.ref.value,
            "Import what is heavy or may be missing in the module of the factory.",
        )


def spec_light(subject: Subject) -> None:
    """Importing it is quick and does not import torch."""
    if subject.row.ref.source == "builtin":
        raise NotApplicable("it comes with vpbench")
    probe = subject.probed or _probe(subject)
    for _ in range(2):  # the first time may be that of a cold disk
        if not probe["torch"] and probe["ms"] >= LIMIT_MS:
            probe = _probe(subject)
    if probe["torch"]:
        raise CheckFailed(
            "an import without torch",
            "torch was imported",
            subject.row.ref.value,
            'Keep the spec in a module of its own; name the class as "pkg.mod:Class".',
        )
    if probe["ms"] >= LIMIT_MS:
        raise CheckFailed(
            f"an import below {LIMIT_MS:g} ms",
            f"{probe['ms']:.0f} ms",
            subject.row.ref.value,
            "Import what is heavy in the module of the factory.",
        )


def spec_valid(subject: Subject) -> None:
    """The registry accepts the spec, and its fields are consistent."""
    row = subject.row
    if row.status != "ok" or row.spec is None:
        raise CheckFailed("a spec that the registry accepts", row.reason, row.ref.value)
    if not row.spec.summary.strip():
        raise _invalid(subject, "a summary of one line", "none", "Fill in `summary`.")
    from vpbench.testing.suite import checks_of

    known = {c.id for c in checks_of(subject.request.kind, full=True)}
    for name in row.spec.expected_failures:
        if name not in known:
            raise _invalid(
                subject,
                "expected_failures that name checks",
                repr(name),
                f"Known: {', '.join(sorted(known))}.",
            )
    if isinstance(row.spec, MethodSpec | ComponentSpec):
        _notes(subject, row.spec)
    if isinstance(row.spec, MethodSpec | ComponentSpec | MetricSpec):
        _weights(subject, row.spec)
    if isinstance(row.spec, MethodSpec):
        _method_spec(subject, row.spec)


def _invalid(subject: Subject, expected: str, got: str, fix: str = "") -> CheckFailed:
    return CheckFailed(expected, got, f"spec of {subject.row.name} in {subject.row.ref.value}", fix)


def _notes(subject: Subject, spec: MethodSpec | ComponentSpec) -> None:
    for rule in spec.notes:
        if rule.partition("=")[0].removesuffix("!") not in spec.params:
            raise _invalid(subject, 'notes such as {"param=value": "..."}', repr(rule))


def _weights(subject: Subject, spec: MethodSpec | ComponentSpec | MetricSpec) -> None:
    for weights in spec.weights:
        try:
            file = weight_file(weights)
        except VpbenchError as error:
            raise _invalid(
                subject, "weights that can be fetched", error.message, error.fix or ""
            ) from error
        if file.own is not None and not isinstance(spec, MetricSpec):
            raise _invalid(
                subject,
                "weights with a published hash, which is part of a run's id",
                f"{weights.name} without one",
            )
        strange = sorted(set(weights.when) - set(spec.params))
        if strange:
            raise _invalid(subject, "weights that depend on known parameters", strange[0])


def _method_spec(subject: Subject, spec: MethodSpec) -> None:
    presets = [preset for _, preset in spec.default_preset]
    unknown = [p for p in presets if p not in spec.presets]
    if unknown:
        raise _invalid(subject, "default presets out of `presets`", repr(unknown[0]))
    for preset, values in spec.presets.items():
        strange = sorted(set(values) - set(spec.params))
        if strange:
            raise _invalid(subject, "presets of known parameters", f"{preset}: {strange[0]}")
    names = {s.name for s in spec.stages}
    for stage in spec.stages:
        if set(stage.trains) - set(spec.slots):
            raise _invalid(subject, "stages that train slots of the method", str(stage.trains))
        rules = {rule.partition("=")[0] for rule in stage.when}
        strange = sorted((set(stage.params or ()) | rules) - set(spec.params))
        if strange:
            raise _invalid(subject, "stages that depend on known parameters", strange[0])
        own = {n.rpartition(":")[2] for n in stage.needs if n.rpartition(":")[0] in ("", spec.name)}
        if own - names:
            raise _invalid(subject, "stages that need stages of the method", str(stage.needs))
    if spec.stages and not spec.capabilities.trainable:
        raise _invalid(subject, "trainable=True where there are stages", "trainable=False")
    for rule, changes in spec.overrides.items():
        spec.capabilities.changed(changes)
        if "=" not in rule:
            raise _invalid(subject, 'overrides such as {"param=value": {...}}', repr(rule))
    try:
        resolve(MethodRef.parse(subject.request.name), subject.registry, 64)
    except VpbenchError as error:
        raise _invalid(subject, "parameters and slots that can be filled", error.message) from error


def factory(subject: Subject) -> None:
    """The factory can be imported and called; what it makes has the methods it needs."""
    kind = subject.request.kind
    subject.call("the import of the factory", subject.registry.factory, kind, subject.row.name)
    if kind == "method":
        _method_factory(subject)


def _method_factory(subject: Any) -> None:
    from vpbench.harness.training.loading import make_method, make_slots

    setting = subject.setting()
    info = setting.task_data.task.info
    slots = subject.call(
        "the factory of a slot", make_slots, setting.method, info, subject.registry
    )
    instance = subject.call(
        "the factory", make_method, setting.method, info, subject.registry, slots
    )
    if retrieves(setting.method):
        instance.bind(setting.task_data)
    wanted = {"predict": _SIGNATURES["predict"]}
    if setting.method.capabilities.oracle:
        wanted["predict"] = ("given", "future", "horizon", "seeds")
    if setting.method.spec.stages:
        wanted = {**_SIGNATURES, **wanted}
    for name, parameters in wanted.items():
        check_signature(instance, name, parameters)


def check_signature(instance: Any, name: str, parameters: tuple[str, ...]) -> None:
    """Refuse a method that is missing or cannot be called with so many arguments."""
    from vpbench.testing.report import where_defined

    function = getattr(instance, name, None)
    call = f"{name}({', '.join(parameters)})"
    where = where_defined(type(instance))
    if not callable(function):
        raise CheckFailed(call, f"{type(instance).__name__} has no {name}", where, f"Add {call}.")
    signature = inspect.signature(function)
    try:
        signature.bind(*parameters)
    except TypeError:
        raise CheckFailed(
            call, f"{name}{signature}", where_defined(function), f"Write {call}."
        ) from None


def readme(subject: Subject) -> None:
    """The commands of the README run."""
    import os
    import re
    import shlex
    from importlib.metadata import PackageNotFoundError, metadata

    dist = subject.row.ref.dist
    if not dist:
        raise NotApplicable("it belongs to no installed distribution")
    try:
        text = str(cast("Any", metadata(dist)).get_payload())
    except PackageNotFoundError:
        raise NotApplicable(f"{dist} has no metadata") from None
    blocks = re.findall(r"^```(?:sh|bash|shell|console)\n(.*?)^```", text, re.M | re.S)
    lines = [x.strip().removeprefix("$ ") for block in blocks for x in block.splitlines()]
    commands = [x for x in lines if x.startswith("vpbench ")]
    if not commands:
        raise NotApplicable(f"the README of {dist} has no vpbench command")
    folder: Path = subject.folder("readme")
    for command in commands:
        words = shlex.split(command, comments=True)[1:]
        if words[:1] in (["check"], ["new-plugin"]):
            continue
        done = subprocess.run(
            [sys.executable, "-m", "vpbench", *words],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            env=dict(os.environ),
        )
        if done.returncode:
            last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
            raise CheckFailed(
                "exit code 0",
                last,
                f"README of {dist}: {command}",
                "Change the README or what it shows.",
            )


CHECKS = (
    Check(
        "spec-import",
        "basic",
        ALL,
        "A plugin whose spec cannot be imported is unavailable.",
        spec_import,
    ),
    Check(
        "spec-light",
        "basic",
        ALL,
        "Listing plugins must be quick and needs no torch.",
        spec_light,
        ("spec-import",),
    ),
    Check(
        "spec-valid",
        "basic",
        ALL,
        "The harness decides what to run from the spec.",
        spec_valid,
        ("spec-import",),
    ),
    Check(
        "factory",
        "basic",
        ALL,
        "The harness calls the factory and its methods by position.",
        factory,
        ("spec-valid",),
    ),
    Check(
        "readme",
        "full",
        ALL,
        "The README's commands are what users try first.",
        readme,
        ("factory",),
    ),
)
