"""A real browser for tests: Debian's chromium, or any in VPBENCH_CHROMIUM."""

import atexit
import os
import shutil
import stat
import tempfile
from pathlib import Path

import pytest

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
]


def find():
    """Path of the browser; skips the test without one, or fails where it is required."""
    pytest.importorskip("playwright", reason="playwright is not installed")
    path = os.environ.get("VPBENCH_CHROMIUM") or shutil.which("chromium")
    if path is None:
        why = "no chromium: apt-get install chromium, or name one in VPBENCH_CHROMIUM"
        if "browser" in os.environ.get("VPBENCH_REQUIRE", "").replace(",", " ").split():
            pytest.fail(why)
        pytest.skip(why)
    return _at_plain_priority(path)


def _at_plain_priority(path):
    """The browser without the right to real-time scheduling, which it takes when run by root.

    Two of its threads that spin at that priority keep a machine of two cores from everything else.
    """
    setpriv = shutil.which("setpriv")
    if os.geteuid() != 0 or setpriv is None:
        return path
    script = Path(tempfile.mkdtemp(prefix="chromium-")) / "chromium"
    script.write_text(
        f'#!/bin/sh\nexec {setpriv} --bounding-set=-sys_nice --inh-caps=-sys_nice "{path}" "$@"\n'
    )
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    atexit.register(shutil.rmtree, script.parent, ignore_errors=True)
    return str(script)
