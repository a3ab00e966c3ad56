"""A study's result: all questions, with and without the exclusions that were fixed beforehand."""

from __future__ import annotations

import csv
import io
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vpbench.api.errors import MissingData
from vpbench.render.text import csv_text
from vpbench.study.files import Bundle, PrivatePaths, open_bundle, open_key
from vpbench.study.imports import all_events
from vpbench.study.reading import RULES, Rater, quality, rankings, read_raters, votes_of
from vpbench.study.settings import preregistration, read_settings
from vpbench.study.statistics.plackett_luce import PRIOR_SD
from vpbench.study.statistics.summary import summarise
from vpbench.study.statistics.votes import Votes

SCHEMA = "vpbench.study/1"


@dataclass(frozen=True)
class Collected:
    """All that a study has collected, read and checked.

    Attributes:
        raters: those who did not withdraw.
        withdrawn: how many did.
    """

    bundle: Bundle
    key: dict[str, Any]
    raters: list[Rater]
    withdrawn: int
    quality: list[dict[str, Any]]
    changed: bool

    def kept(self) -> list[Rater]:
        """Raters that no exclusion rule leaves out."""
        out = {record["rater"] for record in self.quality if record["excluded"]}
        return [rater for rater in self.raters if rater.name not in out]


def collect(folder: Path, private: PrivatePaths | None = None) -> Collected:
    """Read the answers of a study with its key.

    Raises:
        MissingData: there is no key, or no one has answered yet.
        Corrupt, HashMismatch: a file was changed.
    """
    private = private or PrivatePaths.of(folder)
    bundle = open_bundle(folder)
    key = open_key(bundle, private)
    settings = read_settings(private.settings)
    everybody = read_raters(all_events(private), bundle)
    raters = [r for r in everybody if not r.withdrawn and r.answers]
    if not raters:
        raise MissingData(
            f"the study in {folder} has no answers yet.",
            fix=f"Collect them with: vpbench study serve {shlex.quote(str(folder))}",
        )
    design = {**key["plan"], "design": key["design"], "frames": key["frames"]}
    changed = preregistration(settings, design) != bundle.manifest["preregistration_sha256"]
    records = quality(raters, key, bundle, settings.exclusions)
    withdrawn = sum(r.withdrawn for r in everybody)
    return Collected(bundle, key, raters, withdrawn, records, changed)


def analyse(
    collected: Collected, *, n_resamples: int = 2000, seed: int = 0, nemenyi: bool = False
) -> dict[str, Any]:
    """The whole result as JSON (`vpbench.study/1`)."""
    bundle, key = collected.bundle, collected.key
    everybody, kept = collected.raters, collected.kept()
    results: dict[str, Any] = {}
    for question in bundle.questions:
        parts = {"kept": votes_of(kept, question, key, bundle)}
        if len(kept) < len(everybody):
            parts["all"] = votes_of(everybody, question, key, bundle)
        done = {
            name: summarise(votes, n_resamples=n_resamples, seed=seed, nemenyi=nemenyi)
            for name, votes in parts.items()
        }
        results[question] = {"kept": done["kept"], "all": done.get("all", done["kept"])}
    return {
        "schema": SCHEMA,
        "study": bundle.study,
        "title": bundle.page["texts"]["title"],
        "bundle_sha256": bundle.sha256,
        "key_sha256": bundle.manifest["key_sha256"],
        "preregistration_sha256": bundle.manifest["preregistration_sha256"],
        "design": key["design"],
        "task": key["task"],
        "frames": key["frames"],
        "fps": key["fps"],
        "methods": key["methods"],
        "titles": {q["id"]: q["title"] for q in bundle.page["questions"]},
        "main": bundle.questions[-1],
        "raters": {
            "planned": key["plan"]["raters"],
            "answered": len(everybody),
            "finished": sum(r.finished for r in everybody),
            "withdrawn": collected.withdrawn,
            "excluded": len(everybody) - len(kept),
        },
        "questions": results,
        "sensitivity": _sensitivity(collected),
        "quality": collected.quality,
        "resamples": n_resamples,
        "notes": _notes(collected, results),
    }


def _sensitivity(collected: Collected) -> list[dict[str, Any]]:
    """Mean ranks by the main question under each rule alone, under all and under none."""
    bundle, key = collected.bundle, collected.key
    broken = {record["rater"]: set(record["breaks"]) for record in collected.quality}
    settings = {"none": (), **{rule: (rule,) for rule in RULES}, "all": RULES}
    rows: list[dict[str, Any]] = []
    for name, rules in settings.items():
        kept = [r for r in collected.raters if not broken[r.name].intersection(rules)]
        votes = votes_of(kept, bundle.questions[-1], key, bundle)
        means = [float(v) for v in votes.ranks.mean(axis=0)] if len(votes) else None
        rows.append({"rules": name, "raters": len(kept), "votes": len(votes), "mean_ranks": means})
    return rows


def _notes(collected: Collected, results: Mapping[str, Any]) -> list[str]:
    bundle, key = collected.bundle, collected.key
    main = results[bundle.questions[-1]]["kept"]
    notes: list[str] = []
    if collected.changed:
        notes.append(
            "questions or exclusions in study.toml are not those whose hash was published: this "
            "analysis is not preregistered"
        )
    if key["task"].get("rendered"):
        notes.append("rendered figures: says nothing about photographic video")
    if main["votes"] == 0:
        return [*notes, "all raters are excluded, so there are no results"]
    notes += _size_notes(main, len(key["methods"]))
    separated = [q for q, r in results.items() if r["kept"].get("separated")]
    if separated:
        notes.append(
            f"by {', '.join(separated)} some methods always beat others; a normal prior with SD "
            f"{PRIOR_SD:g} on log-worths keeps them finite"
        )
    shared = sum(record["shared_address"] for record in collected.quality)
    if shared:
        notes.append(f"{shared} raters share a network address with another one")
    return notes


def _size_notes(main: Mapping[str, Any], methods: int) -> list[str]:
    """Where the votes are too few for an interval or for a signed-rank test."""
    notes: list[str] = []
    pairs = methods * (methods - 1) // 2
    for unit in ("raters", "clips"):
        n = main[unit]
        if n < 2:
            notes.append(f"one of the {unit} only: no interval")
        elif 2 * 0.5**n * pairs >= 0.05:
            notes.append(
                f"{n} {unit} are few: the signed-rank test over {unit} with {pairs} comparisons "
                "cannot fall below 5 %, and intervals rest on the shape of the distribution"
            )
    return notes


_FIELDS = (
    "rater",
    "source",
    "kept",
    "sheet",
    "screen",
    "kind",
    "clip",
    "question",
    "method",
    "slot",
    "rank",
    "seconds",
    "plays",
    "way",
)


def answers_csv(collected: Collected) -> str:
    """All answers, one line a rater, question and video; safe to open as a spreadsheet."""
    bundle, key = collected.bundle, collected.key
    kept = {rater.name for rater in collected.kept()}
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_FIELDS)
    for rater in collected.raters:
        for question in bundle.questions:
            for ranking in rankings(rater, question, key, bundle):
                for row in _csv_rows(collected, ranking, question):
                    cells = [rater.name, "+".join(sorted(rater.sources)), rater.name in kept, *row]
                    writer.writerow([csv_text(str(cell)) for cell in cells])
    return out.getvalue()


def _csv_rows(collected: Collected, ranking: Any, question: str) -> list[Sequence[Any]]:
    key = collected.key
    gold = ranking.kind == "gold"
    group = key["gold" if gold else "clips"][ranking.clip]
    names = (
        [f"gold version {v}" for v in range(len(group["media"]))]
        if gold
        else [m["name"] for m in key["methods"]]
    )
    answer = ranking.answer
    rows: list[Sequence[Any]] = []
    for slot, media in enumerate(answer["slots"]):
        at = group["media"].index(media)
        rows.append(
            [
                ranking.sheet,
                ranking.index,
                ranking.kind,
                f"gold {ranking.clip}" if gold else group["id"],
                question,
                names[at],
                slot,
                ranking.ranks[at],
                answer["seconds"],
                answer["plays"][slot],
                answer["ways"][question],
            ]
        )
    return rows


def votes_for(collected: Collected, question: str, *, kept: bool = True) -> Votes:
    """The votes of one question, for statistics of one's own."""
    raters = collected.kept() if kept else collected.raters
    return votes_of(raters, question, collected.key, collected.bundle)
