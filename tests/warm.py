"""`python -m MODULE` in a process that is forked from a warm one instead of started afresh.

A command of the command line, and each worker that it starts, stays a process of its own, with its
own folder, environment, signals and exit code. Only the imports of other people's packages are
saved: those of torch and its kin take longer than most commands of the tests. The server that is
forked has imported nothing of vpbench and has run nothing, so a command sees no trace of another.
All share its hash seed: what could rest on the order of sets is tested in real processes, which
`start` of `tests.e2e.helpers` gives. `tests/e2e/test_warm.py` compares the two.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import importlib.abc
import importlib.machinery
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
import warnings
from pathlib import Path

ROOT = Path(__file__).parents[1]
AVAILABLE = sys.platform == "linux"
"""Elsewhere a process that has loaded a system library with threads is not safely forked."""

SERVED = ("vpbench", "vpbench.testing.child")
_HOW = {"stdin", "stdout", "stderr", "cwd", "env", "start_new_session"}
_MESSAGE = 1 << 17
_START = f"import sys; sys.path[0] = {str(ROOT)!r}; from tests import warm; del sys.path[0]; "
_popen = subprocess.Popen


class WarmProcess:
    """As much of `subprocess.Popen` as owners of commands and workers use."""

    def __init__(self, address, module, words, *, strict=False, **how):
        self.args, self.returncode = [module, *words], None
        self.stdin = self.stdout = None
        given = [how.get(name) for name in ("stdin", "stdout", "stderr")]
        with contextlib.ExitStack() as theirs:
            ends = []
            for name, value in zip(("stdin", "stdout", "stderr"), given, strict=True):
                ends.append(self._end(theirs, name, value))
            request = {
                "module": module,
                "words": [str(w) for w in words],
                "cwd": str(how.get("cwd") or os.getcwd()),
                "env": {k: str(v) for k, v in (how.get("env") or os.environ).items()},
                "strict": strict,
            }
            self._line = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            self._line.connect(address)
            socket.send_fds(self._line, [json.dumps(request).encode()], ends)
        self.pid = int(self._line.recv(_MESSAGE))

    def _end(self, theirs, name, value):
        """The descriptor for the other side; of a pipe, this side's end is kept."""
        if value is None or value == subprocess.DEVNULL:
            return theirs.enter_context(open(os.devnull, "r+b")).fileno()
        if value != subprocess.PIPE:
            return value if isinstance(value, int) else value.fileno()
        read, write = os.pipe()
        ours, other = (write, read) if name == "stdin" else (read, write)
        setattr(self, name, os.fdopen(ours, "wb" if name == "stdin" else "rb"))
        theirs.callback(os.close, other)
        return other

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.wait()

    def wait(self, timeout=None):
        if self.returncode is None:
            self._line.settimeout(timeout)
            try:
                answer = self._line.recv(_MESSAGE)
            except TimeoutError:
                raise subprocess.TimeoutExpired(self.args, timeout) from None
            self._line.close()
            self.returncode = int(answer or -signal.SIGKILL)
        return self.returncode

    def poll(self):
        with contextlib.suppress(subprocess.TimeoutExpired, BlockingIOError):
            self.wait(0)
        return self.returncode

    def send_signal(self, number):
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self):
        self.send_signal(signal.SIGTERM)

    def kill(self):
        self.send_signal(signal.SIGKILL)


def popen_of(address):
    """A stand-in for `subprocess.Popen` that takes what the server can serve to the server."""

    def popen(command, *arguments, **how):
        words = [str(w) for w in command] if isinstance(command, list | tuple) else []
        known = words[:2] == [sys.executable, "-m"] and words[2] in SERVED
        if known and not arguments and _HOW.issuperset(how):
            return WarmProcess(address, words[2], words[3:], **how)
        return _popen(command, *arguments, **how)

    return popen


class Server:
    """A warm process that listens; it ends with the process that has started it."""

    def __init__(self):
        self._home = tempfile.TemporaryDirectory(prefix="warm-")
        self.address = f"{self._home.name}/line"
        self._process = _popen(
            [sys.executable, "-W", "error", "-c", f"{_START}warm.serve({self.address!r})"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=self._home.name,
            start_new_session=True,
        )
        assert self._process.stdout.readline() == b"ready\n"

    def start(self, module, words, **how):
        return WarmProcess(self.address, module, words, **how)

    def close(self):
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()
        self._home.cleanup()


_servers: list[Server] = []


def server():
    """The server of this test process, started when it is first needed."""
    if not _servers:
        _servers.append(Server())
    return _servers[0]


def close():
    """End the server of this test process, if there is one."""
    while _servers:
        _servers.pop().close()


# the server --------------------------------------------------------------------------------------


_LIGHT = (
    *("PIL.Image", "av", "click", "entrypoints", "google_crc32c", "jinja2", "numpy.random"),
    *("platformdirs", "rich.console", "rich.progress", "rich.table", "safetensors.numpy"),
    *("scipy.linalg", "scipy.ndimage"),
)
_HEAVY = (("cv2",), ("torch", "torch._dynamo", "safetensors.torch"))
"""The first optimiser of a process imports torch._dynamo, and thereby as much as torch itself."""


class _Shelf(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Packages that were imported and do not show: vpbench does more where torch is loaded.

    All modules of a shelf come back when the first of them is imported again.
    """

    def __init__(self, names):
        before = set(sys.modules)
        for name in names:
            importlib.import_module(name)
        # what others import as well, such as modules of Python's own, stays in sight
        tops = {name.partition(".")[0] for name in names}
        new = [n for n in sys.modules if n not in before and n.partition(".")[0] in tops]
        self.modules = {n: sys.modules[n] for n in new}
        self.specs = {n: m.__spec__ for n, m in self.modules.items()}
        for name in self.modules:
            del sys.modules[name]
        sys.meta_path.insert(0, self)

    def find_spec(self, name, path=None, target=None):
        if name not in self.modules:
            return None
        return importlib.machinery.ModuleSpec(name, self, origin=self.specs[name].origin)

    def create_module(self, spec):
        sys.meta_path.remove(self)
        sys.modules.update(self.modules)
        return self.modules[spec.name]

    def exec_module(self, module):
        module.__spec__ = self.specs[module.__name__]


def _preload():
    """Import other people's packages.

    Which modules of vpbench and of its plugins a process has loaded is part of what it records.
    """
    for name in _LIGHT:
        importlib.import_module(name)
    for names in _HEAVY:
        _Shelf(names)
    assert not any(name.partition(".")[0].startswith("vpbench") for name in sys.modules)


def serve(address):
    """Import, listen, and fork one process for each request."""
    _preload()
    gc.collect()
    gc.freeze()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(address)
        listener.listen(64)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        keepers = set()
        while True:
            ready, _, _ = select.select([listener, sys.stdin], [], [])
            if sys.stdin in ready:
                return
            line, _ = listener.accept()
            keepers = {k for k in keepers if os.waitpid(k, os.WNOHANG)[0] == 0}
            keeper = os.fork()
            if keeper == 0:
                listener.close()
                _keep(line, address)
                os._exit(0)
            keepers.add(keeper)
            line.close()


def _keep(line, address):
    """Fork the command, tell its exit code, and end it when its owner has gone."""
    data, ends, _, _ = socket.recv_fds(line, _MESSAGE, 3)
    if not data:
        return
    pid = os.fork()
    if pid == 0:
        line.close()
        os._exit(_run(json.loads(data), ends, address))
    for end in ends:
        os.close(end)
    line.send(str(pid).encode())
    over = os.pidfd_open(pid)
    if over not in select.select([over, line], [], [])[0]:
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    with contextlib.suppress(OSError):
        line.send(str(os.waitstatus_to_exitcode(status)).encode())


def _run(request, ends, address):
    """What `python -m MODULE WORDS` does."""
    os.setsid()
    for number, end in enumerate(ends):
        os.dup2(end, number)
        os.close(end)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    more = request["env"].get("PYTHONPATH", "")
    sys.path[:0] = [request["cwd"], *filter(None, more.split(os.pathsep))]
    sys.argv[1:] = request["words"]
    if not request["strict"]:
        warnings.filters[:] = [f for f in warnings.filters if f[:3] != ("error", None, Warning)]
    subprocess.Popen = popen_of(address)
    code = 0
    try:
        runpy.run_module(request["module"], run_name="__main__", alter_sys=True)
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:  # noqa: BLE001 - as Python does, whatever it is
        traceback.print_exc()
        code = 1
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    return code
