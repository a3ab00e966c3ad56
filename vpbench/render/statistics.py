"""What a table says about its figures' statistics: marks in cells, and the lines below it."""

from __future__ import annotations

from collections.abc import Sequence

from vpbench.core.schema import GroupJson, NullJson, RowJson, ScoreJson, compared
from vpbench.render.text import clean, column_title, rounded

NOT_BETTER = "≈"
WORSE = "▼"

SMALL_N = 60
"""Clips under which the estimated bias of a set metric is about half of the true one."""

_BY_P = ("ceiling", "floor", "reference")
"""Kinds of rows that hold real clips: what matters is whether they differ from others at all."""


def mark(row: RowJson, metric: str) -> str:
    """The mark of a cell: worse than a null row, not better than one, or ""."""
    claims = {n["claim"] for n in row["nulls"] if n["metric"] == metric}
    return WORSE if "worse" in claims else NOT_BETTER if "not better" in claims else ""


def explained_by_marks(row: RowJson, note: str) -> bool:
    """Whether a note of the row says what a mark and the lines below the table say."""
    return any(
        note.startswith((f"worse than {n['null']} (", f"not better than {n['null']} ("))
        for n in row["nulls"]
    )


def shown_p(row: RowJson, score: ScoreJson) -> float | None:
    """The p-value that stands in place of ± where real clips are scored."""
    return score["p"] if row["kind"] in _BY_P else None


def best_figures(group: GroupJson, rows: Sequence[RowJson]) -> dict[str, tuple[float, float]]:
    """Metric -> the best and the second figure of the methods that may be compared, without bias.

    Metrics with fewer than two such methods, or without a direction, have none.
    """
    best: dict[str, tuple[float, float]] = {}
    for name, metric in group["metrics"].items():
        scores = [
            row["scores"].get(name)
            for row in rows
            if row["kind"] == "method" and not row["not_comparable"]
        ]
        figures = [f for score in scores if (f := compared(score)) is not None]
        if len(figures) > 1 and metric["direction"] in ("up", "down"):
            figures.sort(reverse=metric["direction"] == "up")
            best[name] = (figures[0], figures[1])
    return best


def statistics_notes(group: GroupJson, rows: Sequence[RowJson]) -> list[str]:
    """The lines on errors, bias, nulls and ranks, in this order."""
    scores = [s for row in rows for s in row["scores"].values() if s["value"] is not None]
    notes: list[str] = []
    if any(s["se"] for s in scores):
        notes.append("± is one standard error; the ± of two rows is not the ± of their difference")
    for name in group["metrics"]:
        notes += _bias_notes(name, rows)
    if any(shown_p(row, s) is not None for row in rows for s in row["scores"].values()):
        notes.append("p: the part of random relabellings of clips with a figure as high")
    notes += _null_notes(group, rows)
    if any(s["rank"] for s in scores):
        pairs, level = group["comparisons"]["pairs"], group["comparisons"]["level"]
        notes.append(
            "(2–3) is a rank among rows of equal conditioning; a range is a tie "
            f"({family(pairs, level)})"
        )
    return notes


def _bias_notes(metric: str, rows: Sequence[RowJson]) -> list[str]:
    """What few clips add to a set metric, row by row, and what it is without that."""
    biased = _biased(metric, rows)
    if not biased:
        return []
    title = clean(column_title(metric, ""))
    listed = ", ".join(f"{clean(row['row'])} {_corrected(s, metric)}" for row, s in biased)
    # Most scores say themselves that they rest on few clips.
    said = any("unreliable" in (s["reason"] or "") for _, s in biased)
    notes = [
        real_clips_line(metric, rows),
        f"{title} without the bias of few clips, by which rows are compared: {listed}",
        "" if said else small_n_line(metric, rows),
    ]
    return [note for note in notes if note]


def _biased(metric: str, rows: Sequence[RowJson]) -> list[tuple[RowJson, ScoreJson]]:
    """Rows of a set metric with a correction, where one is worth a word; () of one without a bias.

    A metric that is unbiased, such as KVD, has no correction. Of a plugin's metric that declares
    nothing, one within the error is not mentioned, nor is that of an FVD of many clips.
    """
    # The same clips against themselves are 0 and say nothing.
    shown = [row for row in rows if row["kind"] != "ceiling" and metric in row["scores"]]
    scored = [(row, row["scores"][metric]) for row in shown]
    biased = [(row, s) for row, s in scored if s["bias"] is not None and s["value"] is not None]
    return biased if any(_is_noticeable(s) for _, s in biased) else []


def _is_noticeable(score: ScoreJson) -> bool:
    """Whether a bias is more than noise, and than what rounding leaves of none."""
    bias, value = score["bias"] or 0.0, score["value"] or 0.0
    return bias > max(score["se"] or 0.0, 1e-6 * abs(value))


def real_clips_line(metric: str, rows: Sequence[RowJson]) -> str:
    """What a set metric is where there is no difference; "" where that is 0, or not known."""
    for row, s in _biased(metric, rows):
        own = row["kind"] == "floor"
        value, n = (s["value"], s["n"]) if own else (s["floor"], s["floor_n"])
        if value is not None:
            about = float(f"{value:.2g}")  # two digits: it is another number every time
            title = clean(column_title(metric, ""))
            return f"{title}: two sets of real clips give about {about:g} at n = {n}, 0 with many"
    return ""


def small_n_line(metric: str, rows: Sequence[RowJson]) -> str:
    """That the bias estimate of a set metric rests on few clips; "" where it does not."""
    few = sorted({s["n"] for _, s in _biased(metric, rows) if s["n"] < SMALL_N})
    title, counts = clean(column_title(metric, "")), ", ".join(map(str, few))
    if not few:
        return ""
    return f"{title} is unreliable at n = {counts} < {SMALL_N}: the bias estimate finds half of it"


def no_comparison(rows: Sequence[RowJson]) -> str:
    """Why no row is compared with a null; "" where some are, or there is nothing to compare."""
    against = [n for row in rows for n in row["nulls"]]
    methods = [row for row in rows if row["kind"] == "method" and row["scores"]]
    if methods and not against:
        return "no comparison with trivial baselines: none was run"
    if not against or any(n["claim"] is not None for n in against):
        return ""
    reasons = {n["reason"] or "" for n in against}
    return f"no comparison with trivial baselines: {'; '.join(sorted(reasons))}"


def _corrected(score: ScoreJson, metric: str) -> str:
    error = score["corrected_se"] or score["se"]
    corrected, bias = score["corrected"], score["bias"]
    assert corrected is not None and bias is not None  # only biased scores are listed
    return f"{rounded(corrected, error, metric)} (bias {rounded(bias, error, metric)})"


def _null_notes(group: GroupJson, rows: Sequence[RowJson]) -> list[str]:
    """Differences to the nearest null, metric by metric, and what the marks mean."""
    if not any(row["nulls"] for row in rows):
        return []
    none = no_comparison(rows)
    if none:
        return [none]
    notes: list[str] = []
    for name in group["metrics"]:
        parts = [_nearest(row, name) for row in rows]
        if any(parts):
            title = clean(column_title(name, ""))
            listed = ", ".join(part for part in parts if part)
            notes.append(
                f"{title} less that of the nearest trivial baseline, over the same clips: {listed}"
            )
    comparisons = group["comparisons"]
    notes.append(
        f"{NOT_BETTER} not shown to beat a trivial baseline, {WORSE} worse than one "
        f"({family(comparisons['nulls'], comparisons['level'])})"
    )
    return notes


def _nearest(row: RowJson, metric: str) -> str:
    """ "mine +118 ± 43 (copy-last) ▼": the null nearest to a row, and any it is worse than."""
    known = [
        n
        for n in row["nulls"]
        if n["metric"] == metric and n["difference"] is not None and n["se"] is not None
    ]
    if not known:
        return ""
    nearest = min(known, key=lambda n: abs(n["difference"] or 0.0))
    worse = [n for n in known if n["claim"] == "worse" and n is not nearest]
    parts = [_one_null(n, metric) for n in (nearest, *worse)]
    return f"{clean(row['row'])} {' and '.join(parts)}"


def _one_null(null: NullJson, metric: str) -> str:
    difference, se = null["difference"] or 0.0, null["se"]
    text = rounded(difference, se, metric)
    sign = "+" if difference > 0 else ""
    error = f" ± {rounded(se, se, metric)}" if se else ""
    marks = {"worse": f" {WORSE}", "not better": f" {NOT_BETTER}"}
    return f"{sign}{text}{error} ({clean(null['null'])}){marks.get(null['claim'] or '', '')}"


def family(count: int, level: float) -> str:
    """How many comparisons stand together behind the claims of a table, and what that bounds."""
    plural = "" if count == 1 else "s"
    part = f"{100 * level:g} %"
    return f"{count} comparison{plural} together, Holm: a false one in at most {part} of tables"
