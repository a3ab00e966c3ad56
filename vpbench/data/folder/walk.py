"""Which files and folders of a tree are clips. Looks at names, sizes and image headers only."""

from __future__ import annotations

import os
import time
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from vpbench.api.errors import BadData, VpbenchError
from vpbench.core.stamps import GONE, Stamp, file_stamp, joint_stamp, stamp_of
from vpbench.data.folder.findings import Findings
from vpbench.media import kinds
from vpbench.media.kinds import ARRAY_SUFFIXES, CLIP_SUFFIXES, IMAGE_SUFFIXES, Reading

LABELS = "labels.csv"

_TOP_SUFFIXES = frozenset(
    {
        ".csv",
        ".htm",
        ".html",
        ".json",
        ".log",
        ".md",
        ".pdf",
        ".rst",
        ".sh",
        ".py",
        ".toml",
        ".tsv",
        ".txt",
        ".yaml",
        ".yml",
        ".xml",
        ".bib",
    }
)
"""Beside the clips, at the top, such files describe them."""
_ANYWHERE = ("readme", "license", "licence", "copying", "notice", "changelog", "citation")
_LITTER = frozenset({"thumbs.db", "desktop.ini", "__macosx"})


@dataclass(frozen=True)
class Source:
    """Where a clip is stored.

    Attributes:
        id: NFC POSIX path without extension.
        rel: path under the root as it is stored, POSIX; "." for the root itself.
        stamp: shows whether its bytes may have changed since.
        image: whether `layout=` and `frame=` decide how it is read.
        part: which clip of an array that holds several; None where the file is one clip.
    """

    id: str
    rel: str
    stamp: Stamp
    image: bool
    part: int | None = None

    def reading(self, how: Reading) -> Reading:
        """How this clip is read where its folder is read like that."""
        return how if self.part is None else replace(how, part=self.part)


@dataclass(frozen=True)
class Entry:
    """A file and how it looked."""

    name: str
    stamp: Stamp

    @property
    def suffix(self) -> str:
        """In lower case, with the dot."""
        return os.path.splitext(self.name)[1].lower()


@dataclass(frozen=True)
class Folder:
    """A folder with the files that may be clips."""

    rel: str
    files: tuple[Entry, ...]
    folders: int

    def images(self) -> tuple[Entry, ...]:
        """Files named like still images."""
        return tuple(file for file in self.files if file.suffix in IMAGE_SUFFIXES)


Decision = Callable[[str, Stamp, Callable[[], str]], str]
"""decision(rel, stamp, decide): the stored answer of `decide`, or a new one."""


def sources(root: Path, how: Reading, findings: Findings, remember: Decision) -> list[Source]:
    """All clips of a tree in the order of their ids; what is wrong goes to `findings`."""
    listed: list[Source] = []
    for folder in _folders(root, findings):
        clips = _clips(root, folder, how, findings, remember)
        empty = not clips and not folder.folders and folder.rel != "." and not folder.files
        if empty and not findings.sidecars:  # such a folder may hold sidecars only
            findings.bad(
                root / folder.rel,
                f"{root / folder.rel} holds no clips.",
                "Put clips there or remove the folder.",
            )
        listed.extend(clips)
    return _unique(root, listed, findings)


def present_stamp(root: Path, rel: str) -> Stamp:
    """The stamp of a clip as it is now; GONE when it is not there."""
    path = root / rel
    try:
        if not path.is_dir():
            return file_stamp(path)
        with os.scandir(path) as listing:
            files = [_entry(e) for e in listing if e.is_file() and not _hidden(e.name)]
    except OSError:
        return GONE
    return _images_stamp(tuple(f for f in files if f.suffix in IMAGE_SUFFIXES))


def _clips(
    root: Path, folder: Folder, how: Reading, findings: Findings, remember: Decision
) -> list[Source]:
    images = folder.images()
    single = [file for file in folder.files if file.suffix not in IMAGE_SUFFIXES]
    clips: list[Source] = []
    if images:
        stamp = _images_stamp(images)
        paths = [root / folder.rel / file.name for file in images]
        try:
            meaning = remember(folder.rel, stamp, lambda: _meaning(root / folder.rel, paths, how))
        except VpbenchError as error:
            findings.error(root / folder.rel, error)
            meaning = "unknown"
        if meaning == "frames":
            name = root.name if folder.rel == "." else folder.rel
            clips.append(Source(_nfc(name), folder.rel, stamp, True))
        elif meaning == "files":
            single.extend(images)
    for file in single:
        rel = file.name if folder.rel == "." else f"{folder.rel}/{file.name}"
        image = file.suffix in IMAGE_SUFFIXES
        whole = Source(_nfc(os.path.splitext(rel)[0]), rel, file.stamp, image)
        if "N" in how.axes and file.suffix in ARRAY_SUFFIXES:
            clips.extend(_parts(root, whole, how, findings, remember))
        else:
            clips.append(whole)
    return clips


def _parts(
    root: Path, whole: Source, how: Reading, findings: Findings, remember: Decision
) -> list[Source]:
    """The clips of one array, numbered."""
    from vpbench.media import arrays

    path = root / whole.rel

    def count() -> str:
        return str(arrays.parts(path, kinds.kind(path), how.axes))

    try:
        clips = int(remember(f"{whole.rel}", whole.stamp, count))
    except VpbenchError as error:
        findings.error(path, error)
        return []
    return [replace(whole, id=f"{whole.id}-{k:05d}", part=k) for k in range(clips)]


def _meaning(folder: Path, paths: list[Path], how: Reading) -> str:
    """ "files" when each image is a clip, "frames" when together they are one.

    Raises:
        BadData: it can be neither, or an image cannot be read.
    """
    from vpbench.media import images

    if how.layout == "strips" or how.frame is not None:
        return "files"
    still: list[tuple[Path, int, int]] = []
    for path in paths:
        if kinds.kind(path) not in ("image", "gif"):
            continue  # a video that is named like an image is a clip of its own
        head = images.header(path)
        if head.frames == 1:
            still.append((path, head.height, head.width))
    if not still:
        return "files"
    long = [w % h == 0 and w // h >= images.MIN_STRIP for _, h, w in still]
    if how.layout == "auto" and all(long):
        return "files"
    _check_frames(folder, paths, still, how)
    images.in_order(paths, how)
    return "frames"


def _check_frames(
    folder: Path, paths: list[Path], still: list[tuple[Path, int, int]], how: Reading
) -> None:
    from vpbench.media import images

    fix = "Set layout=strips or layout=frames (frame=WxH for other strips)."
    if len(still) < len(paths):
        raise BadData(f"{folder} mixes still images with animations.", fix="Keep them apart.")
    path, height, width = still[0]
    for other, h, w in still:
        if (h, w) != (height, width):
            raise BadData(
                f"{folder}: {path.name} is {width}x{height} px and {other.name} is {w}x{h} px, "
                "so the images are neither all strips nor the frames of one clip.",
                fix=fix,
            )
    if how.layout == "auto" and width >= images.MIN_STRIP * height:
        raise BadData(
            f"{path} is {width}x{height} px, neither a strip of square frames nor like a frame.",
            fix=fix,
        )


def _folders(root: Path, findings: Findings) -> Iterator[Folder]:
    """Every folder below `root`, itself first, in the order of names; links are followed."""
    stack: list[tuple[Path, str, frozenset[tuple[int, int]]]] = [(root, ".", frozenset())]
    while stack:
        path, rel, above = stack.pop()
        status = path.stat()
        here = (status.st_dev, status.st_ino)
        if here in above:
            findings.bad(path, f"{path} is a link to a folder above it.", "Remove the link.")
            continue
        try:
            files, names = _listing(path, rel == ".", findings)
        except OSError as error:
            findings.bad(path, f"{path} cannot be read: {error.strerror}.", "Allow reading it.")
            continue
        yield Folder(rel, tuple(files), len(names))
        for name in sorted(names, reverse=True):
            below = name if rel == "." else f"{rel}/{name}"
            stack.append((path / name, below, above | {here}))


def _listing(path: Path, top: bool, findings: Findings) -> tuple[list[Entry], list[str]]:
    files: list[Entry] = []
    folders: list[str] = []
    with os.scandir(path) as listing:
        for item in sorted(listing, key=lambda item: item.name):
            if _hidden(item.name):
                continue
            if not item.name.isprintable() or not _encodable(item.name):
                findings.bad(
                    path,
                    f"{path} holds the name {item.name!a}, which is not plain text.",
                    "Rename it.",
                )
            elif item.is_dir():
                folders.append(item.name)
            elif not item.is_file():
                findings.bad(
                    item.path,
                    f"{item.path} is a broken link or not a file.",
                    "Repair or remove it.",
                )
            elif _is_clip(item, top, findings):
                files.append(_entry(item))
    return files, folders


def _is_clip(item: os.DirEntry[str], top: bool, findings: Findings) -> bool:
    if os.path.splitext(item.name)[1].lower() in CLIP_SUFFIXES:
        return True
    if findings.passes_over(item.name) or _describes(item.name, top):
        return False
    return _holds_clip(Path(item.path), findings)


def _holds_clip(path: Path, findings: Findings) -> bool:
    """Whether a file with the name of no known type is a clip by its first bytes."""
    try:
        head = kinds.first_bytes(path)
    except VpbenchError as error:
        findings.error(path, error)
        return False
    found = kinds.by_magic(head)
    if found in ("mov", "avi", "matroska", "gif", "npy"):
        return True
    if found == "image":
        findings.bad(
            path, f"{path} is a picture whose name does not end like one.", "Name it .png or .jpg."
        )
        return False
    named = kinds.unread_type(head)
    what = f" ({named})" if named else ""
    findings.bad(
        path,
        f"{path} is of a type{what} that vpbench does not read.",
        "Convert it (mp4, avi, webm, mov, mkv, gif, npz, images), move it away, or start its name "
        "with a dot.",
    )
    return False


def _describes(name: str, top: bool) -> bool:
    stem = name.lower()
    return stem.startswith(_ANYWHERE) or (top and os.path.splitext(stem)[1] in _TOP_SUFFIXES)


def _hidden(name: str) -> bool:
    return name.startswith(".") or name.lower() in _LITTER


def _encodable(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _entry(item: os.DirEntry[str]) -> Entry:
    looked = time.time_ns()
    return Entry(item.name, stamp_of(item.stat(), looked))


def _images_stamp(files: tuple[Entry, ...]) -> Stamp:
    return joint_stamp((file.name, file.stamp) for file in files)


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _unique(root: Path, listed: list[Source], findings: Findings) -> list[Source]:
    kept: dict[str, Source] = {}
    for source in sorted(listed, key=lambda source: (source.id, source.rel)):
        first = kept.setdefault(source.id, source)
        if first is not source:
            findings.bad(
                root / source.rel,
                f"{root / first.rel} and {root / source.rel} are both clip {source.id!r}.",
                "Rename one of them.",
            )
    return list(kept.values())
