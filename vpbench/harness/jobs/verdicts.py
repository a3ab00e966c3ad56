"""Decides after a probe: the old result is accepted, retired, or marked as unverified."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from vpbench.api.errors import VpbenchError
from vpbench.core.code import CodeTable, short_names
from vpbench.core.files import make_folder, storage
from vpbench.core.progress import Event
from vpbench.core.rundir import RunDir
from vpbench.harness.prediction.probe import ProbeResult, describe_probe
from vpbench.harness.results.run_result import RunResult
from vpbench.harness.results.run_state import accept_code, other_environment
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
        raise VpbenchError("the probe ended without an answer.")
    answer = answers[-1]
    folder = result.run.folder
    probe = ProbeResult(answer["verdict"], answer["shards"], answer["mean"])
    rows = folder.read_manifest()["shards"]
    tables = [row["code"] for row in rows]
    text = describe_probe(probe, [short_names(result.changed)])
    now = cast("CodeTable", answer["code"])
    elsewhere = other_environment(folder, tables, now)
    loose = elsewhere or any(row["device"] != "cpu" for row in rows)
    if probe.verdict == "equal" or (loose and probe.verdict == "close"):
        accept_code(folder, tables, "predictions", now)
        return Verdict(text, accepted=True)
    if loose:
        return Verdict(
            f"{text}: the cause may be the code or the machine; "
            f"`vpbench run '{result.run.name}' --again` predicts again"
        )
    return Verdict(text, retire=True)


def judge_scores(result: RunResult, answers: Sequence[Event]) -> Verdict:
    """Judge stored scores by what was computed of them again; those that differ are set aside."""
    folder = result.run.folder
    good, bad = _sorted(answers)
    for event in good:
        table = folder.read_score(Path(event["path"])).get("code", "")
        accept_code(folder, [table], "scores", cast("CodeTable", event["code"]))
    for event in bad:
        set_score_aside(folder, Path(event["path"]))
    what = f"code of {short_names(result.changed)} changed"
    if not bad:
        return Verdict(f"{what}; scores computed again in part, equal", accepted=True)
    names = tuple(dict.fromkeys(str(e["metric"]) for e in bad))
    return Verdict(f"{what}; {', '.join(names)} differ and are scored again", rescore=names)


def _sorted(answers: Sequence[Event]) -> tuple[list[Event], list[Event]]:
    good = [e for e in answers if e["largest"] <= TOLERANCE]
    return good, [e for e in answers if e["largest"] > TOLERANCE]


def set_score_aside(folder: RunDir, path: Path) -> None:
    """Move a score where nothing reads it."""
    target = make_folder(folder.scores / "retired") / path.name
    with storage(target):
        path.replace(target)
