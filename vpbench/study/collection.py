"""What a server of a study accepts, as a state that events move; knows nothing of HTTP.

A request becomes a reply and, where something new is to be kept, an event. The state after a
restart is what the stored events say.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from vpbench.core.hashing import digest
from vpbench.study.files import Bundle

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SESSION = re.compile(r"[0-9a-f]{32}")
_WAYS = ("drag", "keyboard", "table")
_LONGEST = 86_400.0
"""Seconds that a trial can take at most: a day."""
_MOST_PLAYS = 10_000
_SESSIONS_PER_SHEET = 20
"""Raters who begin, for each that is planned; more is not a study but an attack."""


class Refused(Exception):
    """A request that is not accepted.

    Attributes:
        status: the HTTP status that says why.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


@dataclass
class Session:
    """One rater.

    Attributes:
        answers: index of the trial -> hash of the answer.
    """

    id: str
    sheet: int
    rater: str
    answers: dict[int, str] = field(default_factory=dict[int, str])
    finished: bool = False
    withdrawn: bool = False


@dataclass(frozen=True)
class Outcome:
    """What a request leads to.

    Attributes:
        reply: for the page, once the event is stored.
        event: what to store, None for nothing new.
        key: events of one key are the same event; a second one waits for the first.
    """

    reply: dict[str, Any]
    event: dict[str, Any] | None
    key: tuple[Any, ...]


class Collection:
    """All sessions of a study."""

    def __init__(
        self,
        bundle: Bundle,
        salt: bytes,
        completion: Mapping[str, str],
        events: Iterable[Mapping[str, Any]] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.bundle = bundle
        self.sessions: dict[str, Session] = {}
        self._by_rater: dict[str, dict[int, str]] = {}  # hash -> sheet -> session
        self._salt = salt
        self._completion = dict(completion)
        self._clock = clock
        for event in events:
            self.apply(event)

    def hashed(self, kind: str, text: str) -> str:
        """A one-way hash of something about a rater; the salt is the study's own."""
        return hmac.new(self._salt, f"{kind}:{text}".encode(), hashlib.sha256).hexdigest()[:16]

    def apply(self, event: Mapping[str, Any]) -> None:
        """Move the state by one event."""
        kind = event["kind"]
        if kind == "session":
            session = Session(event["session"], event["sheet"], event["rater"])
            self.sessions[session.id] = session
            self._by_rater.setdefault(session.rater, {})[session.sheet] = session.id
            return
        session = self.sessions[event["session"]]
        if kind == "answer":
            session.answers[event["index"]] = event["digest"]
        elif kind == "finish":
            session.finished = True
        elif kind == "withdraw":
            session.withdrawn = True

    def undo(self, event: Mapping[str, Any]) -> None:
        """Take back an event that could not be stored."""
        session = self.sessions[event["session"]]
        if event["kind"] == "session":
            del self.sessions[session.id], self._by_rater[session.rater][session.sheet]
        elif event["kind"] == "answer":
            session.answers.pop(event["index"], None)
        elif event["kind"] == "finish":
            session.finished = False
        else:
            session.withdrawn = False

    def open(
        self,
        request: Mapping[str, Any],
        address: str,
        browser: str,
        *,
        sheet: int | None = None,
        source: str = "server",
    ) -> Outcome:
        """A rater begins, or comes back.

        Args:
            sheet: the sheet that was shown, if it was not chosen here; a rater may then have
                several.
            source: where the answers come from: "server", "file" or "mturk".

        Raises:
            Refused: no consent, a malformed id, another study, or too many raters.
        """
        _fields(request, {"study", "client", "consent", "prolific", "viewport"})
        if request["study"] != self.bundle.study:
            raise Refused(409, "this page belongs to another study")
        if request["consent"] is not True:
            raise Refused(400, "no consent")
        prolific = _prolific(request["prolific"])
        client = _matching(request["client"], _ID, "client")
        rater = self.hashed("rater", prolific.get("pid") or f"client {client}")
        viewport = _viewport(request["viewport"])
        known = self._known(rater, sheet)
        if known is not None:
            return Outcome(self._state(known), None, ("session", rater))
        if len(self.sessions) >= _SESSIONS_PER_SHEET * len(self.bundle.sheets):
            raise Refused(403, "the study is full")
        event = {
            "kind": "session",
            "session": secrets.token_hex(16),
            "sheet": self._next_sheet() if sheet is None else sheet,
            "rater": rater,
            "source": source,
            "at": self._now(),
            "bundle": self.bundle.sha256,
            "consent": digest(self.bundle.page["texts"]),
            "prolific": {k: self.hashed(k, v) for k, v in prolific.items()},
            "viewport": viewport,
            "address": self.hashed("address", address) if address else None,
            "browser": self.hashed("browser", browser),
        }
        self.apply(event)
        return Outcome(self._state(self.sessions[event["session"]]), event, ("session", rater))

    def _known(self, rater: str, sheet: int | None) -> Session | None:
        sessions = self._by_rater.get(rater, {})
        name = next(iter(sessions.values()), None) if sheet is None else sessions.get(sheet)
        return None if name is None else self.sessions[name]

    def answer(self, request: Mapping[str, Any]) -> Outcome:
        """A rater ranked the videos of one trial.

        Raises:
            Refused: a malformed answer, a trial that is not on the rater's sheet, or another answer
                to a trial that was answered.
        """
        names = {"session", "trial", "slots", "ranks", "plays", "seconds", "visible", "ways"}
        _fields(request, names | {"viewport"})
        session = self._session(request)
        index = self._trial(request, session)
        answer = {
            "trial": request["trial"],
            "slots": request["slots"],
            "ranks": self._ranks(request["ranks"]),
            "plays": _plays(request["plays"], self.bundle.page["slots"]),
            "seconds": _seconds(request["seconds"]),
            "visible": _seconds(request["visible"]),
            "ways": self._ways(request["ways"]),
            "viewport": _viewport(request["viewport"]),
        }
        fingerprint = digest(answer)
        before = session.answers.get(index)
        if before is not None and before != fingerprint:
            raise Refused(409, "this trial has another answer already")
        event = None
        if before is None:
            if session.finished or session.withdrawn:
                raise Refused(409, "this session has ended")
            event = {
                "kind": "answer",
                "session": session.id,
                "index": index,
                "at": self._now(),
                "digest": fingerprint,
                **answer,
            }
            self.apply(event)
        reply = {"stored": True, "answered": len(session.answers)}
        return Outcome(reply, event, ("answer", session.id, index))

    def finish(self, request: Mapping[str, Any]) -> Outcome:
        """A rater has answered everything and gets the completion code.

        Raises:
            Refused: something is not answered yet.
        """
        _fields(request, {"session"})
        session = self._session(request)
        if len(session.answers) < len(self.bundle.sheets[session.sheet]):
            raise Refused(409, "not every trial is answered")
        return self._end(session, "finish", session.finished, dict(self._completion))

    def withdraw(self, request: Mapping[str, Any]) -> Outcome:
        """A rater stops and wants the answers not to be used."""
        _fields(request, {"session"})
        session = self._session(request)
        return self._end(session, "withdraw", session.withdrawn, {"withdrawn": True})

    def _end(self, session: Session, kind: str, done: bool, reply: dict[str, Any]) -> Outcome:
        event = None
        if not done:
            event = {"kind": kind, "session": session.id, "at": self._now()}
            self.apply(event)
        return Outcome(reply, event, (kind, session.id))

    def _state(self, session: Session) -> dict[str, Any]:
        return {
            "session": session.id,
            "sheet": session.sheet,
            "answered": sorted(session.answers),
            "finished": session.finished,
            "withdrawn": session.withdrawn,
        }

    def _next_sheet(self) -> int:
        """The sheet with the fewest who finished it, then with the fewest who began it."""
        load = [[0, 0, number] for number in range(len(self.bundle.sheets))]
        for session in self.sessions.values():
            if not session.withdrawn:
                load[session.sheet][0] += session.finished
                load[session.sheet][1] += 1
        return min(load)[2]

    def _now(self) -> float:
        return round(self._clock(), 3)

    def _session(self, request: Mapping[str, Any]) -> Session:
        name = _matching(request["session"], _SESSION, "session")
        if name not in self.sessions:
            raise Refused(403, "unknown session")
        return self.sessions[name]

    def _trial(self, request: Mapping[str, Any], session: Session) -> int:
        name = request["trial"]
        sheet, index = self.bundle.trials.get(name if isinstance(name, str) else "", (-1, -1))
        if sheet != session.sheet:
            raise Refused(403, "this trial is not on the rater's sheet")
        if request["slots"] != self.bundle.sheets[sheet][index]["slots"]:
            raise Refused(400, "the videos are not those of the trial")
        return index

    def _ranks(self, value: Any) -> dict[str, list[int]]:
        k = self.bundle.page["slots"]
        if not isinstance(value, dict) or list(value) != self.bundle.questions:
            raise Refused(400, "ranks must answer every question")
        for ranks in cast("dict[str, Any]", value).values():
            if not _integers(ranks) or sorted(ranks) != list(range(1, k + 1)):
                raise Refused(400, f"ranks must be 1 to {k}, each once")
        return cast("dict[str, list[int]]", value)

    def _ways(self, value: Any) -> dict[str, str]:
        if not isinstance(value, dict) or list(value) != self.bundle.questions:
            raise Refused(400, "ways must name every question")
        if any(way not in _WAYS for way in cast("dict[str, Any]", value).values()):
            raise Refused(400, "unknown way of ranking")
        return cast("dict[str, str]", value)


def _fields(request: Mapping[str, Any], names: set[str]) -> None:
    if set(request) != names:
        raise Refused(400, "missing or unknown fields")


def _matching(value: Any, pattern: re.Pattern[str], what: str) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise Refused(400, f"malformed {what} id")
    return value


def _prolific(value: Any) -> dict[str, str]:
    """Prolific's three ids, or none of them."""
    if value is None:
        return {}
    names = ("pid", "study", "session")
    if not isinstance(value, dict) or set(cast("dict[str, Any]", value)) != set(names):
        raise Refused(400, "malformed participant ids")
    return {name: _matching(value[name], _ID, "participant") for name in names}


def _integers(value: Any) -> bool:
    return isinstance(value, list) and all(type(v) is int for v in cast("list[Any]", value))


def _plays(value: Any, slots: int) -> list[int]:
    if not _integers(value) or len(value) != slots or not all(0 <= v <= _MOST_PLAYS for v in value):
        raise Refused(400, "malformed plays")
    return value


def _seconds(value: Any) -> float:
    if type(value) not in (int, float) or not 0 <= value <= _LONGEST:
        raise Refused(400, "malformed time")
    return float(value)


def _viewport(value: Any) -> list[int]:
    if not _integers(value) or len(value) != 2 or not all(0 <= v <= 100_000 for v in value):
        raise Refused(400, "malformed window size")
    return value
