"""A command at a terminal of its own: what is typed reaches it and its processes as from a user."""

import contextlib
import errno
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path


class Terminal:
    """`vpbench WORDS` on a pseudo-terminal, in the foreground.

    Its processes are known by their VPBENCH_HOME, which no other test uses.
    """

    def __init__(self, *words, cwd, env, width=100):
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
        self.home = str(cwd / "home")
        self.text = ""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "vpbench", *map(str, words)],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=cwd,
            env={**os.environ, "TERM": "xterm", "VPBENCH_HOME": self.home, **env},
            preexec_fn=_own_terminal,
        )
        os.close(slave)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for pid in [self.process.pid, *self.left()]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        os.close(self.master)

    def read(self, seconds):
        """What has come within some time; "" at the end."""
        if not select.select([self.master], [], [], seconds)[0]:
            return None
        try:
            data = os.read(self.master, 1 << 16)
        except OSError as error:
            if error.errno != errno.EIO:  # the other side is closed
                raise
            data = b""
        self.text += data.decode(errors="replace")
        return data

    def shown(self):
        """The end of what it has written, without colours and movements of the cursor."""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|[━╸╺\r]", "", self.text[-9000:])[-1500:]

    def until(self, words, seconds=120):
        """Read until a regular expression matches what it shows."""
        end = time.monotonic() + seconds
        while not re.search(words, self.shown()):
            assert time.monotonic() < end, f"{words!r} never came:\n{self.shown()}"
            assert self.read(1) != b"", f"it ended before {words!r}:\n{self.shown()}"

    def press_ctrl_c(self):
        os.write(self.master, b"\x03")

    def end(self, seconds):
        """The exit code, and how long that took; fails after `seconds`."""
        begun = time.monotonic()
        while self.process.poll() is None:
            assert time.monotonic() - begun < seconds, f"it does not end:\n{self.shown()}"
            self.read(0.05)
        took = time.monotonic() - begun
        while self.read(0.2):
            pass
        return self.process.returncode, took

    def left(self):
        """Processes that it has started and that still run."""
        mark = f"VPBENCH_HOME={self.home}".encode()
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
                if mark in (entry / "environ").read_bytes().split(b"\0") and state not in "ZX":
                    found.append(int(entry.name))
        return [pid for pid in found if pid != self.process.pid]


def _own_terminal():
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.default_int_handler)
