"""Downloads a file: https only, in a few attempts, each resuming where the last one broke off.

The caller verifies the content.
"""

from __future__ import annotations

import http.client
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from vpbench.api.errors import Corrupt, Missing
from vpbench.core.files import storage

Progress = Callable[[int, int | None], None]
"""Called with the bytes that are here and their total, if it is known."""

Begin = Callable[[int, int | None], None]
"""Called once before bytes are written, as `Progress`; may raise to refuse the transfer."""

TIMEOUT_S = 30.0
ATTEMPTS = 3
PAUSE_S = 0.2
"""Before the second attempt, seconds; four times as long before the third."""

_CHUNK = 1 << 18
_PAGES = ("text/html", "application/xhtml", "application/json", "application/xml", "text/xml")


class Unreachable(Missing):
    """An address does not response, breaks off, or may not be used."""


def transfer(
    url: str,
    part: Path,
    size: int | None,
    limit: int,
    progress: Progress | None = None,
    *,
    allow_http: bool = False,
    begin: Begin | None = None,
) -> None:
    """Fill `part` with the file at an address, resuming a partial file.

    Args:
        size: exact number of bytes; None where it is not known.
        limit: no more bytes than this are ever accepted.
        allow_http: for tests: addresses without encryption are accepted.

    Raises:
        Unreachable: no answer, an error status, an error page, or it broke off.
        Corrupt: it is larger than it may be.
        Unwritable: the disk is full, or may not be written.
    """
    for attempt in range(ATTEMPTS):
        have = part.stat().st_size if part.is_file() else 0
        if size is not None and have > size:
            part.unlink()
            have = 0
        if have and have == size:
            return
        try:
            _receive(url, part, have, size, limit, progress, allow_http, begin)
            return
        except _Broken as error:
            if attempt == ATTEMPTS - 1:
                raise Unreachable(f"{url}: {error}.", fix="Run it again to resume.") from error
            time.sleep(PAUSE_S * 4**attempt)


def small_file(url: str, size: int, *, allow_http: bool = False) -> bytes:
    """A small file of exactly `size` bytes.

    Raises:
        Unreachable, Corrupt: as `transfer`.
    """
    data = b""
    try:
        with _opened(url, 0, allow_http) as response:
            while len(data) <= size and (chunk := _chunk(response)):
                data += chunk
    except _Broken as error:
        raise Unreachable(f"{url}: {error}.", fix="Run it again.") from error
    if len(data) != size:
        raise Corrupt(
            f"{url} has {'more than ' if len(data) > size else ''}{min(len(data), size)} "
            f"bytes instead of {size}."
        )
    return data


class _Broken(Exception):
    """A transfer that may be tried again."""


def _receive(
    url: str,
    part: Path,
    have: int,
    size: int | None,
    limit: int,
    progress: Progress | None,
    allow_http: bool,
    begin: Begin | None,
) -> None:
    with _opened(url, have, allow_http) as response:
        start = _start(response, have)
        total = _total(response, start)
        if (total or 0) > limit or (None not in (size, total) and total != size):
            part.unlink(missing_ok=True)
            raise Corrupt(f"{url} has {total} bytes; {size or f'at most {limit}'} were expected.")
        if begin is not None:
            begin(start, total)
        with storage(part), part.open("ab" if start else "wb") as out:
            got = start
            while chunk := _chunk(response):
                got += len(chunk)
                if got > limit:
                    break
                out.write(chunk)
                if progress is not None:
                    progress(got, total)
        if got > limit:
            part.unlink()
            raise Corrupt(f"{url} has more than {limit} bytes; it is not the pinned file.")
    expected = size or total
    if expected is not None and got < expected:
        raise _Broken(f"the connection broke after {got} of {expected} bytes")


def _chunk(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read(_CHUNK)
    except (OSError, http.client.HTTPException) as error:
        raise _Broken(f"the connection broke ({_reason(error)})") from error


def _start(response: http.client.HTTPResponse, have: int) -> int:
    """The first byte that comes: a server may start again from 0."""
    if response.status != 206:
        return 0
    match = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    if match is None or int(match[1]) != have:
        raise _Broken("the server resumed at another position than requested")
    return have


def _total(response: http.client.HTTPResponse, start: int) -> int | None:
    length = response.headers.get("Content-Length", "")
    packed = response.headers.get("Content-Encoding", "identity") != "identity"
    return start + int(length) if length.isdigit() and not packed else None


class _HttpsOnly(urllib.request.HTTPRedirectHandler):
    """Follows redirections only to encrypted addresses."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        _require_https(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _require_https(url: str) -> None:
    if urllib.parse.urlsplit(url).scheme != "https":
        raise Unreachable(f"{url} is refused: only https is used.")


@contextmanager
def _opened(url: str, have: int, allow_http: bool) -> Generator[http.client.HTTPResponse]:
    """The response to a request, refused unless it is a file."""
    from vpbench import __version__

    if not allow_http:
        _require_https(url)
    headers = {"User-Agent": f"vpbench/{__version__}", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    handlers: list[Any] = [] if allow_http else [_HttpsOnly()]
    opener = urllib.request.build_opener(*handlers)
    try:
        response = opener.open(urllib.request.Request(url, headers=headers), timeout=TIMEOUT_S)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416 and have:  # the partial file does not match the remote one
            with _opened(url, 0, allow_http) as again:
                yield again
            return
        kind = _Broken if error.code in (429, 500, 502, 503, 504) else Unreachable
        raise kind(
            f"{url} answers {error.code} {error.reason}"
            if kind is Unreachable
            else f"it answers {error.code}"
        ) from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Unreachable(f"{url} cannot be reached ({_reason(error)}).") from error
    with response:
        _refuse_page(url, response)
        yield response


def _refuse_page(url: str, response: http.client.HTTPResponse) -> None:
    kind = response.headers.get("Content-Type", "").lower()
    if kind.startswith(_PAGES):
        raise Unreachable(f"{url} answers with a page ({kind.partition(';')[0]}), not the file.")


def _reason(error: Exception) -> str:
    reason = getattr(error, "reason", None) or error
    return f"{reason!s:.160}" or type(error).__name__
