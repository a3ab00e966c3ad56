"""What a process shares with the processes that it starts: environment, working directory."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def unchanged_surroundings() -> Generator[None]:
    """Take back what importing plugins changes of the environment and the working directory.

    Workers inherit both, and paths are relative to one of them. The worker of a plugin imports it
    again; there it may change them, and that is reported.
    """
    environment, folder = dict(os.environ), os.getcwd()
    try:
        yield
    finally:
        if os.environ != environment:
            os.environ.clear()
            os.environ.update(environment)
        if os.getcwd() != folder:
            os.chdir(folder)
