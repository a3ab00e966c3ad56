"""Pages in a real browser: pictures in step by their pixels, keyboard, sorting, no request."""

import asyncio
import importlib.util
from pathlib import Path

import numpy as np
import pytest

from tests.e2e import chromium, pages
from tests.e2e.pages import CLASSES, COUNT, FRAMES, METHOD, SIZE, run
from vpbench.board.planes import psnr

pytestmark = [pytest.mark.browser, pytest.mark.e2e]

READY = f'.player[data-ready="{FRAMES + 1}"]'
PIXELS = """() => [...document.querySelectorAll(".track .picture")].map(
  (c) => (BYTES_TO_TEXT)(c.getContext("2d").getImageData(0, 0, c.width, c.height).data))""".replace(
    "BYTES_TO_TEXT", chromium.BYTES_TO_TEXT
)
ROWS = """() => [...document.querySelectorAll("table.scores tbody")].map(
  (b) => [...b.rows].map((r) => r.cells[0].textContent))"""


@pytest.fixture(scope="module")
def made(once):
    return once("pages", pages.make_runs)


@pytest.fixture(scope="module")
def page_file(made, tmp_path_factory):
    out = tmp_path_factory.mktemp("page") / "page.html"
    words = ("compare", METHOD, "noise", "--references", "all", "--format", "html", "--out", out)
    assert run(made, *words).code == 0
    return out


class Opened:
    """A page with all that the browser complained of or asked for."""

    def __init__(self, page):
        self.page, self.faults = page, []
        page.on("console", lambda message: self.said(message.text))
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("dialog", lambda dialog: self.faults.append(f"dialog {dialog.message}"))
        page.on("request", self.asked)

    def said(self, text):
        if not text.startswith("Canvas2D: Multiple readback"):  # it is the test that reads
            self.faults.append(text)

    def asked(self, request):
        if not request.url.startswith(("blob:", "data:")):
            self.faults.append(request.url)

    async def text(self, selector):
        return await self.page.locator(selector).first.inner_text()

    async def data(self, name):
        return await self.page.locator(".player").first.get_attribute(f"data-{name}")

    async def another(self):
        """A selector for the player once it shows another clip."""
        return f':not([data-index="{await self.data("index")}"])'

    async def pictures(self):
        """uint8 [tracks,H,W,3] as they are on the screen."""
        shown = [chromium.pixels(text, SIZE, SIZE, 4) for text in await self.page.evaluate(PIXELS)]
        return np.stack(shown)[..., :3]


def browse(file, work, width=1280, scheme="light", ready=READY):
    """Run a coroutine with the opened page; nothing but the file itself was asked for."""

    async def whole(browser):
        context = await browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme
        )
        opened = Opened(await context.new_page())
        await opened.page.goto(file.as_uri())
        await opened.page.wait_for_selector(ready)
        result = await work(opened)
        assert opened.faults[:1] == [file.as_uri()]
        return result, opened.faults[1:]

    return chromium.browse(whole)


def test_all_pictures_show_the_same_frame(made, page_file):
    """At every frame, each track's pixels are that frame of its own prediction, and no other."""

    async def work(opened):
        page = opened.page
        await page.locator(".stage").focus()
        shown, names = {}, []
        for index in range(2):
            names.append(await opened.data("clip"))
            another = await opened.another()
            await page.keyboard.press("Home")
            for t in range(FRAMES + 1):
                assert await opened.data("frame") == str(t)
                shown[index, t] = await opened.pictures()
                await page.keyboard.press("ArrowRight")
            await page.keyboard.press("ArrowDown")
            await page.wait_for_selector(f"{READY}{another}")
        await page.keyboard.press(" ")
        moved = []
        for _ in range(40):
            await asyncio.sleep(0.02)
            moved.append((int(await opened.data("frame")), await opened.pictures()))
        return shown, names, moved

    (shown, names, moved), faults = browse(page_file, work)
    assert faults == []
    real, tiny, noise = (pages.stored(made, n) for n in ("real", "tiny*", "noise"))
    for (index, t), pictures in shown.items():
        if t == 0:  # the given frame, in every track
            assert all(np.array_equal(p, pictures[0]) for p in pictures)
            continue
        for picture, truth in zip(pictures, (real, tiny, noise), strict=False):
            clip = truth[names[index]]
            likeness = [psnr(picture, frame) for frame in clip]
            assert likeness[t - 1] > 33 and likeness[t - 1] >= max(likeness) - 1e-9
    assert len({t for t, _ in moved}) > 3  # it plays
    following = pages.stored(made, "noise")
    clip = sorted(following)[2]
    for _, pictures in moved:  # while it plays, too: one frame index for all
        at = [
            int(np.argmax([psnr(p, f) for f in truth[clip]]))
            for p, truth in zip(pictures[[0, 2]], (real, noise), strict=True)
        ]
        assert at[0] == at[1] or np.array_equal(pictures[0], pictures[1])


def test_sorting_filter_views_and_keys(page_file):
    async def work(opened):
        page = opened.page
        before = await page.evaluate(ROWS)
        button = page.get_by_role("button", name="PSNR").first
        await button.focus()
        await page.keyboard.press("Enter")
        head = page.locator("th[aria-sort]")
        assert await head.get_attribute("aria-sort") == "descending"
        down = await page.evaluate(ROWS)
        await page.keyboard.press("Enter")
        assert await head.get_attribute("aria-sort") == "ascending"
        up = await page.evaluate(ROWS)
        assert sorted(map(sorted, before)) == sorted(map(sorted, down))
        assert [part[::-1] for part in up] == down or [p[:1] for p in up] != [p[:1] for p in down]

        await page.locator(".player").get_by_label("Class").select_option(CLASSES[1])
        assert await opened.data("clips") == str(COUNT // 2)
        options = page.locator("select.clips option")
        assert all(CLASSES[1] in text for text in await options.all_inner_texts())
        order = page.locator(".player").get_by_label("Sort by")
        await order.select_option(label="PSNR of noise")
        await page.wait_for_selector(READY)
        another = await opened.another()
        values = [float(t.split(" · ")[-1]) for t in await options.all_inner_texts()]
        assert values == sorted(values, reverse=True) and len(values) == COUNT // 2
        await page.locator(".player").get_by_label("Order").select_option("1")
        await page.wait_for_selector(f"{READY}{another}")
        turned = [float(t.split(" · ")[-1]) for t in await options.all_inner_texts()]
        assert turned == values[::-1]

        await page.locator(".stage").focus()
        await page.keyboard.press("End")
        plain = (await opened.pictures()).astype(int)
        await page.keyboard.press("d")
        differences = (await opened.pictures()).astype(int)
        wanted = np.clip(4 * np.abs(plain - plain[:1]), 0, 255)
        assert np.array_equal(differences[1:], wanted[1:])
        assert np.array_equal(differences[0], plain[0])
        assert await opened.text(".counter") == f"frame {FRAMES} of {FRAMES}"
        await page.keyboard.press("-")
        assert await page.get_by_label("Speed").input_value() == "0.5"
        await page.keyboard.press("Home")
        assert await opened.text(".counter") == "given"
        return True

    assert browse(page_file, work) == (True, [])


def test_a_report_shows_keypoints_and_masks(made, tmp_path):
    out = tmp_path / "report.html"
    assert run(made, "report", METHOD, "--out", out).code == 0
    drawn = """() => [...document.querySelectorAll(".overlay")].map((c) =>
      c.getContext("2d").getImageData(0, 0, c.width, c.height).data.some((v) => v > 0))"""

    async def work(opened):
        await opened.page.locator(".stage").focus()
        await opened.page.keyboard.press("End")
        before = await opened.page.evaluate(drawn)
        await opened.page.keyboard.press("k")
        points = await opened.page.evaluate(drawn)
        await opened.page.keyboard.press("m")
        return before, points, await opened.pictures()

    (before, points, masks), faults = browse(out, work)
    assert faults == [] and before == [False, False] and points == [False, True]
    grey = masks[1]
    assert np.array_equal(grey[..., 0], grey[..., 1]) and np.array_equal(grey[..., 0], grey[..., 2])


def test_clips_in_a_folder_are_loaded_when_they_are_chosen(made, tmp_path):
    out = tmp_path / "page.html"
    words = ("compare", METHOD, "--format", "html", "--out", out, "--clips", 2, "--media-folder")
    assert run(made, *words).code == 0

    async def work(opened):
        another = await opened.another()
        place = opened.page.locator("select.clips")
        film = await opened.page.evaluate(
            """() => { const p = document.querySelector(".player").vpbenchPlayer;
              return p.clips.findIndex((c) => c.film && !c.inside); }"""
        )
        await place.select_option(str(film))
        await opened.page.wait_for_selector(f"{READY}{another}")
        return film

    _, faults = browse(out, work)
    assert len(faults) == 1 and faults[0].startswith((tmp_path / "page.media").as_uri())


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1280, "light"), (1920, "dark")])
def test_accessible_at_every_width(page_file, width, scheme):
    package = importlib.util.find_spec("axe_playwright_python")
    axe = next(Path(package.origin).parent.rglob("axe.min.js")).read_text()

    async def work(opened):
        page = opened.page
        await page.evaluate("document.querySelectorAll('details').forEach((d) => d.open = true)")
        await page.evaluate(axe)
        result = await page.evaluate("axe.run()")
        serious = [
            (v["id"], v["nodes"][0]["html"][:150])
            for v in result["violations"]
            if v["impact"] in ("serious", "critical")
        ]
        ground = await page.evaluate("getComputedStyle(document.body).backgroundColor")
        wide = await page.evaluate("document.documentElement.scrollWidth")
        await page.emulate_media(media="print")
        hidden = await page.locator(".player .transport").is_hidden()
        return serious, ground, wide, hidden

    (serious, ground, wide, hidden), faults = browse(page_file, work, width, scheme)
    assert serious == [] and faults == [] and wide <= width and hidden
    dark = sum(map(int, ground.removeprefix("rgb(").removesuffix(")").split(","))) < 200
    assert dark == (scheme == "dark")
