"""Pictures of a terminal for the docs: what a command prints at some width, with its styles.

    python tools/screenshots.py OUT.png --columns 80 -- vpbench compare ours li --runs runs

The command runs on a pseudo-terminal; rich draws what it wrote as SVG, which Chromium turns into a
PNG. Needs a system with `pty`, and `chromium` on the path.
"""

from __future__ import annotations

import argparse
import io
import os
import pty
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from PIL import Image
from rich.console import Console
from rich.terminal_theme import DEFAULT_TERMINAL_THEME
from rich.text import Text

_WIDTH_PX = 960
"""Of the finished picture."""


def output(command: Sequence[str], columns: int) -> str:
    """What a command writes to a terminal of some width, with the codes of its styles."""
    parent, child = pty.openpty()
    env = {**os.environ, "COLUMNS": str(columns), "TERM": "xterm-256color"}
    env.pop("NO_COLOR", None)
    # Small enough for the terminal's buffer to be read while it runs.
    with subprocess.Popen(command, stdout=child, stderr=subprocess.DEVNULL, env=env) as process:
        os.close(child)
        text = b""
        while True:
            try:
                part = os.read(parent, 65536)
            except OSError:  # the other end is closed
                break
            if not part:
                break
            text += part
        process.wait()
    os.close(parent)
    return text.decode().replace("\r\n", "\n").strip("\n")


def picture(command: Sequence[str], columns: int, out: Path, crop: int | None = None) -> None:
    """Draw what a command prints.

    Args:
        crop: only so many lines; None is all.
    """
    text = Text.from_ansi("\n".join(output(command, columns).split("\n")[:crop]))
    console = Console(record=True, width=columns, file=io.StringIO(), force_terminal=True)
    console.print(f"[bold]$ {' '.join(command)}[/bold]\n", highlight=False, soft_wrap=True)
    console.print(text, soft_wrap=True)
    svg = console.export_svg(title=f"{columns} columns", theme=DEFAULT_TERMINAL_THEME)
    with tempfile.TemporaryDirectory() as folder:
        page, shot = Path(folder) / "page.svg", Path(folder) / "shot.png"
        page.write_text(svg, encoding="utf-8")
        high, wide = _size(svg)
        words = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", f"--screenshot={shot}"]
        subprocess.run(
            [*words, f"--window-size={wide},{high}", page.as_uri()], check=True, capture_output=True
        )
        image = Image.open(shot).convert("RGB")
    height = round(image.height * _WIDTH_PX / image.width)
    small = image.resize((_WIDTH_PX, height), Image.Resampling.LANCZOS)
    small.quantize(64, method=Image.Quantize.MEDIANCUT).save(out, optimize=True)


def _size(svg: str) -> tuple[int, int]:
    """Height and width of a drawing in pixels, rounded up."""
    box = svg.partition('viewBox="')[2].partition('"')[0].split()
    return round(float(box[3]) + 0.5), round(float(box[2]) + 0.5)


def main() -> None:
    """Read the words and draw."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--columns", type=int, default=80)
    parser.add_argument("--lines", type=int)
    parser.add_argument("command", nargs="+")
    asked = parser.parse_args()
    picture(asked.command, asked.columns, asked.out, asked.lines)


if __name__ == "__main__":
    main()
