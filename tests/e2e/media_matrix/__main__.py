"""`python -m tests.e2e.media_matrix`: every cell with its verdict, as a Markdown table."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.e2e.media_matrix import array_files, layouts, pictures, videos
from tests.e2e.media_matrix.cell import Cell, check


def all_cells() -> Iterator[Cell]:
    """Every cell, in groups."""
    for group in (videos, layouts, pictures, array_files):
        yield from group.cells()


def main() -> int:
    """Print the table; 1 where a cell does not hold."""
    failed = 0
    sys.stdout.write("| file | verdict | noted |\n|---|---|---|\n")
    for cell in all_cells():
        with tempfile.TemporaryDirectory() as folder:
            try:
                verdict = check(cell, Path(folder))
            except AssertionError as error:
                failed += 1
                verdict = f"WRONG: {error}"
        sys.stdout.write(f"| {cell.name} | {verdict} | {', '.join(cell.changes)} |\n")
    return int(failed > 0)


if __name__ == "__main__":
    raise SystemExit(main())
