"""Where the parts of Penn Action are below a folder, and what to do when they are not."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from vpbench.api.errors import BadData, MissingData
from vpbench.data.folder.split import Role
from vpbench.data.splits import Split, load

LINK = "https://www.cis.upenn.edu/~kostas/Penn_Action.tar.gz"
GET = "Get it with: vpbench data prepare penn --download --root DIR"

_LINE = re.compile(r"frames/(\d{4}) (\d)")


def frames_root(root: Path | None) -> Path:
    """The folder that holds `frames` and `labels`.

    Raises:
        MissingData: no folder was named, it is not there, or it holds something else.
    """
    if root is None:
        raise MissingData(
            "penn needs the folder of Penn Action.",
            fix=f"Set VPBENCH_DATA to the folder that holds penn, or give --root DIR. {GET}",
        )
    if not root.is_dir():
        raise MissingData(f"{root} is not there.", fix=f"Give --root DIR. {GET}")
    for part in ("frames", "labels"):
        if not (root / part).is_dir():
            raise MissingData(f"{root} has no folder {part}.", fix=_hint(root, part))
    return root


def _hint(root: Path, part: str) -> str:
    """What to do about a missing folder: it may lie one or two levels deeper, or in an archive."""
    for depth in ("*", "*/*"):
        for inner in sorted(root.glob(f"{depth}/{part}")):
            if inner.is_dir():
                return f"It is in a folder below: give --root {shlex.quote(str(inner.parent))}"
    archive = next(iter(sorted(root.glob("*.tar.gz"))), None)
    if archive is not None:
        words = ["tar", "-xzf", str(archive), "-C", str(root), "--strip-components", "1"]
        return f"Extract {archive.name}: {shlex.join(words)}"
    return f"Extract all of Penn_Action.tar.gz there. {GET}"


def labels_folder(root: Path | None, dataset: str = "penn-puppets") -> Path:
    """The folder of the annotation files: `root/labels`, or `root` itself.

    Raises:
        MissingData: no folder was named, or there are no such files.
    """
    if root is None:
        raise MissingData(
            f"{dataset} needs Penn Action's annotation files (11 MB; no frames).",
            fix="Set VPBENCH_DATA to a folder that holds penn-labels or penn, or give --root DIR. "
            f"{GET}",
        )
    if not root.is_dir():
        raise MissingData(f"{root} is not there.", fix=f"Give --root DIR. {GET}")
    for folder in (root / "labels", root):
        if any(folder.glob("[0-9][0-9][0-9][0-9].mat")):
            return folder
    raise MissingData(f"{root} holds no labels/NNNN.mat.", fix=_hint(root, "labels"))


def clip_folder(root: Path, video: str) -> Path:
    """Where the frames of a video lie."""
    return root / "frames" / video


def frame_files(folder: Path, frames: int) -> list[Path]:
    """000001.jpg to the last frame."""
    return [folder / f"{k:06d}.jpg" for k in range(1, frames + 1)]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadData(
            f"{path} is not readable UTF-8 text: {error}.",
            fix="Write lines such as: frames/2289 0",
        ) from error


def own_split(root: Path) -> Split | None:
    """The split in the folder, as `train_set.txt` and `test_set.txt`; None without them.

    The lines are those of the published files: `frames/2289 0`, a video and its class.

    Raises:
        MissingData: only one of the files is there.
        BadData: a line cannot be read, or a video is listed twice.
    """
    files: dict[Role, Path] = {r: root / f"{r}_set.txt" for r in ("train", "test")}
    there = [path for path in files.values() if path.is_file()]
    if not there:
        return None
    if len(there) == 1:
        raise MissingData(
            f"{there[0]} is here without the other of train_set.txt and test_set.txt.",
            fix="Add it, or remove this one to use the published split.",
        )
    roles: dict[str, Role] = {}
    labels: dict[str, int] = {}
    for role, path in files.items():
        for number, line in enumerate(_text(path).split("\n"), 1):
            if not line.strip():
                continue
            match = _LINE.fullmatch(line.strip())
            if match is None or int(match[2]) >= len(load("penn").classes):
                raise BadData(
                    f"{path}, line {number} is {line!r}.", fix="Write lines such as: frames/2289 0"
                )
            if match[1] in roles:
                raise BadData(
                    f"{path}, line {number}: video {match[1]} is listed twice.", fix="Keep it once."
                )
            roles[match[1]], labels[match[1]] = role, int(match[2])
    return Split(load("penn").classes, roles, labels)


def split_warnings(name: str, split: Split) -> list[str]:
    """The warning for a split that is not the published one."""
    published = load("penn")
    if split.sha256() == published.sha256():
        return []
    return [
        f"{name}: train_set.txt and test_set.txt name {len(split.of('train'))} training and "
        f"{len(split.of('test'))} test videos, not the published 1172 and 90; scores get a "
        "fingerprint of their own."
    ]
