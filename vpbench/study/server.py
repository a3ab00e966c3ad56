"""The server of a study: the files of DIR, and five addresses that take answers.

It serves exactly the files that the manifest lists, as they were when it started, and opens nothing
else but its own three files in DIR.private: settings, salt and answers. The key may stay elsewhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vpbench.api.errors import MissingData, Unwritable, UsageError
from vpbench.study.answers import AnswerFile
from vpbench.study.collection import Collection, Outcome, Refused
from vpbench.study.files import Bundle, PrivatePaths, open_bundle
from vpbench.study.limits import RateLimit
from vpbench.study.settings import read_settings

_LARGEST_BODY = 16_384
_BODY_SECONDS = 10.0
"""How long a request may take to send its body."""
_LARGEST_LOG = 5_000_000
"""Bytes of refused.jsonl after which nothing more is logged."""
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".mp4": "video/mp4",
    ".webm": "video/webm",
    ".svg": "image/svg+xml",
}

CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; media-src 'self' blob:; "
    "connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'"
)
"""What the page may load, in its own meta element, too; `frame-ancestors` works in headers only."""

_HEADERS = {
    "Content-Security-Policy": f"{CONTENT_POLICY}; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

# One address may stand for a whole laboratory: fifty raters behind it send and load at once.
_ADDRESS_RATE, _ADDRESS_BURST = 50.0, 500.0
_SESSION_RATE, _SESSION_BURST = 5.0, 30.0

log = logging.getLogger(__name__)


class StudyServer:
    """Answers requests about one study."""

    def __init__(self, folder: Path, private: PrivatePaths | None = None) -> None:
        """Check every file of the study and read the answers that are there.

        Raises:
            MissingData, Corrupt: DIR or DIR.private is not a whole study.
            UsageError: another server writes to its answers.
        """
        self.bundle: Bundle = open_bundle(folder)
        self.private = private or PrivatePaths.of(folder)
        if not self.private.salt.is_file():
            raise MissingData(
                f"{self.private.salt} is missing.",
                fix=f"Copy {self.private.folder.name} (key.json may stay away) beside {folder}.",
            )
        settings = read_settings(self.private.settings)
        salt = bytes.fromhex(self.private.salt.read_text("ascii"))
        self.answers = AnswerFile(self.private.answers)
        completion = {"code": settings.completion.code, "url": settings.completion.url}
        self.collection = Collection(self.bundle, salt, completion, self.answers.events)
        if self.answers.torn:
            self._note("-", f"a line cut off by a crash was removed: {self.answers.torn[:80]!r}")
        self._queue: asyncio.Queue[tuple[dict[str, Any], asyncio.Future[None]]] = asyncio.Queue()
        self._pending: dict[tuple[Any, ...], asyncio.Future[None]] = {}
        self._addresses = RateLimit(_ADDRESS_RATE, _ADDRESS_BURST)
        self._senders = RateLimit(_SESSION_RATE, _SESSION_BURST)

    def app(self) -> ASGIApp:
        """The ASGI application."""
        posts: dict[str, Callable[[dict[str, Any], Request], Outcome]] = {
            "session": lambda body, request: self.collection.open(
                body, self._address(request), request.headers.get("user-agent", "")[:400]
            ),
            "answer": lambda body, _: self.collection.answer(body),
            "finish": lambda body, _: self.collection.finish(body),
            "withdraw": lambda body, _: self.collection.withdraw(body),
        }
        routes = [Route("/api/status", self._status, methods=["GET"])]
        for name, act in posts.items():
            routes.append(Route(f"/api/{name}", self._post(act), methods=["POST"]))
        routes += [Route("/", self._file("index.html"), methods=["GET"])]
        routes += [Route(f"/{n}", self._file(n), methods=["GET"]) for n in self.bundle.files]
        handlers: Any = {404: self._missing, 405: self._missing}
        app = Starlette(routes=routes, lifespan=self._writing, exception_handlers=handlers)
        return _WithHeaders(app)

    @contextlib.asynccontextmanager
    async def _writing(self, _: Starlette) -> AsyncGenerator[None]:
        writer = asyncio.create_task(self._write())
        try:
            yield
        finally:
            writer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await writer
            self.answers.close()

    async def _write(self) -> None:
        """Store events: all that came while the disk was busy go with one flush."""
        while True:
            batch = [await self._queue.get()]
            while not self._queue.empty():
                batch.append(self._queue.get_nowait())
            events = [event for event, _ in batch]
            try:
                await run_in_threadpool(self.answers.append, events)
            except Unwritable as error:
                for event, stored in reversed(batch):
                    self.collection.undo(event)
                    stored.set_exception(error)
                log.error("%s", error)
            else:
                for _, stored in batch:
                    stored.set_result(None)

    async def _stored(self, outcome: Outcome) -> None:
        """Return when the event, or the one like it that is on its way, is on the disk."""
        if outcome.event is not None:
            stored = asyncio.get_running_loop().create_future()
            self._pending[outcome.key] = stored
            stored.add_done_callback(lambda _: self._pending.pop(outcome.key, None))
            self._queue.put_nowait((outcome.event, stored))
        if outcome.key in self._pending:
            # A client that hangs up must not cancel what another one waits for.
            await asyncio.shield(self._pending[outcome.key])

    def _post(self, act: Callable[[dict[str, Any], Request], Outcome]) -> Any:
        async def endpoint(request: Request) -> Response:
            try:
                self._check_rate(request)
                body = await _body(request)
                name = body.get("session")
                if isinstance(name, str) and not self._senders.allows(name):
                    raise Refused(429, "too many requests")
                outcome = act(body, request)
                await self._stored(outcome)
            except Refused as refused:
                self._note(self._address(request), f"{request.url.path}: {refused.reason}")
                return JSONResponse({"error": refused.reason}, refused.status)
            except ClientDisconnect:
                return Response(status_code=400)
            except Unwritable:
                return JSONResponse({"error": "the answer could not be stored"}, 503)
            return JSONResponse(outcome.reply, headers={"Cache-Control": "no-store"})

        return endpoint

    def _check_rate(self, request: Request) -> None:
        if not self._addresses.allows(self._address(request)):
            raise Refused(429, "too many requests")

    async def _status(self, request: Request) -> Response:
        return JSONResponse({"study": self.bundle.study}, headers={"Cache-Control": "no-store"})

    def _file(self, name: str) -> Any:
        path = self.bundle.folder / name
        kind = _TYPES.get(path.suffix, "application/json")
        media = name.startswith("media/")
        age = "public, max-age=86400, immutable" if media else "no-cache"

        async def endpoint(request: Request) -> Response:
            return FileResponse(path, media_type=kind, headers={"Cache-Control": age})

        return endpoint

    async def _missing(self, request: Request, error: Exception) -> Response:
        status = getattr(error, "status_code", 404)
        self._note(self._address(request), f"{request.method} {request.url.path}: {status}")
        return JSONResponse({"error": "there is nothing here"}, status)

    def _address(self, request: Request) -> str:
        return request.client.host if request.client else "-"

    def _note(self, address: str, what: str) -> None:
        """A line in refused.jsonl: a hash of the address, and what was refused."""
        path = self.private.refusals
        line = {
            "at": round(time.time(), 3),
            "address": self.collection.hashed("address", address),
            "what": what[:300],
        }
        try:
            if not path.exists() or path.stat().st_size < _LARGEST_LOG:
                with path.open("a", encoding="ascii") as stream:
                    stream.write(json.dumps(line) + "\n")
        except OSError as error:  # a full disk must not turn refusals into faults
            log.error("cannot write %s: %s", path, error)


async def _body(request: Request) -> dict[str, Any]:
    """The JSON object of a request.

    Raises:
        Refused: it is too large, too slow, or not a JSON object.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip()
    if kind != "application/json":
        raise Refused(415, "the body must be JSON")
    data = b""
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            async for chunk in request.stream():
                data += chunk
                if len(data) > _LARGEST_BODY:
                    raise Refused(413, "the body is too large")
    except TimeoutError:
        raise Refused(408, "the body took too long") from None
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        raise Refused(400, "the body is not JSON") from None
    if not isinstance(value, dict):
        raise Refused(400, "the body is not an object")
    return value


class _WithHeaders:
    """Adds the security headers to every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._headers = [(k.lower().encode(), v.encode()) for k, v in _HEADERS.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *self._headers]
            await send(message)

        await self._app(scope, receive, with_headers)


def check_open(server: StudyServer, host: str) -> None:
    """Refuse to show other people a page that does not say who asks them.

    Raises:
        UsageError: the page is reached from outside and its texts are not complete.
    """
    if server.bundle.page["trial"] and host not in ("127.0.0.1", "localhost", "::1"):
        raise UsageError(
            "this study does not say who runs it and whom to write to; it is served on 127.0.0.1 "
            "only.",
            fix="Fill in organiser and contact in study.toml and export with --settings FILE.",
        )


def serve(server: StudyServer, host: str, port: int, *, proxy: bool = False) -> None:
    """Serve until interrupted.

    Args:
        proxy: trust X-Forwarded-For of a reverse proxy on this machine.
    """
    import uvicorn

    config = uvicorn.Config(
        server.app(),
        host=host,
        port=port,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=proxy,
        forwarded_allow_ips="127.0.0.1,::1",
        limit_concurrency=1000,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=5,
        lifespan="on",
    )
    uvicorn.Server(config).run()
