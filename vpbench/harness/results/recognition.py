"""Columns of recognised actions in full: per class, per stream, confusion, paired tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vpbench.core import schema
from vpbench.core.recognition import Softmax, confusion, correct, mcnemar_pairs
from vpbench.core.records import RecognitionRecord, ScoreRecord
from vpbench.core.stats import wilson
from vpbench.harness.results.ranking import Column, Row, mean_per_clip


def recognition_json(
    rows: Sequence[Row],
    shown: Sequence[schema.RowJson],
    frames: int,
    columns: Mapping[str, Column],
) -> dict[str, schema.RecognitionJson]:
    """Column -> what was recognised in it, for columns whose scores hold distributions."""
    found: dict[str, schema.RecognitionJson] = {}
    for name, column in columns.items():
        records = [
            (entry, [r for fit in row.fits(frames, column) for r in fit])
            for row, entry in zip(rows, shown, strict=True)
        ]
        recognised = [(entry, own) for entry, own in records if own and "recognition" in own[0]]
        if recognised:
            found[name] = _column(recognised)
    return found


def _column(
    recognised: Sequence[tuple[schema.RowJson, Sequence[ScoreRecord]]],
) -> schema.RecognitionJson:
    first = recognised[0][1][0].get("recognition")
    assert first is not None  # the caller has looked
    classes = first["classes"]
    methods = {
        entry["row"]: mean_per_clip(records)
        for entry, records in recognised
        if entry["kind"] == "method"
    }
    clusters = {k: v for _, own in recognised for k, v in own[0]["clusters"].items()}
    return {
        "classes": classes,
        "chance": 1 / len(classes),
        "rows": [_row(entry, records, len(classes)) for entry, records in recognised],
        "pairs": mcnemar_pairs(methods, clusters),
    }


def _row(
    entry: schema.RowJson, records: Sequence[ScoreRecord], classes: int
) -> schema.RecognisedJson:
    parts = [r["recognition"] for r in records if "recognition" in r]
    total = [[0] * classes for _ in range(classes)]
    for part in parts:
        counts = confusion(part["softmax"], part["label"], classes)
        total = [
            [a + b for a, b in zip(one, other, strict=True)]
            for one, other in zip(total, counts, strict=True)
        ]
    once = len(parts) == 1 and all(len(rows) == 1 for rows in parts[0]["softmax"].values())
    once = once and len(set(records[0]["clusters"].values())) == len(records[0]["clusters"])
    return {
        "method": entry["method"],
        "row": entry["row"],
        "kind": entry["kind"],
        "overall": _share(sum(total[c][c] for c in range(classes)), _sum(total), once),
        "classes": [_share(total[c][c], sum(total[c]), once) for c in range(classes)],
        "streams": {name: _stream(parts, name, once) for name in sorted(parts[0]["streams"])},
        "confusion": total,
    }


def _stream(parts: Sequence[RecognitionRecord], name: str, once: bool) -> schema.ShareJson:
    right = n = 0
    for part in parts:
        softmax: Softmax = part["streams"].get(name, {})
        shares = correct(softmax, part["label"])
        right += sum(round(share * len(softmax[clip])) for clip, share in shares.items())
        n += sum(len(rows) for rows in softmax.values())
    return _share(right, n, once)


def _share(right: int, n: int, once: bool) -> schema.ShareJson:
    """`once`: every clip is counted once and stands alone, so that the trials are independent."""
    ci95 = list(wilson(right, n)) if once and n else None
    return {"correct": right, "n": n, "share": right / n if n else None, "ci95": ci95}


def _sum(counts: Sequence[Sequence[int]]) -> int:
    return sum(sum(row) for row in counts)
