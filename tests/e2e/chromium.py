"""A real browser for tests: Debian's chromium, or any in VPBENCH_CHROMIUM."""

import asyncio
import base64
import contextlib
import os
import shutil
import signal
import subprocess
import threading

import numpy as np
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

LIMIT_S = 180
"""After so long a browser has hung; the slowest of the tests takes a quarter of it."""

BYTES_TO_TEXT = """(data) => {
  let text = "";
  for (let k = 0; k < data.length; k += 32768)
    text += String.fromCharCode(...data.subarray(k, k + 32768));
  return btoa(text);
}"""
"""A function of the page: bytes as one string. As lists, every number is serialised by itself: the
pixels of a few frames keep the browser and playwright busy for many seconds."""


def pixels(text, *shape):
    """The bytes that `BYTES_TO_TEXT` wrote, uint8 of a shape."""
    return np.frombuffer(base64.b64decode(text), np.uint8).reshape(shape)


class BrowserHung(Exception):
    """A browser was killed because it took longer than `LIMIT_S`."""


def browse(work):
    """Run a coroutine that gets a browser; its result.

    Raises:
        BrowserHung: it took longer than `LIMIT_S`.
    """
    path = find()
    from playwright.async_api import async_playwright

    async def run():
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=path, args=FLAGS)
            try:
                return await work(browser)
            finally:
                await browser.close()

    over = threading.Event()
    # A thread's work: one that hangs answers no request to end, and may keep the loop from its own.
    watch = threading.Timer(LIMIT_S, _kill_children, [over, _children(os.getpid())])
    watch.daemon = True
    watch.start()
    try:
        return asyncio.run(run())
    except Exception as error:
        if over.is_set():
            raise BrowserHung(f"a browser took longer than {LIMIT_S} s") from error
        raise
    finally:
        watch.cancel()


def _kill_children(over, spared):
    """Kill the processes that this one has started since, and theirs."""
    over.set()
    left = [pid for pid in _children(os.getpid()) if pid not in spared]
    while left:
        pid = left.pop()
        left += _children(pid)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _children(parent):
    """Ids of the processes that a process has started and that still run."""
    words = ["ps", "-o", "pid=,stat=", "--ppid", str(parent)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as ps:
        listed = [line.split() for line in ps.communicate(timeout=20)[0].splitlines()]
    return {int(pid) for pid, state in listed if int(pid) != ps.pid and state[0] != "Z"}


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
