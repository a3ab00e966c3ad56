"""What an entry says about itself, as lists of facts for its method's page."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, cast

from vpbench.board.entry import Entry, EntryRun, EntryStage
from vpbench.board.site.pages import REFERENCE, Fact, FactSection, Listed, Recalled
from vpbench.core.names import MethodRef


def listed(entry: Entry, source: bytes, recalled: Recalled) -> Listed:
    """An entry for pages.

    Args:
        source: its file.
        recalled: figure -> why it does not count any more.
    """
    method = entry.method
    return Listed(
        id=entry.id,
        task=entry.task.id,
        dataset=entry.task.dataset,
        method=method.name,
        base=MethodRef.parse(method.name).base,
        level=entry.trust.level,
        tier=method.tier or REFERENCE,
        created=entry.created,
        notes=tuple(dict.fromkeys((*entry.notes, *method.notes))),
        errata=tuple(dict.fromkeys(f"{key[0]}: {reason}" for key, reason in recalled.items())),
        recalled=recalled,
        sections=tuple(part for part in _sections(entry) if part.facts),
        source=source,
    )


def _sections(entry: Entry) -> list[FactSection]:
    return [
        FactSection("Method", _facts(_method(entry))),
        FactSection("Training", _facts(_training(entry))),
        FactSection("Trust", _facts(_trust(entry))),
        FactSection("Evidence (sha256)", _facts(_evidence(entry))),
        FactSection("Cost and hardware", _facts(_cost(entry))),
        FactSection("Parameters", _facts(sorted(entry.method.params.items())), folded=True),
    ]


def _facts(pairs: Iterable[tuple[str, object] | Fact]) -> tuple[Fact, ...]:
    """Facts of pairs; what is not known is left out."""
    found: list[Fact] = []
    for pair in pairs:
        fact = pair if isinstance(pair, Fact) else Fact(pair[0], _text(pair[1]))
        found += [fact] if fact.value else []
    return tuple(found)


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping | list | tuple):
        return json.dumps(value, ensure_ascii=False, sort_keys=True) if value else ""
    return str(value)


def _component(declared: object) -> str:
    """What a component is called."""
    fields = cast("dict[str, Any]", declared) if isinstance(declared, dict) else {}
    return _text(fields.get("name", declared))


def _method(entry: Entry) -> list[tuple[str, object] | Fact]:
    method = entry.method
    return [
        ("version", method.version),
        ("distribution", method.dist),
        ("preset", method.preset),
        ("components", ", ".join(f"{slot} {_component(c)}" for slot, c in method.slots.items())),
        ("given frames", method.conditioning_frames),
        ("uses", ", ".join(method.uses) or "no label, no pose"),
        ("samples a clip", method.samples),
        ("licence", method.licence),
        ("citation", method.citation),
    ]


def _training(entry: Entry) -> list[tuple[str, object] | Fact]:
    facts: list[tuple[str, object] | Fact] = []
    if entry.task.train_on:
        facts.append(("trained on", entry.task.train_on))
    stages: dict[str, list[tuple[EntryRun, EntryStage]]] = {}
    for run in entry.runs:
        for stage in run.stages:
            stages.setdefault(stage.stage, []).append((run, stage))
    for name, trained in stages.items():
        texts = dict.fromkeys(_stage(run, stage) for run, stage in trained)
        facts.append((name, "; ".join(texts)))
        checks = dict.fromkeys(
            f"missed: {check.name}"
            for _, stage in trained
            for check in stage.checks
            if not check.passed
        )
        facts.append((f"{name}, checks", "; ".join(checks)))
    return facts


def _stage(run: EntryRun, stage: EntryStage) -> str:
    seed = "" if run.fit_seed is None else f"seed {run.fit_seed}, "
    threads = f"{stage.threads} thread{'s' * (stage.threads != 1)}"
    return f"{seed}{stage.origin}, {stage.seconds:.0f} s on {stage.device}, {threads}"


def _trust(entry: Entry) -> list[tuple[str, object] | Fact]:
    trust = entry.trust
    facts: list[tuple[str, object] | Fact] = [
        ("predicted by", trust.sampled_by),
        ("scored by", trust.scored_by),
        ("isolation", trust.isolation),
    ]
    for check in trust.verifications:
        largest = max(check.largest.values(), default=0.0)
        words = f"by {check.by}, {check.when[:10]}, vpbench {check.vpbench}"
        facts.append((check.level, f"{words}; largest difference {largest:g}"))
    return facts


def _evidence(entry: Entry) -> list[tuple[str, object] | Fact]:
    method = entry.method
    facts: list[tuple[str, object] | Fact] = [
        ("test clips", len(entry.clips)),
        ("split", entry.task.split_sha256),
        ("commit", f"{method.commit or ''}{' with changes' if method.dirty else ''}"),
        ("source", method.source_sha256),
        *((f"weights {name}", digest) for name, digest in method.weights.items()),
    ]
    for k, run in enumerate(entry.runs, start=1):
        which = f"run {k}: " if len(entry.runs) > 1 else ""
        facts += [
            (f"{which}manifest", run.manifest_sha256),
            (f"{which}predictions", run.predictions_sha256),
            _link(f"{which}bundle", run.predictions_url),
        ]
    return [*facts, ("vpbench", entry.vpbench)]


def _link(name: str, address: str | None) -> Fact:
    """A link only for https: other schemes may run code in the reader's browser."""
    text = address or ""
    return Fact(name, text, text if text.lower().startswith("https://") else "")


def _cost(entry: Entry) -> list[tuple[str, object] | Fact]:
    cost, run = entry.cost, entry.runs[0]
    machine = run.hardware
    cores = f", {machine.cores} cores" if machine.cores else ""
    memory = f", {machine.memory_gib:.0f} GiB" if machine.memory_gib else ""
    return [
        ("training", _hours(cost.train_gpu_h, "GPU") or _hours(cost.train_cpu_h, "CPU")),
        (
            "prediction",
            None if cost.predict_s_per_clip is None else f"{cost.predict_s_per_clip:.3g} s a clip",
        ),
        ("parameters", None if cost.params_m is None else f"{cost.params_m:.3g} million"),
        ("peak memory", None if cost.peak_gib is None else f"{cost.peak_gib:.3g} GiB"),
        (
            "predicted on",
            f"{run.device}, {machine.processor or machine.machine or 'unknown'}{cores}{memory}",
        ),
        ("system", machine.system),
    ]


def _hours(hours: float | None, what: str) -> str:
    if hours is None:
        return ""
    return f"{60 * hours:.0f} min on a {what}" if hours < 2 else f"{hours:.3g} h on a {what}"
