"""What shows without reading a file that its bytes are those that were hashed before.

Size and modification time alone do not: `tar`, `rsync -t`, `cp -a` and `os.utime` put other bytes
of equal size under the same path with the same time. The change time cannot be set by a program,
and a file that was renamed over another one has another inode.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

SETTLE_NS = 2_000_000_000
"""A file must have been at rest for this long when it was looked at: times of some file systems
come in steps of up to 2 s (FAT), so that a later write may leave no trace in them."""


@dataclass(frozen=True)
class Stamp:
    """How a file, or a set of files, looked when it was last looked at.

    Attributes:
        text: size, modification time, change time and inode, of every file; "" where there is none.
        settled: whether all files had been at rest for `SETTLE_NS` by then.
    """

    text: str
    settled: bool

    def proves(self, now: Stamp) -> bool:
        """Whether files that look like `now` hold what they held when this stamp was taken."""
        return self.settled and bool(self.text) and self.text == now.text


GONE = Stamp("", settled=False)


def stamp_of(status: os.stat_result, looked_ns: int) -> Stamp:
    """The stamp of one file.

    Args:
        status: of the file; links are followed.
        looked_ns: `time.time_ns()` from before the status was read.
    """
    text = f"{status.st_size}:{status.st_mtime_ns}:{status.st_ctime_ns}:{status.st_ino}"
    newest = max(status.st_mtime_ns, status.st_ctime_ns)
    return Stamp(text, settled=newest <= looked_ns - SETTLE_NS)


def file_stamp(path: Path) -> Stamp:
    """The present stamp of a file; GONE where it cannot be looked at."""
    looked = time.time_ns()
    try:
        return stamp_of(path.stat(), looked)
    except OSError:
        return GONE


def joint_stamp(named: Iterable[tuple[str, Stamp]]) -> Stamp:
    """One stamp of several named files, in whatever order they come."""
    pairs = sorted(named, key=lambda pair: pair[0])
    lines = "\n".join(f"{name}\0{stamp.text}" for name, stamp in pairs)
    text = hashlib.sha256(lines.encode("utf-8", "surrogateescape")).hexdigest()
    return Stamp(text, settled=all(stamp.settled for _, stamp in pairs))
