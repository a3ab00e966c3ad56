"""An analysis as one HTML file that needs nothing else, and as a table for terminals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

from vpbench.study import plots


def to_html(result: Mapping[str, Any]) -> str:
    """A page with tables and plots; works from the disk, light and dark."""
    questions = [_question(result, name, record) for name, record in result["questions"].items()]
    main = next(q for q in questions if q["id"] == result["main"])
    others = [q for q in questions if q is not main]
    return _template().render(result=result, questions=[main, *others], main=main)


@cache
def _template() -> Any:
    from jinja2 import Environment, StrictUndefined

    text = (resources.files("vpbench.study") / "report.html.j2").read_text("utf-8")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(
        number=_number, interval=_interval, share=_share, p=p_text, share_interval=_share_interval
    )
    return environment.from_string(text)


def _question(result: Mapping[str, Any], name: str, record: Mapping[str, Any]) -> dict[str, Any]:
    kept = record["kept"]
    rows = ranked(kept)
    drawn: dict[str, str] = {}
    if rows:
        k = float(len(rows))
        drawn["means"] = plots.intervals(
            rows, "mean_rank", "ci95", (1.0, k), "mean rank (1 is best), 95 % interval"
        )
        drawn["bars"] = plots.rank_bars(
            rows, "share of votes that gave rank 1, 2, … (from the left)"
        )
        drawn["worths"] = plots.intervals(
            rows,
            "log_worth",
            "log_worth_ci95",
            _worth_bounds(rows),
            "Plackett–Luce log-worth, 95 % interval",
        )
        for unit, test in (kept.get("nemenyi") or {}).items():
            if test:
                label = (
                    f"mean rank over {unit}; critical difference {test['critical_difference']:.2f}"
                )
                names = [m["method"] for m in kept["methods"]]
                drawn[f"nemenyi_{unit}"] = plots.critical_difference(test, names, label)
    return {
        "id": name,
        "title": result["titles"][name],
        "kept": kept,
        "all": record["all"],
        "rows": rows,
        "wins": _win_table(kept),
        "plots": drawn,
    }


def _worth_bounds(rows: Sequence[Mapping[str, Any]]) -> tuple[float, float]:
    ends = [v for r in rows for v in (r["log_worth_ci95"] or [r["log_worth"] or 0.0])]
    reach = max(0.5, *(abs(v) for v in ends))
    return (-1.05 * reach, 1.05 * reach)


def ranked(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Methods of a summary, best mean rank first."""
    return sorted(summary["methods"], key=lambda row: row["mean_rank"])


def _win_table(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    names = [m["method"] for m in summary["methods"]]
    order = [names.index(row["method"]) for row in ranked(summary)]
    return [{"method": names[i], "cells": [summary["wins"][i][j] for j in order]} for i in order]


TABLE_COLUMNS = ("method", "mean rank ± SD", "95 %", "first", "log-worth", "P(best)", "rank")


def table_rows(summary: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Cells of `TABLE_COLUMNS`, best first."""
    return [
        (
            row["method"],
            f"{row['mean_rank']:.2f} ± {row['sd']:.2f}",
            _interval(row["ci95"]),
            _share(row["first"]),
            f"{_number(row['log_worth'])} {_interval(row['log_worth_ci95'])}".strip(),
            _share(row["p_best"]),
            row["rank"] or "—",
        )
        for row in ranked(summary)
    ]


def test_lines(summary: Mapping[str, Any]) -> list[str]:
    """The tests and the agreement of a summary, one sentence each."""
    lines: list[str] = []
    for unit, test in summary["friedman"].items():
        if test["chi2"] is not None:
            lines.append(
                f"Friedman over {test['n']} {unit}: chi2({test['df']}) = {test['chi2']:.1f}, "
                f"p {p_text(test['p'])}"
            )
    alike = [f"{p['a']} and {p['b']}" for p in summary["pairs"] if not p["different"]]
    pairs = len(summary["pairs"])
    lines.append(
        f"two-way test over raters and clips, Holm for {pairs}: "
        + (f"not told apart: {'; '.join(alike)}" if alike else "all pairs differ")
    )
    by_unit = [
        f"{sum(p[f'p_{unit}'] < 0.05 for p in summary['pairs'])} of {pairs} over {unit}"
        for unit in ("clips", "raters")
    ]
    lines.append(f"signed-rank tests with Holm that reject: {', '.join(by_unit)}")
    w, alpha = summary["kendall_w"], summary["krippendorff_alpha"]
    lines.append(
        f"agreement: Kendall's W {_number(w['votes'])} over votes, {_number(w['within_clips'])} "
        f"within clips; Krippendorff's alpha {_number(alpha)}"
    )
    return lines


def _number(value: float | None, digits: int = 2) -> str:
    return "—" if value is None else f"{value:.{digits}f}".replace("-", "\N{MINUS SIGN}")


def _interval(ends: Sequence[float] | None) -> str:
    return "" if ends is None else f"[{_number(ends[0])}, {_number(ends[1])}]"


def _share(value: float | None) -> str:
    return "—" if value is None else f"{100 * value:.0f} %"


def _share_interval(ends: Sequence[float] | None) -> str:
    return "" if ends is None else f"{100 * ends[0]:.0f}–{100 * ends[1]:.0f} %"


def p_text(p: float | None) -> str:
    """`< 0.001`, `= 0.032`."""
    if p is None:
        return "—"
    return "< 0.001" if p < 0.001 else f"= {p:.3f}"
