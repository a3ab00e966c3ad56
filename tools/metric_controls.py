"""Writes the tables of docs/metric-controls.md: what each shipped metric can tell from real clips.

    python tools/metric_controls.py
    python tools/metric_controls.py --weizmann DIR     # DIR has labels.csv and strips of 64x64
    python tools/metric_controls.py --metrics fvd,kvd  # these rows only; the others stay
    python tools/metric_controls.py --metrics fd-efficientnet --limit 12

The first takes about 20 minutes on one core with the metrics on I3D and flow; features are kept in
the cache. Distances of frames decompose a matrix of all frames 999 times a control: they are made
only where they are named, and want a limit. Tables stand between `<!-- NAME -->` and
`<!-- end -->`; the rest of the page stays. Metrics that could not be scored are said on the
standard error stream and have no row.
"""

from __future__ import annotations

import argparse
import csv
import re
import shutil
import sys
import tempfile
from pathlib import Path

from vpbench.cli.controls import open_clips
from vpbench.cli.progress import Progress
from vpbench.core.paths import user_paths
from vpbench.core.provenance import cores
from vpbench.core.registry import Registry, registry
from vpbench.core.schema import ControlsJson
from vpbench.harness.inputs.fetch import fetch_metric_weights
from vpbench.harness.scoring.score import Wanted, wanted_metrics
from vpbench.render.controls import control_markdown
from vpbench.testing.control_table import ControlReport, control_table

OF_FRAMES = ("fd-efficientnet", "fid")
"""Metrics that take hours on all clips: theirs are rows that must be asked for."""

PAGE = Path(__file__).parents[1] / "docs" / "metric-controls.md"


def shipped(plugins: Registry, sets_only: bool) -> list[Wanted]:
    """Every metric that comes with vpbench, with each of its recipes; not the best of N samples."""
    names: list[str] = []
    for entry in plugins.of("metric"):
        if not entry.of_vpbench or entry.status != "ok":
            continue
        spec = plugins.metric(entry.name)
        if sets_only and spec.kind != "set":
            continue
        names.append(spec.name)
        default = spec.params.get("recipe", "")
        names += [
            f"{spec.name}@{recipe}"
            for recipe in spec.recipes
            if recipe != default and not recipe.startswith("best")
        ]
    return wanted_metrics(names, plugins)


def tables(
    dataset: str, wanted: list[Wanted], plugins: Registry, workers: int, limit: int | None
) -> tuple[list[tuple[str, ControlsJson]], list[str]]:
    """The table of each metric that has one, and why others have none."""
    clips = open_clips(dataset, None, limit)
    with Progress("controls") as progress:
        fetch_metric_weights([f for w in wanted for f in w.weights], user_paths(), progress)
        rows = control_table(clips, wanted, plugins, workers, progress)
    report = ControlReport(dataset, len(clips.items[0]), clips.task.horizon, rows)
    made = [(w.name, report.json(w.name)) for w in wanted]
    scored = [one for one in made if any(row["p"] is not None for row in one[1]["rows"])]
    missing = [
        f"{name}: {table['rows'][-1]['reason']}" for name, table in made if name not in dict(scored)
    ]
    return scored, missing


def unmirrored(folder: Path, target: Path) -> str:
    """The clips of the Weizmann set without their mirror images, as a dataset of people."""
    with (folder / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    kept = [row for row in rows if row["mirrored"] == "0"]
    for row in kept:
        path = target / row["file"]
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / row["file"], path)
    with (target / "labels.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(kept[0]))
        writer.writeheader()
        writer.writerows(kept)
    return f"folder:{target}[horizon=16,group=subject]"


def place(page: str, name: str) -> re.Match[str]:
    """Where the lines between `<!-- NAME -->` and the next `<!-- end -->` are: group 1."""
    found = re.search(rf"<!-- {re.escape(name)} -->\n(.*?)<!-- end -->", page, re.S)
    if not found:
        raise SystemExit(f"{PAGE} has no place for {name}.")
    return found


def kept_rows(old: list[str], new: list[str], order: list[str]) -> list[str]:
    """A new table, and of an old one the rows that the new one has not.

    Args:
        old, new: lines of Markdown, a head and a rule first; `old` may be empty.
        order: of the rows; others stand last.
    """
    tables = [one for one in (new, old) if one]
    columns = max((_cells(one[0])[1:] for one in tables), key=len)
    rows: dict[str, dict[str, str]] = {}
    for table in tables:
        head = _cells(table[0])
        for name, *cells in map(_cells, table[2:]):
            rows.setdefault(name, dict(zip(head[1:], cells, strict=True)))
    rank = {name: k for k, name in enumerate(order)}
    lines = [f"| | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for name in sorted(rows, key=lambda row: rank.get(_name(row), len(rank))):
        lines.append(f"| {name} | {' | '.join(rows[name].get(c, '') for c in columns)} |")
    return lines


def _name(row: str) -> str:
    """The metric of a row, with its recipe."""
    return row.split("`")[1]


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().removeprefix("|").removesuffix("|").split("|")]


def main() -> int:
    """Score everything and write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weizmann", type=Path, help="folder of the Weizmann set")
    parser.add_argument("--metrics", help="names, such as fvd,kvd; all by default")
    parser.add_argument("--workers", type=int, default=cores(), help="processes; one a core")
    parser.add_argument("--limit", type=int, help="clips, which rows then say; all by default")
    chosen = parser.parse_args()
    plugins = registry()
    name = "weizmann" if chosen.weizmann else "puppets"
    place(PAGE.read_text(), name)
    every = shipped(plugins, sets_only=bool(chosen.weizmann))
    wanted = [one for one in every if one.spec.name not in OF_FRAMES]
    if chosen.metrics:
        wanted = wanted_metrics(chosen.metrics.split(","), plugins)
    with tempfile.TemporaryDirectory() as folder:
        dataset = unmirrored(chosen.weizmann, Path(folder)) if chosen.weizmann else "puppets"
        made, missing = tables(dataset, wanted, plugins, chosen.workers, chosen.limit)
    sys.stderr.writelines(f"{line}\n" for line in missing)
    if not made:
        return 1
    page = PAGE.read_text()
    there = place(page, name)
    old = there[1].splitlines()
    if not chosen.metrics:
        old = [line for line in old if line in old[:2] or _name(line).startswith(OF_FRAMES)]
    new = control_markdown(made)
    if chosen.limit:
        new = [re.sub(r"^(\| `[^`]+`)", rf"\1, {chosen.limit} clips", line) for line in new]
    lines = kept_rows(old, new, [one.name for one in every])
    PAGE.write_text(page[: there.start(1)] + "\n".join(lines) + "\n" + page[there.end(1) :])
    return 0


if __name__ == "__main__":
    sys.exit(main())
