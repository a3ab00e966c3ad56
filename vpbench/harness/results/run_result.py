"""The result of each run of a command."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from vpbench.core import schema
from vpbench.core.files import read_json
from vpbench.core.plan import Refusal, RunPlan, row_kind
from vpbench.core.progress import Event
from vpbench.harness.results.rows import tested
from vpbench.harness.scoring.score import Wanted
from vpbench.harness.scoring.score_record import score_json


@dataclass
class RunResult:
    """The result of one run.

    Attributes:
        fresh: something was computed.
        missing: metric -> why it could not be scored.
        todo: metrics that are to be scored.
        changed: modules that have changed since the result was made.
        answers: what probes of its scores have computed.
        leaks: notes of the leak probe; None before it.
        recompute: its set metrics do not use features that come with vpbench.
    """

    run: RunPlan
    status: str = "ok"
    reason: str | None = None
    code: int = 0
    seconds: dict[str, float] = field(default_factory=dict[str, float])
    missing: dict[str, str] = field(default_factory=dict[str, str])
    fresh: bool = False
    todo: list[str] = field(default_factory=list[str])
    changed: list[str] = field(default_factory=list[str])
    recompute: bool = False
    leaks: list[str] | None = None
    answers: list[Event] = field(default_factory=list[Event])

    def event(self, until: str) -> Event:
        """What is reported when nothing more is to be done; `until` is what it was done up to."""
        return {
            "event": "run",
            "method": self.run.name,
            "status": self.status,
            "reason": self.reason,
            "fresh": self.fresh,
            "trains": bool(self.run.stages),
            "until": until,
            "run": str(self.run.folder.path),
        }


def seconds_of(run: RunPlan) -> dict[str, float]:
    """Seconds of fitting, predicting and scoring, from what is stored."""
    seconds: dict[str, float] = {}
    fits = [read_json(s.folder.record)["seconds"] for s in run.stages if s.folder.complete()]
    if fits:
        seconds["fit"] = round(sum(fits), 2)
    if run.folder.manifest.is_file():
        manifest = run.folder.read_manifest()
        seconds["predict"] = round(sum(s["seconds"] for s in manifest["shards"]), 2)
        scores = run.folder.read_scores(manifest["sha256"])
        seconds["score"] = round(max((s.get("seconds", 0.0) for s in scores), default=0.0), 2)
    return seconds


def floors(results: Sequence[RunResult]) -> dict[tuple[str, int], float]:
    """(fingerprint, n) -> the value of n other real clips, the floor of a set metric."""
    values: dict[tuple[str, int], float] = {}
    for result in results:
        folder = result.run.folder
        if row_kind(result.run.method) != "floor" or not folder.manifest.is_file():
            continue
        for record in folder.read_scores(folder.read_manifest()["sha256"]):
            if record["kind"] == "set" and record["value"] is not None:
                values[record["fp8"], record["n"]] = record["value"]
    return values


def run_json(
    result: RunResult,
    metrics: Sequence[Wanted],
    floor: Mapping[tuple[str, int], float] | None = None,
) -> schema.RunJson:
    """A run as `--json` prints it; scores are those over all T frames."""
    run = result.run
    scores: dict[str, schema.ScoreJson] = {}
    if run.folder.manifest.is_file() and result.status == "ok":
        manifest = run.folder.read_manifest()
        horizon = run.folder.read_record()["inputs"]["task"]["horizon"]
        wanted = {w.name for w in metrics}
        for record in run.folder.read_scores(manifest["sha256"]):
            if record["frames"] == horizon and record["metric"] in wanted:
                score = tested(score_json(record), row_kind(run.method))
                known = (floor or {}).get((record["fp8"], record["n"]))
                if known is not None:
                    score["floor"], score["floor_n"] = known, record["n"]
                scores[record["metric"]] = score
        for name, reason in result.missing.items():
            scores.setdefault(name, schema.score_json(None, n=0, fingerprint="", reason=reason))
    return {
        "method": run.name,
        "kind": row_kind(run.method),
        "task": run.folder.path.parent.parent.name,
        "seed": run.seed,
        "fit_seed": run.fit_seed,
        "status": "ok" if result.status == "ok" else "failed",
        "reason": result.reason,
        "run_dir": str(run.folder.path),
        "seconds": result.seconds,
        "scores": scores,
    }


def refusal_json(refusal: Refusal, task: str) -> schema.RunJson:
    """A refused run as `--json` prints it."""
    return {
        "method": refusal.name,
        "kind": refusal.kind,
        "task": task,
        "seed": refusal.seed,
        "fit_seed": refusal.fit_seed,
        "status": "refused",
        "reason": "; ".join(refusal.reasons),
        "run_dir": None,
        "seconds": {},
        "scores": {},
    }
