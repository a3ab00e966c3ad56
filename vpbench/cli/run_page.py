"""What a run folder holds, as a page for a person; `vpbench info RUN --json` has every field."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from vpbench.api.errors import printable
from vpbench.cli.pages import beside, counted, heading, plain_text
from vpbench.core.paths import user_paths

_LEFT = 9
"""Characters of the names at the left."""

_MODULES = 3
"""So many modules that have changed are named; the others are counted."""


def print_run(path: Path, record: Mapping[str, Any], typed: str) -> None:
    """Print the page.

    Args:
        path: the run folder as the user named it.
        record: what `vpbench info RUN --json` prints, without its schema.
        typed: the method's name as commands take it.
    """
    inputs = record["inputs"]
    heading(printable(f"{inputs['method']} on {inputs['task']['id']}"))
    for name, texts in _lines(path, record, inputs, typed):
        if any(texts):
            beside(name, [printable(text) for text in texts], _LEFT)


def _lines(
    path: Path, record: Mapping[str, Any], inputs: Mapping[str, Any], typed: str
) -> Iterable[tuple[str, list[str]]]:
    task, given, samples = inputs["task"], inputs["conditioning_frames"], inputs["samples"]
    limit = f" (--limit {task['limit']}: not comparable)" if task.get("limit") else ""
    clips = f"{task['n']} clips of {task['split']}{limit}, {task['size']} px"
    yield "task", [f"{clips}; {counted(given, 'given frame')}, {task['horizon']} predicted"]
    if inputs["dataset"] != task["id"]:
        yield "dataset", [inputs["dataset"]]
    yield "scores", _scores(record["scores"])
    trained = inputs.get("fit_seed")
    seeds = f"prediction seed {inputs['seed']}"
    seeds += "" if trained is None else f", training seed {trained}"
    yield "seeds", [f"{seeds}; {counted(samples, 'sample')} a clip"]
    yield "set to", [", ".join(f"{k}={plain_text(v)}" for k, v in inputs["spec"]["params"].items())]
    made = time.strftime("%Y-%m-%d %H:%M", time.localtime(record["created"]))
    yield "made", [f"{made} by vpbench {record['vpbench']}, device {record['device']}"]
    yield "now", [_now(path, record["doubt"], inputs, typed)]
    yield "training", [record["training"] or ""]
    stages = record["code of stages"].items()
    yield "stages", [f"{label}: {_shortened(text)}" for label, text in stages]
    yield "run id", [record["key"]]
    quoted = shlex.quote(str(path))
    yield "more", [f"vpbench report {quoted}", f"vpbench info {quoted} --json"]


def _now(path: Path, doubt: str, inputs: Mapping[str, Any], typed: str) -> str:
    """Whether a run would give the same now, as far as that is known without computing."""
    if not doubt:
        return "verified; nothing that it was made from has changed"
    words = ["vpbench", "run", typed, "--dataset", inputs["dataset"]]
    runs = path.absolute().parents[2]  # RUNS/<task>/<method>/<run id>
    words += [] if runs == user_paths().runs else ["--runs", str(runs)]
    return f"verified; {doubt}: {shlex.join(words)} checks it"


def _scores(scores: Mapping[str, Mapping[str, Any]]) -> list[str]:
    from vpbench.render.text import DASH, aligned, error_text, rounded

    rows = [("metric", "value", "±", "without bias", "clips")]
    for name, score in scores.items():
        metric = name.partition(" over ")[0]
        value, corrected = score["value"], score["corrected"]
        rows.append(
            (
                name,
                DASH if value is None else rounded(value, score["se"], metric),
                error_text(score["se"], metric),
                "" if not score["bias"] else rounded(corrected, score["corrected_se"], metric),
                str(score["n"]),
            )
        )
    return aligned(rows) if scores else ["none: vpbench score RUN"]


def _shortened(text: str) -> str:
    """A list of modules with its first few; the JSON has all."""
    lead, colon, names = text.partition(": ")
    listed = names.split(", ")
    if not colon or len(listed) <= _MODULES:
        return text
    return f"{lead}: {', '.join(listed[:_MODULES])} and {len(listed) - _MODULES} more"
