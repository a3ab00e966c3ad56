"""Writing a study: DIR, all that may be public, and DIR.private, which holds the key."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from vpbench.api.errors import UsageError
from vpbench.api.types import Frames
from vpbench.core.files import json_bytes, write_bytes, write_json
from vpbench.core.hashing import file_sha256
from vpbench.core.outdir import check_out, out_folder
from vpbench.core.progress import Report, silent
from vpbench.core.seeding import seed_of
from vpbench.media.web import CONTAINERS, check_encoders, encode, enlargement, least_padding, padded
from vpbench.study.design import Plan, Sheet, make_sheets
from vpbench.study.files import KEY_SCHEMA, MANIFEST, MANIFEST_SCHEMA, PrivatePaths, as_script
from vpbench.study.gold import gold_versions
from vpbench.study.settings import Settings, preregistration, settings_toml

PAGE = (
    "index.html",
    "style.css",
    "icon.svg",
    "core.js",
    "ranking.js",
    "player.js",
    "link.js",
    "trial.js",
    "app.js",
)
_EPOCH = 1_577_836_800
"""2020-01-01: the time stamp of every file, so that none says in which order they were made."""


@dataclass(frozen=True)
class Contents:
    """What goes into a study.

    Attributes:
        methods: one record a method: name, run folder's name, sha256 of the run's manifest.
        clips: one record a clip: id, label, cluster.
        videos: (clip, method) -> uint8 [T,H,W,3].
        gold: one real clip a gold trial.
        task: fields of the task, for the key.
        design: "ranking" or "kim2019".
        power: what the export said about the number of raters.
    """

    methods: Sequence[dict[str, Any]]
    clips: Sequence[dict[str, Any]]
    videos: Callable[[int, int], Frames]
    gold: Sequence[Frames]
    task: dict[str, Any]
    plan: Plan
    design: str
    settings: Settings
    frames: int
    size: int
    fps: float
    power: Sequence[dict[str, Any]] = ()


def export(contents: Contents, out: Path, report: Report = silent) -> dict[str, Any]:
    """Write DIR and DIR.private, both whole or not at all.

    Returns:
        The manifest of DIR.

    Raises:
        UsageError: one of the two folders is there and not empty.
        MissingDependency: PyAV lacks an encoder.
    """
    check_encoders()
    private = PrivatePaths.of(out)
    if private.folder.exists() and any(private.folder.iterdir()):
        raise UsageError(
            f"{private.folder} is there and holds the key or the answers of a study.",
            fix="Name another place with --out DIR.",
        )
    check_out(out, MANIFEST, force=False)
    salt = secrets.token_hex(32)
    sheets = make_sheets(contents.plan)
    with (
        out_folder(out, MANIFEST, force=False) as public,
        out_folder(private.folder, private.key.name, force=False) as hidden,
    ):
        hidden.chmod(0o700)
        key = _key(contents, sheets, salt)
        _write_media(contents, key, public / "media", report)
        paths = PrivatePaths(hidden)
        write_json(paths.key, key)
        write_bytes(paths.settings, settings_toml(contents.settings).encode())
        write_bytes(paths.salt, secrets.token_hex(32).encode())
        manifest = _write_page(contents, key, file_sha256(paths.key), public)
    return manifest


def media_name(salt: str, kind: str, clip: int, version: int) -> str:
    """A name that says nothing without the salt."""
    return _opaque(salt, f"media {kind} {clip} {version}")


def _opaque(salt: str, text: str) -> str:
    return hmac.new(bytes.fromhex(salt), text.encode(), hashlib.sha256).hexdigest()[:20]


def _key(contents: Contents, sheets: Sequence[Sheet], salt: str) -> dict[str, Any]:
    """What turns answers into votes; secret until they are in."""
    k = contents.plan.methods
    return {
        "schema": KEY_SCHEMA,
        "salt": salt,
        "methods": list(contents.methods),
        "task": contents.task,
        "frames": contents.frames,
        "fps": contents.fps,
        "design": contents.design,
        "plan": asdict(contents.plan),
        "power": list(contents.power),
        "preregistration": preregistration(contents.settings, _design(contents)),
        "clips": [
            {**clip, "media": [media_name(salt, "clip", c, m) for m in range(k)]}
            for c, clip in enumerate(contents.clips)
        ],
        "gold": [
            {"media": [media_name(salt, "gold", g, v) for v in range(k)]}
            for g in range(contents.plan.gold)
        ],
        "sheets": [
            [
                {
                    "id": _opaque(salt, f"trial {number} {index}"),
                    "kind": trial.kind,
                    "clip": trial.clip,
                    "repeats": trial.repeats,
                    "slots": [
                        media_name(salt, "gold" if trial.kind == "gold" else "clip", trial.clip, m)
                        for m in trial.order
                    ],
                }
                for index, trial in enumerate(sheet)
            ]
            for number, sheet in enumerate(sheets)
        ],
    }


def _design(contents: Contents) -> dict[str, Any]:
    return {**asdict(contents.plan), "design": contents.design, "frames": contents.frames}


def _write_media(contents: Contents, key: dict[str, Any], folder: Path, report: Report) -> None:
    """Every video in both containers. All of one trial have the same number of bytes."""
    folder.mkdir()
    total = len(contents.clips) + len(contents.gold)
    done = 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for names, videos in _groups(contents, key):
            for container in CONTAINERS:
                files = pool.map(lambda v, c=container: _encode(contents, v, c), videos)
                _write_group(dict(zip(names, files, strict=True)), container, folder)
            done += 1
            report({"event": "progress", "what": "encode", "done": done, "total": total})


def _groups(contents: Contents, key: dict[str, Any]) -> Iterator[tuple[list[str], list[Frames]]]:
    methods, t = contents.plan.methods, contents.frames
    for c, clip in enumerate(key["clips"]):
        yield clip["media"], [contents.videos(c, m)[:t] for m in range(methods)]
    for g, (gold, real) in enumerate(zip(key["gold"], contents.gold, strict=True)):
        yield (
            gold["media"],
            gold_versions(real[:t], methods, seed_of("gold", contents.plan.seed, g)),
        )


def _encode(contents: Contents, video: Frames, container: Any) -> bytes:
    return encode(video, contents.fps, container, enlargement(contents.size))


def _write_group(files: dict[str, bytes], container: Any, folder: Path) -> None:
    size = max(map(len, files.values())) + least_padding(container)
    for name in sorted(files):  # not in the order of the methods
        path = folder / f"{name}.{container}"
        write_bytes(path, padded(files[name], size, container))


def _write_page(
    contents: Contents, key: dict[str, Any], key_sha256: str, public: Path
) -> dict[str, Any]:
    page = resources.files("vpbench.study") / "page"
    for name in PAGE:
        write_bytes(public / name, (page / name).read_bytes())
    study = key_sha256[:12]
    side = contents.size * enlargement(contents.size)
    settings = contents.settings
    bundle = {
        "study": study,
        "texts": asdict(settings.texts),
        "trial": bool(settings.unset),  # only to try the page: no one may be asked like this
        "questions": [asdict(q) for q in settings.questions],
        "slots": contents.plan.methods,
        "sheets": len(key["sheets"]),
        "trials": len(key["sheets"][0]),
        "frames": contents.frames,
        "fps": contents.fps,
        "side": side,
    }
    write_bytes(public / "study.js", as_script("bundle", bundle))
    for number, sheet in enumerate(key["sheets"]):
        trials = [{"id": t["id"], "slots": t["slots"]} for t in sheet]
        write_bytes(public / "sheets" / f"{number:03d}.js", as_script("sheet", trials))
    files = {p.relative_to(public).as_posix(): p for p in public.rglob("*") if p.is_file()}
    manifest = {
        "schema": MANIFEST_SCHEMA,
        "study": study,
        "key_sha256": key_sha256,
        "preregistration_sha256": key["preregistration"],
        "files": {name: file_sha256(files[name]) for name in sorted(files)},
    }
    write_json(public / MANIFEST, manifest)
    for path in [*files.values(), public / MANIFEST]:
        path.chmod(0o644)
        os.utime(path, (_EPOCH, _EPOCH))
    return {**manifest, "sha256": hashlib.sha256(json_bytes(manifest)).hexdigest()}


def bytes_of(folder: Path) -> int:
    """Size of a bundle."""
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
