"""Where a run comes from: how its stages were trained, and everything that defines it."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from vpbench.api.errors import Corrupt
from vpbench.board.charts import Curve, chart, curve_classes
from vpbench.board.page import Section
from vpbench.board.sections import folded, legend_of
from vpbench.board.shown_rows import Spread
from vpbench.board.tables import text
from vpbench.core.files import read_json
from vpbench.core.hashing import plain
from vpbench.core.paths import Paths
from vpbench.core.records import StageRow
from vpbench.core.registry import Registry
from vpbench.harness.results.finished_runs import FinishedRun, doubt, stage_folders
from vpbench.harness.results.rows import run_command
from vpbench.render.dots import figure_text

_VALIDATION = "val_"
"""How figures begin that were computed on validation clips."""


def training_section(run: FinishedRun, registry: Registry) -> Section | None:
    """Checks and curves of every stage; None for a method that is not trained."""
    if not run.stages:
        return None
    folders = stage_folders(run, registry)
    parts: list[str] = []
    for stage in run.stages:
        body = facts(_stage_facts(stage)) + _checks(stage)
        folder = folders.get(stage["stage"])
        curves = "" if folder is None else training_curves(folder.path / "train.jsonl")
        body += curves or '<p class="faint">Its training curves are not on this machine.</p>'
        parts.append(f"<h3>{text(stage['stage'])}</h3>{body}")
    return Section("Training", "".join(parts))


def _stage_facts(stage: StageRow) -> dict[str, str]:
    plural = "" if stage["threads"] == 1 else "s"
    trained = f"{stage['seconds']:,.0f} s on {stage['device']}, {stage['threads']} thread{plural}"
    return {"origin": stage["origin"], "trained": trained, "notes": "; ".join(stage["notes"])}


def _checks(stage: StageRow) -> str:
    rows = ""
    for check in stage["checks"]:
        bounds = [
            f"{word} {check[key]:g}"
            for key, word in (("at_least", "at least"), ("at_most", "at most"))
            if check.get(key) is not None
        ]
        value = "—" if check["value"] is None else figure_text(check["value"])
        passed = "passed" if check["passed"] else "missed"
        rows += (
            f'<tr><th scope="row">{text(check["name"])}</th>'
            f"<td>{text(value)} {text(check.get('unit') or '')}</td>"
            f"<td>{text(' and '.join(bounds))}</td><td>{passed}</td></tr>"
        )
    if not rows:
        return ""
    head = "".join(f'<th scope="col">{h}</th>' for h in ("value", "wanted", "result"))
    head = f'<th scope="col" class="left">check</th>{head}'
    return (
        '<div class="scroll" tabindex="0" role="region" aria-label="Checks of training"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def training_curves(path: Path) -> str:
    """Every figure that a training has logged against its steps; "" where there are none.

    A figure and the same one on validation clips (`val_`) share a chart.
    """
    series = read_curves(path)
    charts: list[str] = []
    for name in dict.fromkeys(n.removeprefix(_VALIDATION) for n in series):
        own = [n for n in (name, _VALIDATION + name) if n in series]
        titles = {n: "validation" if n.startswith(_VALIDATION) else "training" for n in own}
        curves = [
            Curve(titles[n], [(step, Spread(value, None, 1)) for step, value in series[n]])
            for n in own
        ]
        drawn = chart(curves, "step", own[0] if len(own) == 1 else name, log=True, small=True)
        if drawn:
            named = dict(zip([c.title for c in curves], curve_classes(curves), strict=True))
            charts.append(f"<figure>{drawn}{legend_of(named) if len(own) > 1 else ''}</figure>")
    return f'<div class="charts small">{"".join(charts)}</div>' if charts else ""


def read_curves(path: Path) -> dict[str, list[tuple[float, float]]]:
    """Figure -> (step, value) of a train.jsonl; lines and values that are none are left out."""
    series: dict[str, list[tuple[float, float]]] = {}
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return series
    for line in lines:
        try:
            record: Any = json.loads(line, parse_constant=lambda _: None)
        except ValueError:
            continue
        if not isinstance(record, dict):
            continue
        figures = cast("dict[str, Any]", record)
        step = figures.get("step")
        if not isinstance(step, int):
            continue
        for name, value in figures.items():
            if name != "step" and isinstance(value, int | float) and not isinstance(value, bool):
                series.setdefault(name, []).append((float(step), float(value)))
    return series


def provenance_section(run: FinishedRun, registry: Registry, paths: Paths) -> Section:
    """Everything that defines the run, where and when it was made, and how to make it again."""
    record, inputs = run.folder.read_record(), run.inputs
    task = inputs["task"]
    shown = {
        "run": record["key"],
        "predictions": run.manifest["sha256"],
        "made": _when(run.closed),
        "vpbench": record["vpbench"],
        "method": inputs["method"],
        "preset": inputs["preset"],
        "uses": ", ".join(inputs["uses"]),
        "task": f"{task['id']}: {task['n']} clips, {task['horizon']} frames, {task['size']} px",
        "split": task["split_hash"],
        "data": inputs["data"],
        "given frames": str(inputs["conditioning_frames"]),
        "samples": str(inputs["samples"]),
        "doubts": doubt(run, registry, paths),
        "made again by": run_command([inputs["method"]], inputs),
        **_surroundings(run.folder.path / "env"),
    }
    body = facts(shown)
    body += folded("Parameters", _nested(inputs["spec"].get("params", {})))
    body += folded("Components", _nested(inputs["spec"].get("slots", {})))
    body += folded("Trained stages", facts(record["stage_hashes"]))
    prints = {
        f"{metric}, {frames} frames": score["fp8"] for (metric, frames), score in run.scores.items()
    }
    body += folded("Fingerprints of scores", facts(prints))
    body += folded("Task", _nested(task))
    return Section("Where it comes from", body)


def _surroundings(folder: Path) -> dict[str, str]:
    """Machine and commit, as they were recorded."""
    found: dict[str, str] = {}
    try:
        machine = read_json(folder / "machine.json")
        found["machine"] = ", ".join(f"{machine[k]}" for k in ("system", "processor", "python"))
        commits = read_json(folder / "git.json")
        found["commit"] = ", ".join(
            f"{name} {value.get('commit', '')}{' (with changes)' if value.get('dirty') else ''}"
            for name, value in commits.items()
        )
    except (OSError, Corrupt, KeyError, AttributeError, TypeError):
        pass  # what is recorded of a machine is a courtesy
    return found


def _when(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))


def facts(shown: Mapping[str, str]) -> str:
    """Names with texts; empty ones are left out."""
    items = "".join(
        f"<dt>{text(name)}</dt><dd>{text(value)}</dd>" for name, value in shown.items() if value
    )
    return f'<dl class="facts">{items}</dl>' if items else ""


def _nested(value: Mapping[str, Any] | Sequence[Any]) -> str:
    if not value:
        return ""
    shown = plain(value)
    if not isinstance(shown, dict):
        return ""
    return facts({k: _short(v) for k, v in cast("dict[str, Any]", shown).items()})


def _short(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
