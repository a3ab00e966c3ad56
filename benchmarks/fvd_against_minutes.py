"""FVD of trained methods against the minutes that their training took, as a picture and a table.

    python benchmarks/fvd_against_minutes.py ours villegas li --runs runs --out docs/minutes.png

reads finished runs and computes nothing: FVD without bias over the test clips, and of each run the
seconds that its stages recorded when they were trained, one after the other. Untrained rows are
lines. A folder of runs may be given several times, such as one of earlier checkpoints; of equal
trainings the first counts.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from released_bounds import METRIC, column_of

from vpbench.core.names import MethodRef
from vpbench.core.registry import registry
from vpbench.core.samples import figure
from vpbench.harness.results.finished_runs import FinishedRun, newest
from vpbench.harness.results.ranking import Row, sample_of

LINES = {"copy-last": "copy last frame", "real-other": "other real clips"}
"""Untrained rows that are drawn as lines."""

MARKERS = {"cpu": "o", "cuda": "^"}
"""Of the kind of device."""

COLOURS = ("#0072b2", "#009e73", "#d55e00", "#cc79a7", "#111111")
"""Of methods, for readers who tell red from green and for those who do not (Okabe and Ito 2008)."""

TICKS = (1, 2, 5, 10, 20, 50, 100, 200, 500)

PLACES = [
    (side * 8, up, "left" if side > 0 else "right")
    for up in (0, 9, -9, 18, -18, 27, -27)
    for side in (1, -1)
]
"""Where the name of a point may stand, points from it, and which end of it is there."""


@dataclass(frozen=True)
class Point:
    """A trained row.

    Attributes:
        name: the method without its preset.
        minutes: of all its stages, one after the other.
        value, low, high: FVD without bias and its 95 % interval.
    """

    name: str
    preset: str
    device: str
    threads: int
    minutes: float
    value: float
    low: float
    high: float

    @property
    def where(self) -> str:
        """What it was trained on."""
        cores = "CPU core" if self.threads == 1 else "CPU cores"
        return "GPU" if self.device == "cuda" else f"{self.threads} {cores}"

    @property
    def method(self) -> str:
        """The method's own name, without parameters."""
        return self.name.partition("[")[0]


def short_name(name: str, preset: str) -> str:
    """A method's name without the preset that stands beside it, unless it is a design of its own.

    >>> short_name("li[preset=gpu,refiner=off]", "gpu"), short_name("ours[preset=plus]", "plus")
    ('li[refiner=off]', 'ours[preset=plus]')
    """
    ref = MethodRef.parse(name)
    if preset not in ("cpu", "gpu") or "preset" not in ref.params:
        return name
    left = [f"{k}={v}" for k, v in ref.params.items() if k != "preset"]
    return ref.base + (f"[{','.join(left)}]" if left else "")


def measured(run: FinishedRun, name: str, frames: int) -> tuple[float, float, float] | None:
    """FVD without bias and its 95 % interval; None where the run has none."""
    if (METRIC, frames) not in run.scores:
        return None
    sample = sample_of(Row(name, [run]), frames, column_of(run.scores[METRIC, frames]))
    found = None if sample is None else figure(sample)
    ends = None if found is None else found.interval()
    if found is None or found.estimate is None or ends is None:
        return None
    return found.estimate, *ends


def read(
    folders: Sequence[Path], task: str, frames: int, methods: Sequence[str] = ()
) -> tuple[list[Point], dict[str, float]]:
    """The trained rows, quickest first, and the values of the untrained ones that are lines.

    Args:
        methods: names without the presets cpu and gpu; all where there is none.
    """
    points: dict[tuple[str, str, str], Point] = {}
    lines: dict[str, float] = {}
    for folder in folders:
        for run in newest(folder, task, registry(()), None).values():
            name, preset = run.inputs["method"], run.inputs.get("preset") or ""
            value = measured(run, name, frames)
            if value is None:
                continue
            if name in LINES:
                lines.setdefault(LINES[name], value[0])
            trained = [s for s in run.stages if s["seconds"]]
            if not trained:
                continue
            minutes = sum(s["seconds"] for s in trained) / 60
            device = trained[0]["device"].partition(":")[0]
            point = Point(
                short_name(name, preset),
                preset,
                device,
                max(s["threads"] for s in trained),
                minutes,
                *value,
            )
            if not methods or point.name in methods:
                points.setdefault((point.name, preset, device), point)
    return sorted(points.values(), key=lambda p: p.minutes), lines


def table(points: Sequence[Point]) -> list[str]:
    """Lines of Markdown."""
    rows = [
        f"| `{p.name}` | {p.preset} | {p.where} "
        f"| {p.minutes:.1f} | {p.value:.0f} [{p.low:.0f}, {p.high:.0f}] |"
        for p in sorted(points, key=lambda p: (p.method, p.name, p.minutes))
    ]
    return [
        "| row | preset | trained on | minutes | FVD without bias |",
        "|---|---|---|---|---|",
        *rows,
    ]


def draw(points: Sequence[Point], lines: dict[str, float], note: str, out: Path) -> None:
    """Write the picture; the same pixels each time."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    methods = sorted({p.method for p in points})
    palette = dict(zip(methods, itertools.cycle(COLOURS), strict=False))
    with rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        page = Figure(figsize=(8.4, 5.2), dpi=150)
        axes: Any = page.add_axes((0.08, 0.1, 0.9, 0.83))
        for p in points:
            axes.errorbar(
                p.minutes,
                p.value,
                yerr=[[p.value - p.low], [p.high - p.value]],
                fmt=MARKERS.get(p.device, "s"),
                color=palette[p.method],
                ms=6,
                elinewidth=0.8,
                capsize=2,
            )
        times = [p.minutes for p in points]
        axes.set_xscale("log")
        axes.set_xlim(min(times) / 1.3, max(times) * 1.9)
        axes.set_ylim(0, 1.08 * max([p.high for p in points] + list(lines.values())))
        ticks = [t for t in TICKS if min(times) / 1.3 <= t <= max(times) * 1.9]
        axes.set_xticks(ticks, [str(t) for t in ticks])
        axes.set_xticks([], minor=True)
        axes.set_xlabel("minutes of training, all stages one after the other")
        axes.set_ylabel("FVD without bias: less is better")
        axes.set_title(note, loc="left", fontsize=9, color="#555555")
        _names(page, axes, points, lines, palette)
        page.savefig(out, metadata={"Software": None})


def _names(
    page: Any,
    axes: Any,
    points: Sequence[Point],
    lines: dict[str, float],
    palette: dict[str, str],
) -> None:
    """Write the name of each line and point, each point's at the first place where it fits."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.transforms import Bbox

    renderer = FigureCanvasAgg(page).get_renderer()
    taken: list[Any] = []
    for name, value in lines.items():
        axes.axhline(value, color="#777777", lw=0.9, ls=(0, (4, 3)))
        place = {"transform": axes.get_yaxis_transform(), "ha": "right", "va": "bottom"}
        label = axes.text(1, value, name, color="#555555", fontsize=8, **place)
        taken.append(label.get_window_extent(renderer))
    for p in points:
        x, y = axes.transData.transform((p.minutes, p.value))
        taken.append(Bbox.from_extents(x - 8, y - 8, x + 8, y + 8))
    for p in sorted(points, key=lambda p: p.value):
        style = {"color": palette[p.method], "fontsize": 7.5, "textcoords": "offset points"}
        label = None
        for dx, dy, side in PLACES:
            if label is not None:
                label.remove()
            at = {"xytext": (dx, dy), "ha": side, "va": "center"}
            label = axes.annotate(p.name, (p.minutes, p.value), **at, **style)
            if not any(label.get_window_extent(renderer).overlaps(other) for other in taken):
                break
        if label is not None:
            taken.append(label.get_window_extent(renderer))


def main() -> None:
    """Read, print the table, draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("methods", nargs="*", help="rows to show; default: all")
    parser.add_argument("--task", default="puppets")
    parser.add_argument("--runs", type=Path, action="append", help="default: runs; repeatable")
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--out", type=Path, help="a PNG file")
    args = parser.parse_args()
    points, lines = read(args.runs or [Path("runs")], args.task, args.frames, args.methods)
    if not points:
        raise SystemExit("no finished run of a trained method has a score of fvd.")
    print(*table(points), sep="\n")
    if args.out is not None:
        note = f"{args.task}: triangles trained on a GPU, circles on CPU cores; 95 % intervals"
        draw(points, lines, note, args.out)


if __name__ == "__main__":
    main()
