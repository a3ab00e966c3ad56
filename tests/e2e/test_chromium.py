"""What starts browsers for tests: one that hangs ends its test, and leaves nothing behind."""

import os
import signal
import time

import pytest

from tests.e2e import chromium

pytestmark = [pytest.mark.browser, pytest.mark.e2e]


async def spins(browser):
    page = await browser.new_page()
    await page.evaluate("() => { while (true); }")


async def stops_answering(browser):
    """The program that stands between Python and the browser is stopped as it is."""
    for pid in chromium._children(os.getpid()):
        with open(f"/proc/{pid}/cmdline") as stream:
            if "playwright" in stream.read():
                os.kill(pid, signal.SIGSTOP)
    await browser.new_page()


async def keeps_the_loop(browser):
    while any(map(chromium._children, chromium._children(os.getpid()))):
        time.sleep(0.1)
    await browser.new_page()


@pytest.mark.parametrize("work", [spins, stops_answering, keeps_the_loop])
def test_a_browser_that_hangs_ends_its_test(monkeypatch, work):
    monkeypatch.setattr(chromium, "LIMIT_S", 4)
    before = chromium._children(os.getpid())
    begun = time.monotonic()
    with pytest.raises(chromium.BrowserHung, match="longer than 4 s"):
        chromium.browse(work)
    assert time.monotonic() - begun < 60
    while left := chromium._children(os.getpid()) - before:
        assert time.monotonic() - begun < 60, left
        time.sleep(0.1)


def test_what_fails_in_a_browser_is_told_as_it_is():
    async def fails(browser):
        page = await browser.new_page()
        await page.evaluate("() => { throw new Error('what is wrong'); }")

    with pytest.raises(Exception, match="what is wrong"):
        chromium.browse(fails)
