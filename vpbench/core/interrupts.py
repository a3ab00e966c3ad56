"""Ctrl-C of the command line: once stops within seconds, twice at once.

The first interrupt raises `KeyboardInterrupt` in the main thread, as ever, and what is under way
has `GRACE_S` to store its state. A thread of its own holds that promise, for the main thread may be
inside a library, or busy with cleaning up: it ends the process and everything that it has started.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import threading
import time
from collections.abc import Callable

from vpbench.core.children import kill_children

GRACE_S = 4.6
"""Seconds from the first interrupt to the end of the process: a user waits at a prompt."""

_SAID_AFTER_S = 0.5
"""A command that stops sooner than this needs no word about stopping."""

EXIT_CODE = 130
"""What a shell gives for a command that was interrupted."""

_SHOW_CURSOR = "\x1b[?25h"
"""A display that is cut off has hidden it."""


def watch_interrupts(first: Callable[[], None], last: str) -> None:
    """Hold the promise for this process; for main threads of commands.

    Args:
        first: called in a thread after the first interrupt: says that the command is stopping.
        last: written to standard error before the process is ended by force: how to resume.
    """
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        return  # in the background of a shell script: interrupts are ignored, or somebody else's
    near, far = socket.socketpair()
    near.setblocking(False)
    far.setblocking(False)
    signal.set_wakeup_fd(far.fileno(), warn_on_full_buffer=False)
    # the thread keeps both ends open
    arguments = (near, far, first, last)
    threading.Thread(target=_watch, args=arguments, daemon=True, name="interrupts").start()


def _watch(near: socket.socket, far: socket.socket, first: Callable[[], None], last: str) -> None:
    seen, deadline = 0, float("inf")
    while seen < 2 and time.monotonic() < deadline:
        wait = None if seen == 0 else max(0.0, deadline - time.monotonic())
        if not select.select([near], [], [], wait)[0]:
            continue
        with contextlib.suppress(BlockingIOError):
            count = near.recv(64).count(signal.SIGINT)
            if count and not seen:
                deadline = time.monotonic() + GRACE_S
                _later(first)
            seen += count
    _end(last)


def _later(first: Callable[[], None]) -> None:
    """Say that the command is stopping unless it has stopped by then."""
    timer = threading.Timer(_SAID_AFTER_S, first)
    timer.daemon = True
    timer.start()


def _end(last: str) -> None:
    """End this process and what it has started; nothing of Python's own end is waited for.

    Its streams are not used either: the main thread may hold their locks.
    """
    kill_children()
    with contextlib.suppress(OSError):  # the terminal is closed
        before = f"\r\n{_SHOW_CURSOR}" if os.isatty(2) else ""
        os.write(2, f"{before}{last}\n".encode())
    os._exit(EXIT_CODE)
