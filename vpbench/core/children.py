"""The processes that this one has started, so that none is left when it ends in a hurry."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import threading
import time
from typing import Protocol

_WATCH_S = 1.0
"""Seconds between a process's checks of its parent: after a SIGKILL nothing else ends it."""


_PR_SET_PDEATHSIG = 1
"""Of <linux/prctl.h>."""


class Started(Protocol):
    """A process as `subprocess.Popen` gives it."""

    pid: int

    def poll(self) -> int | None:
        """Its exit code; None while it runs."""
        ...


_started: list[Started] = []


def remember(process: Started) -> None:
    """Have a process killed by `kill_children`; call it where a process is started."""
    _started[:] = [p for p in _started if p.poll() is None]
    _started.append(process)


def kill_children() -> None:
    """Kill all processes that were started here and still run, those of pools included."""
    pids = [p.pid for p in list(_started) if p.poll() is None]
    if "multiprocessing" in sys.modules:  # else there is no pool, and no need to import it
        pools = sys.modules["multiprocessing"].active_children()
        pids += [p.pid for p in pools if p.pid is not None]
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def end_with_parent(
    parent: int | None = None, *, pipe: int | None = None, grace_s: float = 0.0
) -> threading.Event:
    """End this process soon after its parent has gone, whatever it is doing.

    Args:
        parent: process id of the parent; None for the present one.
        pipe: descriptor of a pipe that only the parent holds open: a parent that went before this
            process could look is noticed as well.
        grace_s: seconds between the event and the end.

    Returns:
        An event that is set once the parent has gone.
    """
    owner = os.getppid() if parent is None else parent
    line = None if pipe is None else os.dup(pipe)
    gone = threading.Event()

    def watch() -> None:
        while os.getppid() == owner and not _hung_up(line):
            time.sleep(_WATCH_S)
        gone.set()
        time.sleep(grace_s)
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="parent").start()
    _end_by_the_kernel()
    return gone


def _end_by_the_kernel() -> None:
    """Have Linux end this process too, 10 s later: no thread runs while C code keeps Python's lock.

    A regular expression that backtracks for ever is enough. At the death of its parent the process
    gets SIGUSR1, whose handler is libc's `alarm`, called with the number of the signal: 10 seconds
    later SIGALRM ends it.
    """
    if sys.platform != "linux":
        return
    import ctypes

    with contextlib.suppress(OSError, AttributeError):  # a libc without one of these
        libc = ctypes.CDLL(None)
        if libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGUSR1), 0, 0, 0) == 0:
            libc.signal.argtypes = (ctypes.c_int, ctypes.c_void_p)
            libc.signal(int(signal.SIGUSR1), ctypes.cast(libc.alarm, ctypes.c_void_p))


def _hung_up(pipe: int | None) -> bool:
    """Whether the other side of a pipe was closed; what was written before may be unread."""
    if pipe is None or not hasattr(select, "poll"):
        return False
    poll = select.poll()
    poll.register(pipe, 0)
    return any(event & select.POLLHUP for _, event in poll.poll(0))
