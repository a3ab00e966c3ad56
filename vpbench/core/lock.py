"""Lock files: one writer per file, also between machines on a shared disk.

A lock is a small file, created exclusively, that names its holder; a thread touches it every
10 s. It is taken over when its process is gone from this machine (same host name and same boot),
or when no one has touched it for 120 s of the waiting process's own clock (so that clocks need not
agree).
"""

from __future__ import annotations

import errno
import json
import os
import re
import secrets
import socket
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, cast

from vpbench.api.errors import VpbenchError
from vpbench.core.files import make_folder, storage

BEAT_S = 10.0
STALE_S = 120.0
"""Twelve beats: long enough for a shared disk that hangs for a minute."""

TELL_AFTER_S = 2.0
TELL_EVERY_S = 30.0
"""Seconds before a wait for another process is first reported, and between two reports."""

_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)

Log = Callable[[str], None]


class LockLost(VpbenchError):
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
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return not _zombie(pid)


def _zombie(pid: int) -> bool:
    """Whether a process has ended and only waits for its parent to look: it writes no more."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except (OSError, IndexError):
        return False


def _identity() -> dict[str, Any]:
    pid = os.getpid()
    return {
        "host": socket.gethostname(),
        "boot": boot_id(),
        "pid": pid,
        "start": process_start(pid),
        "parent": os.getppid(),
        "time": time.time(),
        "token": secrets.token_hex(8),
    }


def _gone(owner: dict[str, Any]) -> bool:
    """Whether the owner was a process of this machine that has ended.

    A host name alone names no machine: several may share one. So with another boot id only the
    heartbeat decides, as it does for other hosts and for locks that cannot be read.
    """
    if owner.get("host") != socket.gethostname() or owner.get("boot") != boot_id():
        return False
    pid = owner.get("pid")
    if not isinstance(pid, int) or pid <= 0:
        return False
    if not _alive(pid):
        return True
    start = process_start(pid)
    return bool(start and owner.get("start") and start != owner["start"])  # the pid was used again


def _read(path: Path) -> dict[str, Any] | None:
    try:
        owner = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError:
        return {}  # cut short by a crash: its age decides
    return cast("dict[str, Any]", owner) if isinstance(owner, dict) else {}


@dataclass
class RunLock:
    """The right to write one unit, until `release`."""

    path: Path
    token: str

    def check(self) -> None:
        """Raise `LockLost` unless this process still holds the lock."""
        owner = _read(self.path)
        if owner is None or owner.get("token") != self.token:
            raise LockLost(
                f"{self.path.name} was taken over by another process; this one stops writing."
            )

    def release(self) -> None:
        """Give the lock up, if it is still held."""
        _Heartbeat.drop(self)
        owner = _read(self.path)
        if owner is not None and owner.get("token") == self.token:
            self.path.unlink(missing_ok=True)

    def __enter__(self) -> RunLock:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


class _Heartbeat:
    """One thread that touches all locks of this process."""

    _held: dict[str, RunLock] = {}  # noqa: RUF012
    _lock = threading.Lock()
    _thread: threading.Thread | None = None
    _owner_pid = 0

    @classmethod
    def hold(cls, lock: RunLock) -> None:
        with cls._lock:
            if cls._owner_pid != os.getpid():  # after a fork only the forking thread lives on
                cls._held, cls._thread, cls._owner_pid = {}, None, os.getpid()
            cls._held[lock.token] = lock
            if cls._thread is None:
                cls._thread = threading.Thread(target=cls._beat, daemon=True, name="locks")
                cls._thread.start()

    @classmethod
    def drop(cls, lock: RunLock) -> None:
        with cls._lock:
            cls._held.pop(lock.token, None)

    @classmethod
    def _beat(cls) -> None:
        while True:
            time.sleep(BEAT_S)
            cls.touch_all()

    @classmethod
    def touch_all(cls) -> None:
        """One beat: touch what is held, and forget what was lost."""
        with cls._lock:
            held = list(cls._held.values())
        for lock in held:
            try:
                lock.check()
                os.utime(lock.path)
            except (FileNotFoundError, LockLost):
                cls.drop(lock)
            except OSError:
                continue  # a hiccup of a shared disk: the next beat may pass


@contextmanager
def _identity_file(path: Path) -> Generator[tuple[Path, str]]:
    """A temporary file beside `path` that says who this is, and its token."""
    identity = _identity()
    temporary = path.with_name(f".{path.name}.{identity['token']}")
    try:
        with storage(path):
            temporary.write_text(json.dumps(identity))
        yield temporary, identity["token"]
    finally:
        temporary.unlink(missing_ok=True)


def _held(path: Path, token: str) -> RunLock:
    lock = RunLock(path, token)
    _Heartbeat.hold(lock)
    return lock


def _create(path: Path) -> RunLock | None:
    """Make the lock file with its content in one step; None when it exists."""
    with _identity_file(path) as (temporary, token):
        try:
            _link(temporary, path)
        except FileExistsError:
            return None
    return _held(path, token)


def _link(temporary: Path, path: Path) -> None:
    """Give a file its name unless there is one, also on NFS and on disks without hard links."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        with path.open("xb") as stream:
            stream.write(temporary.read_bytes())


def _take_over(path: Path, stale: dict[str, Any]) -> RunLock | None:
    """Replace a stale lock; at most one process succeeds for one stale lock."""
    marker = path.with_name(f".{path.name}.after-{_file_word(stale.get('token'))}")
    if not _create_marker(marker):
        return None
    try:
        if _read(path) != stale:  # somebody was faster and is done with the marker
            return None
        with _identity_file(path) as (temporary, token):
            temporary.replace(path)
    finally:
        marker.unlink(missing_ok=True)
    return _held(path, token)


def _file_word(token: object) -> str:
    text = str(token)
    return text if re.fullmatch(r"[0-9a-f]{16}", text) else "broken"


def _create_marker(marker: Path) -> bool:
    """Make a marker file; False while another process has it."""
    with storage(marker):
        try:
            os.close(os.open(marker, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        except FileExistsError:
            with suppress(FileNotFoundError):  # its maker may be done with it by now
                if time.time() - marker.stat().st_mtime > STALE_S:  # its maker died in between
                    marker.unlink()
            return False
    return True


_announce: list[Log] = []
"""Who is told that this process waits: the command line, or the process that a worker serves."""


def announce_waits(tell: Log | None) -> None:
    """Have a sentence passed on, every half minute, while this process waits for another one."""
    _announce[:] = [] if tell is None else [tell]


@dataclass
class _Wait:
    """A wait for another process: since when, and when that was last said."""

    since: float
    said: float = 0.0

    def tell(self, path: Path, owner: dict[str, Any]) -> None:
        """Say for whom and since when, if it is time to."""
        now = time.time()
        if now - self.since < TELL_AFTER_S or now - self.said < TELL_EVERY_S:
            return
        self.said = now
        for tell in _announce:
            tell(describe_wait(path, owner, self.since))


_waits: dict[Path, _Wait] = {}


def report_wait(path: Path, owner: dict[str, Any] | None = None) -> None:
    """Pass on that this process waits for whoever holds a lock, if that was not said lately.

    Args:
        owner: what the lock file says; read here where it is not given.
    """
    owner = _read(path) if owner is None else owner
    if owner is not None and not _of_one_command(owner):
        _waits.setdefault(path, _Wait(time.time())).tell(path, owner)


def _of_one_command(owner: dict[str, Any]) -> bool:
    """Whether the holder is a worker of the command that this process works for: it shows both."""
    machine = (socket.gethostname(), boot_id())
    own = {os.getppid(), os.getpid()} - {1}  # 1 adopts the processes of many commands
    return (owner.get("host"), owner.get("boot")) == machine and owner.get("parent") in own


def describe_wait(path: Path, owner: dict[str, Any], since: float) -> str:
    """One sentence: for whom this process waits, and since when.

    Args:
        since: seconds since 1970.
    """
    who = f"process {owner.get('pid', '?')} on {owner.get('host', 'an unknown machine')}"
    begun = owner.get("time")
    at_it = f", which began at {_clock(begun)}" if isinstance(begun, int | float) else ""
    return f"waiting since {_clock(since)} for {who}{at_it} ({path})"


def _clock(seconds: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(seconds))


@dataclass
class LockWatch:
    """Watches a lock that another process holds, to see whether it is still touched.

    What was seen is kept for the process, so that a later look continues from an earlier one.
    """

    path: Path

    _sightings: ClassVar[dict[Path, tuple[int, float]]] = {}

    def stale(self, owner: dict[str, Any]) -> bool:
        """Whether the owner is gone, or the file has not been touched for 120 s."""
        if _gone(owner):
            return True
        key = self.path.absolute()
        try:
            touched = self.path.stat().st_mtime_ns
        except FileNotFoundError:
            self._sightings.pop(key, None)
            return False
        seen = self._sightings.get(key)
        if seen is None or seen[0] != touched:
            seen = self._sightings[key] = (touched, time.monotonic())
        return time.monotonic() - seen[1] > STALE_S

    def try_lock(self, log: Log | None = None, *, tell: bool = True) -> RunLock | None:
        """Lock the unit if it is free or its owner is gone.

        Args:
            tell: report, now and then, that somebody else has it.
        """
        make_folder(self.path.parent)
        lock = _create(self.path)
        if lock is not None:
            _waits.pop(self.path, None)
            return lock
        owner = _read(self.path)
        if owner is None or not self.stale(owner):
            if owner is not None and tell:
                report_wait(self.path, owner)
            return None
        lock = _take_over(self.path, owner)
        if lock is not None and log is not None:
            log(f"took over {self.path.name} from {owner.get('host')} pid {owner.get('pid')}")
        return lock


def lock_or_wait(
    path: Path, done: Callable[[], bool], log: Log | None = None, poll_s: float = 0.2
) -> RunLock | None:
    """Lock a unit, or wait until whoever holds it has finished it.

    Returns:
        The lock, or None when `done()` is true: somebody else has made it.
    """
    watch = LockWatch(path)
    while not done():
        lock = watch.try_lock(log)
        if lock is not None:
            if done():  # finished between the check and the lock
                lock.release()
                return None
            return lock
        time.sleep(poll_s)
    return None
