"""What verbs that write pages share: options, how much a page may hold, writing it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from vpbench.cli import options
from vpbench.core.files import make_folder, write_bytes
from vpbench.core.outdir import named_output

if TYPE_CHECKING:
    from vpbench.board.sections import Room

F = TypeVar("F", bound=Callable[..., Any])


def media_options(default: str) -> Callable[[F], F]:
    """--out, --clips, --media-folder.

    Args:
        default: where a page goes without --out.
    """
    return options.chain(
        click.option(
            "--out",
            type=click.Path(dir_okay=False, path_type=Path),
            metavar="FILE",
            help=f"The page.  [default: {default}]",
        ),
        click.option(
            "--clips",
            type=click.IntRange(1),
            metavar="N",
            help="Clips with a video in the page, at most.  [default: all that fit into 12 MB]",
        ),
        click.option(
            "--media-folder",
            is_flag=True,
            help="Videos of all other clips in a folder beside the page, which it needs then.",
        ),
    )


def room_of(out: Path | None, clips: int | None, media_folder: bool) -> Room:
    """How much a page may hold.

    Raises:
        UsageError: a folder beside standard output.
    """
    from vpbench.board.compare_page import WEIGHT
    from vpbench.board.sections import Room

    if media_folder and out is None:
        raise click.UsageError("--media-folder lies beside the page: name that with --out FILE.")
    folder = out.expanduser().absolute().with_suffix(".media") if media_folder and out else None
    return Room(WEIGHT, clips, folder)


def write_page(out: Path, page: str) -> dict[str, Any]:
    """Write a page whole or not at all; its path and size.

    Raises:
        Unwritable: the folder cannot be written.
    """
    path = out.expanduser().absolute()
    data = page.encode()
    with named_output("another file with --out FILE"):
        make_folder(path.parent)
        write_bytes(path, data)
    return {"file": str(out), "bytes": len(data)}
