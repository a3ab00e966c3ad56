"""Claims: who is making a file. One writer a file, also between machines on a shared disk.

A claim is a small file, made exclusively, that says who holds it; a thread touches it every
10 s. It is taken over when its process is gone from this machine, or when nobody has touched it
for 120 s of the waiting process's own clock (so that clocks need not agree).
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vpbench.api.errors import VpbenchError
from vpbench.core.files import make_folder, storage

BEAT_S = 10.0
STALE_S = 120.0

Log = Callable[[str], None]


class ClaimLost(VpbenchError):
    """Another process has taken over; this one must not write any more."""

    exit_code = 1


def boot_id() -> str:
    """A name for the time since this machine started; "" where the system has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def process_start(pid: int) -> str:
    """When a process of this machine started, in the kernel's ticks; "" if it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
        return text.rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _identity() -> dict[str, Any]:
    pid = os.getpid()
    return {
        "host": socket.gethostname(),
        "boot": boot_id(),
        "pid": pid,
        "start": process_start(pid),
        "time": time.time(),
        "token": secrets.token_hex(8),
    }


def _gone(owner: dict[str, Any]) -> bool:
    """Whether the owner was a process of this machine that has ended."""
    if owner.get("host") != socket.gethostname():
        return False
    if owner.get("boot") != boot_id():
        return True  # the machine was started again since
    pid = int(owner.get("pid", -1))
    if pid <= 0 or not _alive(pid):
        return True
    start = process_start(pid)
    return bool(start and owner.get("start") and start != owner["start"])  # the pid was used again


def _read(path: Path) -> dict[str, Any] | None:
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except ValueError:
        return {}  # cut short by a crash: its age decides


@dataclass
class Claim:
    """The right to write one unit, until `release`."""

    path: Path
    token: str
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def check(self) -> None:
        """Raise `ClaimLost` unless this process still holds the claim."""
        owner = _read(self.path)
        if owner is None or owner.get("token") != self.token:
            raise ClaimLost(
                f"{self.path.name} was taken over by another process; this one stops writing."
            )

    def release(self) -> None:
        """Give the claim up, if it is still held."""
        _Heart.drop(self)
        owner = _read(self.path)
        if owner is not None and owner.get("token") == self.token:
            self.path.unlink(missing_ok=True)

    def __enter__(self) -> Claim:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


class _Heart:
    """One thread that touches all claims of this process."""

    _held: dict[str, Claim] = {}  # noqa: RUF012
    _lock = threading.Lock()
    _thread: threading.Thread | None = None
    _owner_pid = 0

    @classmethod
    def hold(cls, claim: Claim) -> None:
        with cls._lock:
            if cls._owner_pid != os.getpid():  # after a fork only the forking thread lives on
                cls._held, cls._thread, cls._owner_pid = {}, None, os.getpid()
            cls._held[str(claim.path)] = claim
            if cls._thread is None:
                cls._thread = threading.Thread(target=cls._beat, daemon=True, name="claims")
                cls._thread.start()

    @classmethod
    def drop(cls, claim: Claim) -> None:
        with cls._lock:
            cls._held.pop(str(claim.path), None)

    @classmethod
    def _beat(cls) -> None:
        while True:
            time.sleep(BEAT_S)
            with cls._lock:
                held = list(cls._held.values())
            for claim in held:
                try:
                    claim.check()
                    os.utime(claim.path)
                except (OSError, ClaimLost):
                    cls.drop(claim)


def _create(path: Path) -> Claim | None:
    """Make the claim file with its content in one step; None when it exists."""
    identity = _identity()
    temporary = path.with_name(f".{path.name}.{identity['token']}")
    try:
        with storage(path):
            temporary.write_text(json.dumps(identity))
        os.link(temporary, path)  # fails if there is one, also on NFS
    except FileExistsError:
        return None
    finally:
        temporary.unlink(missing_ok=True)
    claim = Claim(path, identity["token"])
    _Heart.hold(claim)
    return claim


def _take_over(path: Path, stale: dict[str, Any]) -> Claim | None:
    """Replace a stale claim; at most one process succeeds for one stale claim."""
    marker = path.with_name(f".{path.name}.after-{stale.get('token', 'broken')}")
    try:
        os.close(os.open(marker, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    except FileExistsError:
        if time.time() - marker.stat().st_mtime > STALE_S:  # its maker died in between
            marker.unlink(missing_ok=True)
        return None
    try:
        if _read(path) != stale:  # somebody was faster and is done with the marker
            return None
        identity = _identity()
        temporary = path.with_name(f".{path.name}.{identity['token']}")
        temporary.write_text(json.dumps(identity))
        temporary.replace(path)
    finally:
        marker.unlink(missing_ok=True)
    claim = Claim(path, identity["token"])
    _Heart.hold(claim)
    return claim


@dataclass
class Watch:
    """Watches one claim of somebody else, to see whether it is still touched."""

    path: Path
    _seen: tuple[float, float] | None = None

    def stale(self, owner: dict[str, Any]) -> bool:
        """Whether the owner is gone, or the file has not been touched for 120 s."""
        if _gone(owner) and owner:
            return True
        try:
            touched = self.path.stat().st_mtime
        except FileNotFoundError:
            return False
        if self._seen is None or self._seen[0] != touched:
            self._seen = (touched, time.monotonic())
        return time.monotonic() - self._seen[1] > STALE_S

    def try_claim(self, log: Log | None = None) -> Claim | None:
        """Claim the unit if it is free or its owner is gone."""
        make_folder(self.path.parent)
        claim = _create(self.path)
        if claim is not None:
            return claim
        owner = _read(self.path)
        if owner is None or not self.stale(owner):
            return None
        claim = _take_over(self.path, owner)
        if claim is not None and log is not None:
            log(f"took over {self.path.name} from {owner.get('host')} pid {owner.get('pid')}")
        return claim


def claim_or_wait(
    path: Path, done: Callable[[], bool], log: Log | None = None, poll_s: float = 0.2
) -> Claim | None:
    """Claim a unit, or wait until whoever holds it has finished it.

    Returns:
        The claim, or None when `done()` is true: somebody else has made it.
    """
    watch = Watch(path)
    while not done():
        claim = watch.try_claim(log)
        if claim is not None:
            if done():  # finished between the look and the claim
                claim.release()
                return None
            return claim
        time.sleep(poll_s)
    return None
