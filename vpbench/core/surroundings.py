"""What a process shares with the processes that it starts: environment, working directory."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager, redirect_stdout


@contextmanager
def plugin_output() -> Generator[None]:
    """Lead what plugins print to standard error, whatever they print with.

    Standard output is for results, and with --json for one object.
    """
    sys.stdout.flush()
    try:
        saved = os.dup(1)
    except OSError:  # closed
        saved = None
    try:
        if saved is not None:
            os.dup2(2, 1)
        with redirect_stdout(sys.stderr):
            yield
    finally:
        if saved is not None:
            os.dup2(saved, 1)
            os.close(saved)


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
