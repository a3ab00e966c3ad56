"""A real browser for tests: Debian's chromium, or any in VPBENCH_CHROMIUM."""

import os
import shutil

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
    return path
