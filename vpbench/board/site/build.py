"""Builds the site from a folder of leaderboards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vpbench.api.errors import MissingData
from vpbench.board.reported import FILE, read_reported
from vpbench.board.site.accepted import accepted_entries
from vpbench.board.site.assemble import assemble
from vpbench.board.site.clips import play_clips
from vpbench.board.site.comparison import Compared
from vpbench.board.site.pages import Clips
from vpbench.board.site.render import render
from vpbench.core.files import write_json
from vpbench.core.outdir import out_folder
from vpbench.core.paths import Paths
from vpbench.core.progress import Report
from vpbench.core.registry import Registry
from vpbench.core.schema import GroupJson

RECORD = "site.json"
SITE = "vpbench.site/1"


@dataclass(frozen=True)
class Built:
    """What was built.

    Attributes:
        entries, tasks, methods: how many.
        size: bytes of all files.
        refused: file -> why its entry is not on the site.
    """

    folder: Path
    entries: int
    tasks: int
    methods: int
    size: int
    refused: Mapping[str, tuple[str, ...]]


def build_site(
    root: Path,
    out: Path,
    registry: Registry,
    *,
    paths: Paths | None = None,
    force: bool = False,
    report: Report | None = None,
) -> Built:
    """Write the site of all entries that are accepted.

    The same entries give the same bytes. `out` appears when it is complete.

    Args:
        root: the folder of leaderboards.
        out: a new or an empty folder.
        paths: where runs lie; those of entries are shown as clips. None for pages without.
        force: an earlier site in `out` may be replaced.

    Raises:
        MissingData: there is no such folder, or nothing in it.
        HashMismatch: a run's stored file is not what was written.
        Corrupt: a file of papers' figures, recalls or tasks cannot be read.
        UsageError: `out` holds something else.
        Unwritable: `out` cannot be written; nothing is left.
    """
    if not root.is_dir():
        raise MissingData(f"there is no folder {root}.", fix="Name one with --entries DIR.")
    reported = read_reported(root / FILE)
    found = accepted_entries(root, registry)

    def play(group: GroupJson, compared: Compared) -> Clips | None:
        return play_clips(group, compared, registry, paths, report) if paths else None

    site = assemble(found.sources, reported, play)
    files = render(site)
    with out_folder(out, RECORD, force) as work:
        for name, content in files.items():
            path = work / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        entries = sorted({name.partition("/")[0] for name in files})
        write_json(work / RECORD, {"schema": SITE, "entries": entries})
    return Built(
        folder=out,
        entries=len(found.sources),
        tasks=len(site.tasks),
        methods=len(site.methods),
        size=sum(map(len, files.values())),
        refused=found.refused,
    )
