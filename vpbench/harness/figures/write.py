"""Draws a figure and writes it, with a JSON that says exactly what it shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from vpbench.api.errors import UsageError
from vpbench.core import schema
from vpbench.core.files import make_folder, write_bytes, write_json
from vpbench.core.outdir import named_output
from vpbench.core.tasks import Task
from vpbench.harness.figures.sources import Figure
from vpbench.render.curves import CurvePlot, lay_out_curves
from vpbench.render.dots import DotPlot, paint_dots, paint_drawing
from vpbench.render.grid import Sheet, paint

Format = Literal["png", "pdf", "svg"]


def check_target(out: Path, kind: Format) -> None:
    """Refuse before anything is computed.

    Raises:
        UsageError: the folder is a file.
        MissingDependency: PDF and SVG need matplotlib.
    """
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file.", fix="Name a folder with --out DIR.")
    if kind != "png":
        from vpbench.render.vector import check_vector

        check_vector()


@dataclass(frozen=True)
class Style:
    """How figures are drawn.

    Attributes:
        titles: with title and caption.
        dpi: pixels for an inch, for print; None leaves it to the reader of a PNG.
    """

    background: Literal["light", "dark"] = "light"
    titles: bool = True
    dpi: int | None = None

    def of(self, sheet: Sheet | DotPlot | CurvePlot) -> Sheet | DotPlot | CurvePlot:
        """The sheet or plot in this style."""
        styled = replace(sheet, background=self.background)
        return styled if self.titles else replace(styled, title="", note="")


def write_figure(
    figure: Figure, task: Task, out: Path, kind: Format, style: Style
) -> dict[str, Any]:
    """Write every sheet and then the record; each file whole or not at all.

    An earlier figure of the same name is replaced.

    Returns:
        The record, `out/<figure>.json`.

    Raises:
        Unwritable: the folder cannot be written.
        MissingDependency: as `check_target`.
    """
    drawn = {
        f"{stem}.{kind}": _bytes(style.of(sheet), kind, style.dpi)
        for stem, sheet in figure.sheets.items()
    }
    record: dict[str, Any] = {
        "schema": schema.FIGURE,
        "figure": figure.name,
        "task": {
            "id": task.id,
            "dataset": task.dataset,
            "size": task.spec.size,
            "horizon": task.horizon,
            "split_hash": task.split_hash,
        },
        "files": list(drawn),
        **figure.record,
    }
    with named_output():
        make_folder(out)
        for name, data in drawn.items():
            write_bytes(out / name, data)
        write_json(out / f"{figure.name}.json", record)
    return record


def _bytes(sheet: Sheet | DotPlot | CurvePlot, kind: Format, dpi: int | None) -> bytes:
    if kind != "png":
        from vpbench.render.vector import vector_bytes

        return vector_bytes(sheet, kind, dpi)
    import io

    from PIL import Image

    buffer = io.BytesIO()
    printed: dict[str, Any] = {} if dpi is None else {"dpi": (dpi, dpi)}
    if isinstance(sheet, Sheet):
        pixels = paint(sheet)
    elif isinstance(sheet, DotPlot):
        pixels = paint_dots(sheet)
    else:
        pixels = paint_drawing(lay_out_curves(sheet))
    Image.fromarray(pixels).save(buffer, format="PNG", **printed)
    return buffer.getvalue()


def written(out: Path, record: dict[str, Any]) -> Sequence[Path]:
    """Paths of the files of a figure."""
    return [out / name for name in record["files"]]
