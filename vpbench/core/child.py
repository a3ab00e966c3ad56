"""A process of vpbench's own that loads what must not reach this one, and answers requests.

A request is a JSON object in one line; answers are objects in lines of their own, the last one has
`"event": "end"`, and bytes may follow it. What the other side's code prints goes to a log, never
among the answers.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping
from typing import IO, Any, BinaryIO, cast

from vpbench.api import errors
from vpbench.api.errors import MethodFailed, VpbenchError
from vpbench.core.children import end_with_parent, remember
from vpbench.core.hashing import plain
from vpbench.core.loading import first_line

Send = Callable[[Mapping[str, Any]], None]
"""Sends an event to the process that has asked."""

Answer = tuple[Mapping[str, Any], bytes]
"""What answers a request: a JSON object, and bytes."""

_TAIL = 2000
"""Bytes of standard error that are searched for the last line of a process that died."""

_GRACE_S = 2.0
"""Seconds for a process to end by itself once no more requests come."""

_environment: dict[str, str] = {}
"""The environment that child processes get; empty: the present one."""


def keep_environment() -> None:
    """Give child processes the environment of now, whatever a plugin makes of it later."""
    _environment.clear()
    _environment.update(os.environ)


class Child:
    """The asking side.

    Args:
        word: hidden verb of the command line that serves the requests.
        what: what the process does, for the error when it dies: "the dataset 'mine'".
    """

    def __init__(self, word: str, what: str) -> None:
        self.what = what
        self._log = cast("IO[bytes]", tempfile.TemporaryFile(prefix="vpbench-child-"))  # noqa: SIM115 - lives with the process
        self._process = subprocess.Popen(
            [sys.executable, "-m", "vpbench", word],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=_environment or dict(os.environ),
            start_new_session=True,
        )
        remember(self._process)

    @property
    def alive(self) -> bool:
        """Whether it still answers."""
        stdin = self._process.stdin
        return self._process.poll() is None and stdin is not None and not stdin.closed

    def ask(
        self, request: Mapping[str, Any], heard: Callable[[dict[str, Any]], None] | None = None
    ) -> tuple[dict[str, Any], bytes]:
        """Send a request and wait for the answer.

        Args:
            heard: called with every event before the answer.

        Raises:
            VpbenchError: of the other side, of the same kind.
            MethodFailed: its process has ended.
        """
        try:
            return self._ask(request, heard)
        except VpbenchError:
            raise
        except BaseException:
            self.close(kill=True)  # what it is about to say would be taken for the next answer
            raise

    def _ask(
        self, request: Mapping[str, Any], heard: Callable[[dict[str, Any]], None] | None
    ) -> tuple[dict[str, Any], bytes]:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None  # PIPE, see __init__
        with contextlib.suppress(BrokenPipeError):  # it has died; reading says so, too
            stdin.write(json.dumps(plain(request)).encode() + b"\n")
            stdin.flush()
        while line := stdout.readline():
            event = json.loads(line)
            if event["event"] == "error":
                raise _error(event)
            if event["event"] == "end":
                return event["answer"], _exactly(stdout, event["bytes"])
            if heard is not None:
                heard(event)
        raise self._died()

    def _died(self) -> MethodFailed:
        code = self._process.wait()
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited with {code}"
        self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, self._log.tell() - _TAIL))
        lines = [x for x in self._log.read().decode(errors="replace").splitlines() if x.strip()]
        last = f" Last stderr line: {lines[-1].strip()}" if lines else ""
        self.close()
        return MethodFailed(f"{self.what}: its process {how}.{last}")

    def close(self, *, kill: bool = False) -> None:
        """End the process; a second call does nothing."""
        process = self._process
        if process.stdin is None or process.stdin.closed:
            return
        if kill:
            process.kill()
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        try:
            process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()
        self._log.close()


def _exactly(stream: IO[bytes], count: int) -> bytes:
    data = stream.read(count) if count else b""
    if len(data) < count:
        raise MethodFailed("a process ended in the middle of its reply.")
    return data


def _error(event: Mapping[str, Any]) -> VpbenchError:
    """The error that the other side raised, of its class where a sentence makes one."""
    kind = getattr(errors, event["error"], VpbenchError)
    if not (isinstance(kind, type) and issubclass(kind, VpbenchError)):
        kind = VpbenchError
    if kind is errors.UnknownName:  # its sentence is complete already
        error = errors.UnknownName.__new__(errors.UnknownName)
        VpbenchError.__init__(error, event["message"], fix=event["fix"])
        error.name = ""
    else:
        error = kind(event["message"], fix=event["fix"])
    error.exit_code = event["code"]
    return error


def serve(answer: Callable[[dict[str, Any], Send], Answer], describe: Callable[[], str]) -> None:
    """The answering side: answer requests until no more come.

    Args:
        answer: answers one request; may send events before.
        describe: what failed, for the sentence about an exception that is none of vpbench's.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the asking process decides
    end_with_parent(pipe=0)
    requests, out = _private(0, "rb", os.devnull), _private(1, "wb", None)

    def send(event: Mapping[str, Any]) -> None:
        out.write(json.dumps(plain(event), default=_number).encode() + b"\n")
        out.flush()

    for line in requests:
        try:
            value, data = answer(json.loads(line), send)
            end = json.dumps(
                {"event": "end", "answer": plain(value), "bytes": len(data)}, default=_number
            )
        except VpbenchError as error:
            send(
                {
                    "event": "error",
                    "error": type(error).__name__,
                    "message": error.message,
                    "fix": error.fix,
                    "code": error.exit_code,
                }
            )
            continue
        except BaseException as error:  # noqa: BLE001 - a plugin may raise anything, SystemExit too
            traceback.print_exc()
            message = f"{describe()} failed: {first_line(error)}"
            send(
                {
                    "event": "error",
                    "error": "MethodFailed",
                    "message": message,
                    "fix": None,
                    "code": MethodFailed.exit_code,
                }
            )
            continue
        out.write(end.encode() + b"\n")
        out.write(data)
        out.flush()


def _private(descriptor: int, mode: str, instead: str | None) -> BinaryIO:
    """A copy of a standard stream that no other code has; the public one leads elsewhere."""
    sys.stdout.flush()
    copy = os.dup(descriptor)
    if instead is None:
        os.dup2(2, descriptor)
    else:
        with open(instead, mode) as other:
            os.dup2(other.fileno(), descriptor)
    return cast("BinaryIO", os.fdopen(copy, mode))


def _number(value: Any) -> Any:
    """A number of numpy as one of Python."""
    item = getattr(value, "item", None)
    if item is None:
        raise TypeError(f"{type(value).__name__} is not a plain value")
    return item()
