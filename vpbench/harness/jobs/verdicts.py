"""Decides after a probe: the old result is accepted, retired, or kept with a note."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from vpbench.api.errors import VpbenchError
from vpbench.core.code import CodeTable, describe_change
from vpbench.core.command_names import typed_name
from vpbench.core.progress import Event
from vpbench.core.run_folders import retire_score
from vpbench.core.rundir import RunDir
from vpbench.harness.prediction.probe import ProbeResult, describe_probe
from vpbench.harness.results.run_result import RunResult
from vpbench.harness.results.run_state import accept_code, other_environment, score_code
from vpbench.harness.scoring.probe import TOLERANCE


@dataclass(frozen=True)
class Verdict:
    """The decision after a probe.

    Attributes:
        text: one line for the user.
        accepted: the old result is as good as a new one.
        retire: it is not, and is set aside.
        rescore: metrics that are scored again.
    """

    text: str
    accepted: bool = False
    retire: bool = False
    rescore: tuple[str, ...] = ()


def judge_prediction(result: RunResult, answers: Sequence[Event]) -> Verdict:
    """Judge stored predictions by comparison with a few new ones.

    Equal bytes are accepted. Where the machine is another one too, or a GPU took part, a difference
    within rounding is accepted, and a larger one proves nothing against either.
    """
    if not answers:
        raise VpbenchError("the probe ended without a result.")
    answer = answers[-1]
    folder = result.run.folder
    probe = ProbeResult(answer["verdict"], answer["shards"], answer["mean"])
    rows = folder.read_manifest()["shards"]
    tables = [row["code"] for row in rows]
    text = describe_probe(probe, result.changed)
    now = cast("CodeTable", answer["code"])
    elsewhere = other_environment(folder, tables, now)
    loose = elsewhere or any(row["device"] != "cpu" for row in rows)
    if probe.verdict == "equal" or (loose and probe.verdict == "close"):
        accept_code(folder, tables, "predictions", now)
        return Verdict(text, accepted=True)
    if loose:
        typed = typed_name(result.run.name, result.run.method.home)
        return Verdict(
            f"{text}: the cause may be the code or the machine; "
            f"`vpbench run {shlex.quote(typed)} --again` predicts again"
        )
    return Verdict(text, retire=True)


def judge_scores(folder: RunDir, changed: Sequence[str], answers: Sequence[Event]) -> Verdict:
    """Judge stored scores by what was computed of them again.

    All scores of a metric are set aside where one differs: over other frames and subsets the code
    that has changed is the same.

    Args:
        changed: modules that have changed since.
    """
    if not answers:
        raise VpbenchError("the probe of the scores ended without a result.")
    names = tuple(dict.fromkeys(str(e["metric"]) for e in answers if e["largest"] > TOLERANCE))
    for event in answers:
        if event["metric"] not in names:
            key = score_code(folder.read_score(Path(event["path"])))
            accept_code(folder, [key], "scores", cast("CodeTable", event["code"]))
    for path in folder.score_files():
        if folder.read_score(path)["metric"] in names:
            retire_score(folder, path)
    what = describe_change(changed)
    if not names:
        return Verdict(f"{what}; scores computed again in part, equal", accepted=True)
    return Verdict(f"{what}; {', '.join(names)} differ and are scored again", rescore=names)
