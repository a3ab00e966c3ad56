"""Writes the tables of docs/metric-controls.md: what each shipped metric can tell from real clips.

    python tools/metric_controls.py
    python tools/metric_controls.py --weizmann DIR     # DIR has labels.csv and strips of 64x64

The first takes about 25 minutes on one core, of which I3D takes most; features are kept in the
cache. Tables stand between `<!-- NAME -->` and `<!-- end -->`; the rest of the page stays.
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
    dataset: str, wanted: list[Wanted], plugins: Registry
) -> tuple[list[tuple[str, ControlsJson]], list[str]]:
    """The table of each metric that has one, and why others have none."""
    clips = open_clips(dataset, None, None)
    with Progress("controls") as progress:
        fetch_metric_weights([w.spec for w in wanted], user_paths(), progress)
        rows = control_table(clips, wanted, plugins, cores(), progress)
    report = ControlReport(dataset, len(clips.items[0]), clips.task.horizon, rows)
    made = [(w.name, report.json(w.name)) for w in wanted]
    scored = [one for one in made if any(row["p"] is not None for row in one[1]["rows"])]
    missing = [
        f"`{name}`: {table['rows'][-1]['reason']}"
        for name, table in made
        if name not in dict(scored)
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


def write(name: str, lines: list[str]) -> None:
    """Replace the lines between `<!-- NAME -->` and the next `<!-- end -->`."""
    page = PAGE.read_text()
    part = re.compile(rf"(<!-- {re.escape(name)} -->\n).*?(<!-- end -->)", re.S)
    if not part.search(page):
        raise SystemExit(f"{PAGE} has no place for {name}.")
    text = "\n".join(lines)
    PAGE.write_text(part.sub(lambda found: f"{found[1]}{text}\n{found[2]}", page))


def main() -> int:
    """Score everything and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weizmann", type=Path, help="folder of the Weizmann set")
    parser.add_argument("--metrics", help="names, such as fvd,kvd; all by default")
    chosen = parser.parse_args()
    plugins = registry()
    place = "weizmann" if chosen.weizmann else "puppets"
    wanted = shipped(plugins, sets_only=bool(chosen.weizmann))
    if chosen.metrics:
        wanted = wanted_metrics(chosen.metrics.split(","), plugins)
    with tempfile.TemporaryDirectory() as folder:
        dataset = unmirrored(chosen.weizmann, Path(folder)) if chosen.weizmann else "puppets"
        made, missing = tables(dataset, wanted, plugins)
    lines = control_markdown(made)
    if missing:
        lines += ["", f"Not scored: {'; '.join(missing)}."]
    write(place, lines)
    return 0


if __name__ == "__main__":
    sys.exit(main())
