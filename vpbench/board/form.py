"""Whether the records of a stranger's run have the form that tables and entries rely on.

Seals prove that nothing was changed since it was written, not that vpbench wrote it.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

from vpbench.api.errors import Corrupt
from vpbench.board.collect import About, entry_task, make_entry, one_line
from vpbench.board.decode import decode, encode
from vpbench.board.entry import Entry, EntryScore, EntryStage, EntryTask
from vpbench.board.scores import entry_scores
from vpbench.core.paths import Paths
from vpbench.core.registry import Registry
from vpbench.harness.results.finished_runs import FinishedRun


@dataclass(frozen=True, kw_only=True)
class _Row:
    """What tables read of run.json and the manifest besides task and scores."""

    method: str
    kind: str
    preset: str
    seed: int
    fit_seed: int | None
    samples: int
    conditioning_frames: int
    uses: tuple[str, ...]
    notes: tuple[str, ...]
    params: dict[str, Any]
    slots: dict[str, Any]
    weights: dict[str, str]
    factory: str
    origins: tuple[str, ...]
    closed: float
    stages: tuple[EntryStage, ...]


@contextmanager
def well_formed(what: str) -> Generator[None]:
    """Turn what reading an ill-formed record raises into one sentence.

    Args:
        what: names the file.
    """
    try:
        yield
    except (KeyError, TypeError, AttributeError, ValueError, IndexError, OverflowError) as error:
        text = one_line(f"{type(error).__name__}: {error}")[:80]
        raise Corrupt(f"{what}: its records are not those of a run ({text}).") from error


def entry_of(runs: Sequence[FinishedRun], registry: Registry, paths: Paths, about: About) -> Entry:
    """As `make_entry`; what is ill-formed in somebody's bundle is that, not a fault of vpbench."""
    foreign = any(run.foreign for run in runs)
    with well_formed("the bundle") if foreign else nullcontext():
        return make_entry(runs, registry, paths, about)


def check_form(run: FinishedRun, where: str) -> None:
    """Refuse a run whose records lack a field, or have one of another type.

    Args:
        where: names the file in messages.

    Raises:
        Corrupt: names the field.
    """
    with well_formed(where):
        inputs, spec, manifest = run.inputs, run.inputs["spec"], run.manifest
        row = {
            **{n: inputs[n] for n in ("method", "kind", "preset", "seed", "fit_seed", "samples")},
            "conditioning_frames": inputs["conditioning_frames"],
            "uses": inputs["uses"],
            "notes": [one_line(text) for text in (*inputs["notes"], *manifest["notes"])],
            "params": spec["params"],
            "slots": spec.get("slots", {}),
            "weights": spec.get("weights", {}),
            "factory": spec["factory"],
            "origins": [stage["origin"] for stage in inputs["stages"]],
            "closed": manifest["closed"],
            "stages": [
                {k: v for k, v in stage.items() if k in EntryStage.__dataclass_fields__}
                for stage in manifest["stages"]
            ],
        }
        decode(_Row, row, where)
        decode(EntryTask, encode(entry_task(inputs)), where)
        clips = sorted(item for shard in manifest["shards"] for item in shard["items"])
        for score in entry_scores(run, clips):
            decode(EntryScore, encode(score), where)
