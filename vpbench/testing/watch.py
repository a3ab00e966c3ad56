"""Watches what a plugin does to its surroundings: files, network, state of the process."""

from __future__ import annotations

import hashlib
import os
import random
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vpbench.harness.prediction.settings import settings

_CHANGES = {
    "os.mkdir": 0,
    "os.remove": 0,
    "os.rmdir": 0,
    "os.truncate": 0,
    "os.chmod": 0,
    "os.rename": 1,
    "os.link": 1,
    "os.symlink": 1,
    "shutil.rmtree": 0,
    "shutil.copyfile": 1,
    "shutil.move": 1,
}
"""Audit events that change files, and which argument names what is changed."""

_NETWORK = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto")
_NEAR = ("127.0.0.1", "::1", "localhost", "", None)
_DEVICES = "/dev/"


class Watch:
    """Records writes and network access while a plugin's code runs.

    Attributes:
        allowed: folders that may be written.
        writes, network: what was seen, in order.
    """

    def __init__(self, allowed: tuple[Path, ...]) -> None:
        self.allowed = tuple(f"{os.path.realpath(p)}{os.sep}" for p in allowed)
        self.writes: list[str] = []
        self.network: list[str] = []
        self._depth = 0
        sys.addaudithook(self._hook)

    @contextmanager
    def on(self) -> Generator[None]:
        """While a plugin's code runs."""
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1

    def _hook(self, event: str, args: tuple[Any, ...]) -> None:
        if not self._depth:
            return
        if event == "open":
            self._opened(*args)
        elif event in _CHANGES:
            self._changed(args[_CHANGES[event]])
        elif event in _NETWORK:
            self._reached(event, args)

    def _opened(self, path: Any, mode: str | None, flags: int) -> None:
        writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
        if flags & writing or (mode is not None and set(mode) & set("wax+")):
            self._changed(path)

    def _changed(self, path: Any) -> None:
        if isinstance(path, int) or path is None:
            return
        full = os.path.realpath(os.fsdecode(path))
        if full.startswith(_DEVICES) or f"{full}{os.sep}".startswith(self.allowed):
            return
        if full not in self.writes:
            self.writes.append(full)

    def _reached(self, event: str, args: tuple[Any, ...]) -> None:
        target = args[1] if event in ("socket.connect", "socket.sendto") else args[0]
        if isinstance(target, str | bytes) and event in ("socket.connect", "socket.sendto"):
            return  # a socket in the file system
        host = target[0] if isinstance(target, tuple) else target
        if host not in _NEAR:
            self.network.append(f"{event} {host}")
            raise PermissionError(f"no network: {host}")


def state() -> dict[str, Any]:
    """What a plugin must leave as it was, by name, in a form that can be compared."""
    import numpy as np

    values: dict[str, Any] = {
        **settings(),
        "the generator of random": _short(random.getstate()),
        "the global generator of numpy": _short(
            [np.asarray(part).tolist() for part in np.random.get_state(legacy=True)]
        ),
    }
    torch = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "get_rng_state"):
        values["the global generator of torch"] = _short(torch.get_rng_state().tolist())
    return values


class Surroundings:
    """Puts the process back as it was, so that one check cannot disturb the next."""

    def __init__(self) -> None:
        import numpy as np

        self._cwd, self._env = os.getcwd(), dict(os.environ)
        self._random, self._numpy = random.getstate(), np.random.get_state()
        self._errors = np.geterr()
        self._torch = self._of_torch()

    def _of_torch(self) -> dict[str, Any] | None:
        torch = sys.modules.get("torch")
        if torch is None or not hasattr(torch, "get_rng_state"):
            return None
        return {
            "rng": torch.get_rng_state(),
            "dtype": torch.get_default_dtype(),
            "threads": torch.get_num_threads(),
            "grad": torch.is_grad_enabled(),
        }

    def restore(self) -> None:
        """Back to how it was."""
        import numpy as np

        os.chdir(self._cwd)
        os.environ.clear()
        os.environ.update(self._env)
        random.setstate(self._random)
        np.random.set_state(self._numpy)
        np.seterr(**self._errors)
        torch = sys.modules.get("torch")
        if torch is not None and self._torch is not None:
            torch.set_rng_state(self._torch["rng"])
            torch.set_default_dtype(self._torch["dtype"])
            torch.set_num_threads(self._torch["threads"])
            torch.set_grad_enabled(self._torch["grad"])


def _short(value: Any) -> str:
    return hashlib.sha256(repr(value).encode()).hexdigest()[:16]
