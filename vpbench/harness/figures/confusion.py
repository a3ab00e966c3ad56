"""The figure `confusion`: matrices of recognised classes, from a comparison."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from vpbench.api.errors import MissingData, UsageError
from vpbench.core import schema
from vpbench.core.files import make_folder, write_bytes, write_json
from vpbench.core.outdir import named_output
from vpbench.render.recognition import paint_confusion


def write_confusion(
    groups: Sequence[schema.GroupJson],
    metric: str,
    frames: int | None,
    out: Path,
    background: Literal["light", "dark"] = "light",
) -> dict[str, Any]:
    """Write a PNG for each column of recognised classes, and `confusion.json`.

    Args:
        frames: only scores over so many frames; None for all.

    Returns:
        The record.

    Raises:
        UsageError: the folder is a file.
        MissingData: no run has such a score.
        Unwritable: the folder cannot be written.
    """
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file.", fix="Name a folder with --out DIR.")
    panels: list[dict[str, Any]] = []
    pictures: dict[str, bytes] = {}
    for group in groups:
        if frames not in (None, group["frames"]):
            continue
        for name, found in group.get("recognition", {}).items():
            subset = group["task"].get("subset") or ""
            where = "-".join(filter(None, (group["task"]["id"], subset, str(group["frames"]))))
            stem = f"confusion-{where}-{name}".replace("#", "-").replace("/", "_")
            title = f"{name} on {where}: asked for (lines), recognised (columns)"
            pictures[f"{stem}.png"] = _png(paint_confusion(found, title, background))
            task = {"id": group["task"]["id"], "subset": subset, "frames": group["frames"]}
            panels.append({"task": task, "metric": name, **found})
    if not panels:
        raise MissingData(
            f"no finished run has a score of {metric} that recognises classes.",
            fix=f"Score it: vpbench score METHOD --metrics {metric}",
        )
    record = {
        "schema": schema.FIGURE,
        "figure": "confusion",
        "files": list(pictures),
        "panels": panels,
    }
    with named_output():
        make_folder(out)
        for name, data in pictures.items():
            write_bytes(out / name, data)
        write_json(out / "confusion.json", record)
    return record


def _png(pixels: Any) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()
