"""Whiskers lie where their figures do; axes hold all that decides them."""

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.board.site_entries import CLIPS, entry, score, task, usual, with_scores
from vpbench.board.entry import entry_bytes
from vpbench.board.reported import ReportedFigures
from vpbench.board.site.assemble import Source, assemble
from vpbench.board.site.pages import Figure
from vpbench.render.text import figure_range


def tables(entries):
    sources = [Source(e, entry_bytes(e), {}) for e in entries]
    return assemble(sources, ReportedFigures()).tasks[0].tables


def figures(table, metric):
    place = next(k for k, c in enumerate(table.columns) if c.metric == metric)
    return {row.entry.method: row.cells[place] for row in table.rows}, table.axes[place]


@pytest.mark.parametrize("seed", range(3))
def test_a_whisker_lies_on_its_column_s_axis_as_its_interval_does(seed):
    draw = np.random.default_rng(seed)
    made = [
        with_scores(
            entry(f"m{k}"),
            [score(task(), "psnr", draw.uniform(5, 40), spread=draw.uniform(0.1, 9), seed=k)],
        )
        for k in range(draw.integers(2, 9))
    ]
    (table,) = tables(made)
    found, axis = figures(table, "psnr")
    for one in made:
        record, whisker = found[one.method.name].score, found[one.method.name].whisker
        for end, place in zip(
            (record["ci95"][0], record["value"], record["ci95"][1]),
            (whisker.low, whisker.at, whisker.high),
            strict=True,
        ):
            assert place == pytest.approx(100 * (end - axis.low) / (axis.high - axis.low), abs=0.01)
        assert 0 <= whisker.low <= whisker.at <= whisker.high <= 100 and not whisker.cut
    lows = [found[o.method.name].score["ci95"][0] for o in made]
    highs = [found[o.method.name].score["ci95"][1] for o in made]
    assert axis.low < min(lows) and max(highs) < axis.high
    assert max(highs) - min(lows) > 0.9 * (axis.high - axis.low)  # it uses its column


def test_rows_that_lie_far_off_are_cut_and_do_not_squeeze_the_others():
    (table,) = tables(usual())
    found, axis = figures(table, "psnr")
    assert axis.low > 15 and found["noise"].whisker.cut == "low"
    assert found["noise"].whisker.at == 0 and not found["third"].whisker.cut


def test_one_row_and_one_without_a_figure():
    alone = with_scores(entry("alone"), [score(task(), "psnr", 20.0)])
    other = with_scores(entry("other"), [score(task(), "ssim", 0.5)])
    (table,) = tables([alone, other])
    found, _ = figures(table, "ssim")
    assert found["alone"].whisker is None and found["alone"].order is None
    assert found["alone"].reason and found["alone"].cell.text == "—"
    assert isinstance(found["other"], Figure) and 0 < found["other"].whisker.at < 100
    assert [row.name for row in table.methods] == ["alone", "other"]  # no PSNR comes last


@pytest.mark.parametrize(
    ("low", "high", "ends"),
    [
        (430.2, 2428.7, ("430", "2429")),
        (0.158, 0.8874, ("0.16", "0.89")),
        (-3.6, 844.0, ("-4", "844")),
        (19.91, 20.04, ("19.91", "20.04")),
        (0.5, 0.5, ("0.50", "0.50")),
        (-0.001, 0.4, ("0.00", "0.40")),
    ],
)
def test_the_ends_of_an_axis_have_the_digits_that_tell_them_apart(low, high, ends):
    assert figure_range(low, high) == ends


def detailed(name, psnr, seed):
    """An entry with curves and classes, whose `n`-th clip is of class n % 3."""
    scores = [
        replace(score(task(), "psnr", psnr, seed=seed), curve=tuple(psnr - t for t in range(16)))
    ]
    labels = tuple(k % 3 for k in range(len(CLIPS)))
    return replace(
        with_scores(entry(name), [*scores, score(task(), "ssim", 0.7, seed=seed)]),
        classes=("jump", "run <b>", "wave"),
        labels=labels,
    )


def sections(entries, recalled=None):
    sources = [Source(e, entry_bytes(e), (recalled or {}).get(e.id, {})) for e in entries]
    page = assemble(sources, ReportedFigures()).tasks[0]
    return {section.title: section.body for section in page.details}


def test_curves_and_classes_stand_below_the_table_without_what_was_recalled():
    made = [detailed("mine", 20.0, 1), detailed("other", 22.0, 2), entry("noise", 8.0)]
    found = sections(made)
    assert list(found) == ["Error over time", "By class"]
    assert found["Error over time"].count("<figure>") == 1  # SSIM has no curves here
    assert "mine" in found["Error over time"] and "noise" not in found["Error over time"]
    assert "run &lt;b&gt;" in found["By class"] and "<b>" not in found["By class"]
    values = made[0].runs[0].scores[0].values[::3]
    assert f">{sum(values) / len(values):.1f}<" in found["By class"]
    key = next((s.metric, s.frames, s.fp8) for s in made[0].runs[0].scores if s.metric == "psnr")
    without = sections(made, {made[0].id: {key: "wrong"}})
    assert "mine" not in without["Error over time"] and "other" in without["Error over time"]
    assert f">{sum(values) / len(values):.1f}<" not in without["By class"].partition("SSIM")[0]
