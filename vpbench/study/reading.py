"""From events and key to raters, votes, and what the checks say about each rater."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import numpy as np

from vpbench.study.files import Bundle
from vpbench.study.gold import BEST
from vpbench.study.settings import MOTION, Exclusions
from vpbench.study.statistics.agreement import agreement_with_rest, kendall_tau
from vpbench.study.statistics.votes import Votes, make_votes

_FEWEST_FOR_PATTERN = 5
"""Answers below which one pattern may come often by chance."""


@dataclass
class Rater:
    """One person, over all sessions.

    Attributes:
        name: salted hash of the id.
        sources: "server", "file" or "mturk".
        answers: trial id -> stored answer; the first where there are two.
        expected: trials on the rater's sheets.
    """

    name: str
    sources: set[str] = field(default_factory=set[str])
    addresses: set[str] = field(default_factory=set[str])
    answers: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    expected: int = 0
    finished: bool = False
    withdrawn: bool = False


def read_raters(events: Iterable[Mapping[str, Any]], bundle: Bundle) -> list[Rater]:
    """All raters, in the order in which they began."""
    raters: dict[str, Rater] = {}
    owner: dict[str, Rater] = {}
    for event in events:
        if event["kind"] == "session":
            rater = raters.setdefault(event["rater"], Rater(event["rater"]))
            owner[event["session"]] = rater
            rater.sources.add(event["source"])
            rater.expected += len(bundle.sheets[event["sheet"]])
            if event["address"]:
                rater.addresses.add(event["address"])
            continue
        rater = owner[event["session"]]
        if event["kind"] == "answer":
            rater.answers.setdefault(event["trial"], dict(event))
        elif event["kind"] == "finish":
            rater.finished = True
        else:
            rater.withdrawn = True
    return list(raters.values())


@dataclass(frozen=True)
class Ranking:
    """One answer to one question, by what stood in the slots.

    Attributes:
        kind, clip, repeats: as in the key.
        sheet: which sheet the trial is on.
        ranks: rank of each method (or gold version).
        by_slot: the same as it was on the screen.
    """

    kind: str
    clip: int
    sheet: int
    index: int
    repeats: int | None
    ranks: tuple[int, ...]
    by_slot: tuple[int, ...]
    answer: Mapping[str, Any]


def rankings(rater: Rater, question: str, key: Mapping[str, Any], bundle: Bundle) -> list[Ranking]:
    """All answers of a rater to one question, translated by the key."""
    rows: list[Ranking] = []
    for trial_id, answer in rater.answers.items():
        sheet, index = bundle.trials[trial_id]
        trial = key["sheets"][sheet][index]
        group = key["gold" if trial["kind"] == "gold" else "clips"][trial["clip"]]["media"]
        slots: Sequence[int] = answer["ranks"][question]
        of = dict(zip(answer["slots"], slots, strict=True))
        ranks = tuple(of[name] for name in group)
        rows.append(
            Ranking(
                trial["kind"],
                trial["clip"],
                sheet,
                index,
                trial["repeats"],
                ranks,
                tuple(slots),
                answer,
            )
        )
    return rows


def votes_of(
    raters: Sequence[Rater], question: str, key: Mapping[str, Any], bundle: Bundle
) -> Votes:
    """The votes on the study's clips: no gold, no repeated trials, one a rater and clip."""
    rows: list[tuple[str, str, tuple[int, ...]]] = []
    for rater in raters:
        seen: set[int] = set()
        for ranking in rankings(rater, question, key, bundle):
            if ranking.kind == "clip" and ranking.clip not in seen:
                seen.add(ranking.clip)
                rows.append((rater.name, f"{ranking.clip:06d}", ranking.ranks))
    return make_votes([m["name"] for m in key["methods"]], rows)


def quality(
    raters: Sequence[Rater], key: Mapping[str, Any], bundle: Bundle, rules: Exclusions
) -> list[dict[str, Any]]:
    """One record a rater: what was measured, which rules it breaks, whether it is left out.

    What a source does not know (how often MTurk's raters played a video) is None and breaks
    nothing.
    """
    main = bundle.questions[-1]
    agreement = agreement_with_rest(votes_of(raters, main, key, bundle))
    shared = Counter(address for rater in raters for address in rater.addresses)
    records: list[dict[str, Any]] = []
    for rater in raters:
        record = _measured(rater, key, bundle)
        record["agreement"] = agreement.get(rater.name)
        record["shared_address"] = any(shared[a] > 1 for a in rater.addresses)
        record["breaks"] = _broken(record, rules)
        record["excluded"] = bool(record["breaks"])
        records.append(record)
    return records


def _measured(rater: Rater, key: Mapping[str, Any], bundle: Bundle) -> dict[str, Any]:
    answers = list(rater.answers.values())
    length = key["frames"] / key["fps"]
    blind = "mturk" in rater.sources
    seconds = [a["seconds"] for a in answers]
    gold = _gold(rater, key, bundle)
    return {
        "rater": rater.name,
        "source": "+".join(sorted(rater.sources)),
        "answers": len(answers),
        "finished": rater.finished,
        "missing": None if blind else 1 - len(answers) / rater.expected,
        "median_seconds": round(median(seconds), 2) if seconds else None,
        "too_fast": _share(s < length / 2 for s in seconds),
        "not_played": None if blind else _share(0 in a["plays"] for a in answers),
        "same_pattern": _same_pattern(rater, key, bundle),
        "gold": len(gold),
        "gold_failed": _share(not passed for passed in gold),
        "repeat_tau": _repeats(rater, key, bundle),
    }


def _gold(rater: Rater, key: Mapping[str, Any], bundle: Bundle) -> list[bool]:
    """For each gold trial whether the real clip came first and noise last.

    By every question but that of movement: noise moves a great deal.
    """
    passed: dict[tuple[int, int], bool] = {}
    for question in bundle.questions:
        if question == MOTION.id:
            continue
        for ranking in rankings(rater, question, key, bundle):
            if ranking.kind == "gold":
                right = ranking.ranks[BEST] == 1 and ranking.ranks[-1] == len(ranking.ranks)
                place = (ranking.sheet, ranking.index)
                passed[place] = passed.get(place, True) and right
    return list(passed.values())


def _repeats(rater: Rater, key: Mapping[str, Any], bundle: Bundle) -> float | None:
    """Mean Kendall's tau between repeated trials and their first answers, over all questions."""
    taus: list[float] = []
    for question in bundle.questions:
        by_place = {(r.sheet, r.index): r for r in rankings(rater, question, key, bundle)}
        for (sheet, _), ranking in by_place.items():
            first = None if ranking.repeats is None else by_place.get((sheet, ranking.repeats))
            if first is not None:
                taus.append(kendall_tau(np.array(ranking.ranks), np.array(first.ranks)))
    return sum(taus) / len(taus) if taus else None


def _same_pattern(rater: Rater, key: Mapping[str, Any], bundle: Bundle) -> float | None:
    """Share of the commonest ranking by slot, the largest over the questions."""
    shares: list[float] = []
    for question in bundle.questions:
        patterns = [r.by_slot for r in rankings(rater, question, key, bundle) if r.kind == "clip"]
        if len(patterns) >= _FEWEST_FOR_PATTERN:
            shares.append(Counter(patterns).most_common(1)[0][1] / len(patterns))
    return max(shares, default=None)


def _share(values: Iterable[bool]) -> float | None:
    known = list(values)
    return sum(known) / len(known) if known else None


RULES = ("gold_failed", "too_fast", "not_played", "same_pattern", "missing", "disagreeing")
"""Names of the exclusion rules, as in study.toml."""


def _broken(record: Mapping[str, Any], rules: Exclusions) -> list[str]:
    broken: list[str] = []
    for name in RULES:
        if name == "disagreeing":
            value = record["agreement"]
            breaks = value is not None and value < rules.disagreeing
        else:
            value = record[name]
            breaks = value is not None and value > getattr(rules, name)
        if breaks:
            broken.append(name)
    return broken
