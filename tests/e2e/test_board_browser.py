"""The site of the leaderboards in a real browser: from the disk and from a server's sub-folder."""

import contextlib
import functools
import http.server
import importlib.util
import threading
from pathlib import Path

import pytest

from tests.e2e import chromium
from tests.unit.board.site_entries import board, entry, score, task, usual, with_scores
from vpbench.board.site.build import build_site
from vpbench.core.registry import registry

pytestmark = [pytest.mark.browser, pytest.mark.e2e]

REPORTED = Path(__file__).parents[2] / "leaderboards" / "reported.toml"
RECALL = """[[recalled]]
what = "entry"
name = "fourth-puppets"
metrics = ["ssim"]
date = "2026-11-26"
reason = "scored with another window"
"""
WIDTHS = (390, 1280, 1920)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A site whose rows have every level and tier, a missing figure and a recalled one."""
    place = tmp_path_factory.mktemp("board")
    only = with_scores(entry("fifth", tier="wrapped"), [score(task(), "psnr", 23.5)])
    named = entry("long[note=<b>&'" + "x" * 90 + "]", 16.0, 0.5, notes=("=1+1", "日本語 <script>"))
    more = [only, named, entry("fourth", 24.0, 0.9), entry("oracle", 40.0, 0.99, kind="oracle")]
    root = board(place / "lb", [*usual(), *more])
    (root / "reported.toml").write_bytes(REPORTED.read_bytes())
    (root / "errata.toml").write_text(RECALL)
    # named refuses to be a file name: its entry's id is set by hand
    built = build_site(root, place / "web" / "boards", registry(()))
    assert not built.refused, built.refused
    return built.folder


@contextlib.contextmanager
def serving(folder):
    """A plain web server; gives its address."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *words):
            pass

    handler = functools.partial(Quiet, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


class Visitor:
    """A page that notes every console message and every request."""

    def __init__(self, page):
        self.page, self.faults, self.requests = page, [], []
        page.on("console", lambda m: self.faults.append(m.text))
        page.on("pageerror", lambda e: self.faults.append(str(e)))
        page.on("requestfailed", lambda r: self.faults.append(r.url))
        page.on("request", lambda r: self.requests.append(r.url))

    async def names(self, part="methods"):
        """Names of the rows that are shown, in order."""
        return await self.page.evaluate(
            "(part) => [...document.querySelectorAll(`table.board tr.${part}`)]"
            ".filter((row) => row.checkVisibility()).map((row) => row.querySelector('.name')"
            ".textContent)",
            part,
        )

    async def choose(self, label, value):
        await self.page.get_by_label(label).select_option(value)


def visit(work, **context):
    """Run a coroutine that gets a visitor."""

    async def whole(browser):
        own = await browser.new_context(viewport={"width": 1280, "height": 900}, **context)
        visitor = Visitor(await own.new_page())
        await work(visitor)
        return visitor

    return chromium.browse(whole)


BY_PSNR = ["fourth", "fifth", "mine", "mine[label=off]", "other", "third", "long"]


def short(names):
    """Names as they begin: one of them is cut."""
    return [name if not name.startswith("long") else "long" for name in names]


def test_rows_are_sorted_by_click_and_by_keyboard(site):
    async def work(visitor):
        page = visitor.page
        await page.goto((site / "tasks/puppets.html").as_uri())
        assert short(await visitor.names()) == BY_PSNR
        ssim = page.get_by_role("button", name="SSIM")
        await ssim.click()  # the best first; recalled and missing figures last
        expected = ["other", "mine", "mine[label=off]", "third", "long"]
        assert short(await visitor.names())[:5] == expected
        assert sorted(short(await visitor.names())[5:]) == ["fifth", "fourth"]
        head = page.locator("th[aria-sort]")
        assert await head.get_attribute("aria-sort") == "descending"
        await ssim.press("Enter")
        assert short(await visitor.names())[:5] == expected[::-1]
        assert sorted(short(await visitor.names())[5:]) == ["fifth", "fourth"]
        await ssim.press("ArrowLeft")
        await page.keyboard.press("Space")
        assert short(await visitor.names()) == BY_PSNR
        await page.get_by_role("button", name="method").click()
        assert short(await visitor.names()) == sorted(BY_PSNR)
        assert await visitor.names("unranked") == ["oracle"]  # below, whatever rows are sorted by
        assert await visitor.names("references") == ["copy last frame"]
        outline = await page.evaluate(
            "() => { const b = document.querySelector('.board button'); b.focus();"
            " return getComputedStyle(b).outlineWidth; }"
        )
        assert outline == "3px"

    visitor = visit(work)
    assert visitor.faults == []
    assert all(url.startswith(site.as_uri()) for url in visitor.requests)


def test_filters_stand_in_the_address_and_are_found_there_again(site):
    async def work(visitor):
        page = visitor.page
        shown = page.locator(".filters output")
        await page.goto((site / "tasks/puppets.html").as_uri())
        assert await shown.inner_text() == "9 of 10 rows"  # noise is hidden at first
        for label, value, names in (
            ("Given frames", "2+", ["other", "third"]),
            ("Action label", "yes", ["mine", "third"]),
            ("Tier", "folder", ["third"]),
            ("Level", "rescored", ["mine[label=off]"]),
        ):
            await visitor.choose(label, value)
            assert await visitor.names() == names, label
            await page.reload()
            assert await visitor.names() == names, label
            await page.get_by_role("button", name="Reset", exact=True).click()
        await visitor.choose("References", "all")
        assert await visitor.names("references") == ["copy last frame", "noise"]
        await visitor.choose("References", "none")
        assert await visitor.names("references") == []
        assert await page.get_by_text("Trivial baselines").is_hidden()
        await page.get_by_label("Search").fill("MINE resc")
        assert await visitor.names() == ["mine[label=off]"]
        await page.get_by_label("Search").fill("<script>")
        assert await page.get_by_text("No rows left").is_visible()
        await page.get_by_role("button", name="Reset filters").click()
        assert short(await visitor.names()) == BY_PSNR
        assert "#" not in page.url
        # A link to a row that is hidden shows it.
        link = (site / "tasks/puppets.html").as_uri() + "#entry-noise-puppets"
        await page.goto(link)  # within the page: shown once the browser tells the script
        await page.locator("#entry-noise-puppets").wait_for(state="visible", timeout=10_000)
        assert "noise" in await visitor.names("references")
        await page.goto("about:blank")
        await page.goto(link)  # from elsewhere: shown from the start
        assert "noise" in await visitor.names("references")

    assert visit(work).faults == []


def test_every_page_is_accessible_and_fits_in_light_and_dark(site):
    package = importlib.util.find_spec("axe_playwright_python")
    axe = next(Path(package.origin).parent.rglob("axe.min.js")).read_text()
    pages = ("index.html", "tasks/puppets.html", "tasks/penn.html", "methods/mine.html")
    found, grounds = [], set()

    async def work(visitor):
        page = visitor.page
        with serving(site.parent) as address:
            for path in pages:
                await page.goto(f"{address}/boards/{path}")
                await page.evaluate("document.querySelectorAll('details').forEach(d => d.open = 1)")
                for width in WIDTHS:
                    await page.set_viewport_size({"width": width, "height": 900})
                    for scheme in ("light", "dark") if width < 1920 else ("light",):
                        await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
                        wide = await page.evaluate("document.documentElement.scrollWidth")
                        assert wide <= width, (path, width)
                        grounds.add(
                            await page.evaluate("getComputedStyle(document.body).backgroundColor")
                        )
                        if width == 1920:
                            continue
                        await page.evaluate(axe)
                        result = await page.evaluate("axe.run()")
                        found.extend(
                            (path, width, scheme, v["id"], v["nodes"][0]["html"][:120])
                            for v in result["violations"]
                        )
            assert await page.locator("tr:target, section").count()
            visitor.origin = address

    visitor = visit(work)
    assert found == [] and visitor.faults == []
    assert len(grounds) == 2
    assert all(url.startswith(f"{visitor.origin}/boards/") for url in visitor.requests)


def test_without_scripts_all_rows_are_there(site):
    async def work(visitor):
        await visitor.page.goto((site / "tasks/puppets.html").as_uri())
        rows = visitor.page.locator("table.board tr.methods, table.board tr.references")
        assert await rows.count() == 9
        assert all([await rows.nth(k).is_visible() for k in range(9)])
        assert await visitor.page.locator("form.filters").is_hidden()

    visit(work, java_script_enabled=False)
