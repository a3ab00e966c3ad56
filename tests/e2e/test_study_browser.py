"""The study's page in a real browser: five raters, accessibility, pixels, no server."""

import asyncio
import importlib.util
import json
import math
from pathlib import Path

import numpy as np
import pytest

from tests.e2e.chromium import BYTES_TO_TEXT, browse, pixels
from tests.e2e.raters import WAYS, Rater
from tests.e2e.study_server import serving
from tests.unit.study import make
from vpbench.study.analysis import collect
from vpbench.study.answers import read_events
from vpbench.study.imports import import_file
from vpbench.study.reading import read_raters

pytestmark = [pytest.mark.browser, pytest.mark.e2e]

CLIPS, RATERS = 12, 5


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("browser") / "study"
    return make.study(folder, methods=4, clips=CLIPS, raters=RATERS)


def test_five_raters(study):
    bundle, _, private = study

    async def work(browser):
        raters = []

        async def one(number, way, url):
            context = await browser.new_context(viewport={"width": 1280, "height": 900})
            context.set_default_timeout(60_000)
            rater = Rater(await context.new_page(), number)
            raters.append(rater)
            await way(rater, f"{url}?PROLIFIC_PID=p{number}&STUDY_ID=s&SESSION_ID=x{number}")

        with serving(bundle.folder) as port:
            url = f"http://127.0.0.1:{port}/"
            await asyncio.gather(*(one(k, way, url) for k, way in enumerate(WAYS)))
        return sorted(raters, key=lambda rater: rater.number)

    raters = browse(work)
    assert [r.faults for r in raters] == [[]] * RATERS
    stored = read_events(private.answers)
    assert [e["kind"] for e in stored].count("answer") == RATERS * 14  # none lost, none doubled
    by_name = {r.name: r for r in read_raters(stored, bundle)}
    salt = make.Collection(bundle, make.salt(private), {})
    for number, rater in enumerate(raters):
        answers = by_name[salt.hashed("rater", f"p{number}")].answers
        told = {bundle.trials[t][1]: a["ranks"] for t, a in answers.items()}
        assert told == rater.clicked
        assert all(min(a["plays"]) >= 1 for a in answers.values())
        ways = {way for a in answers.values() for way in a["ways"].values()}
        assert ways == {("drag", "keyboard", "drag", "drag", "table")[number]}
    collected = collect(bundle.folder)
    assert len(collected.raters) == RATERS and all(r.finished for r in collected.raters)
    text = private.answers.read_text()
    assert "p0" not in json.loads(text.splitlines()[0])["prolific"].values()


def test_accessible_and_in_step(study, tmp_path):
    """axe-core finds nothing serious; the four videos run together; phones and dark pages, too."""
    bundle, _, _ = study
    package = importlib.util.find_spec("axe_playwright_python")
    axe = next(Path(package.origin).parent.rglob("axe.min.js")).read_text()

    async def check(page, where, found):
        await page.evaluate(axe)
        result = await page.evaluate("axe.run()")
        found += [
            (where, v["id"], v["nodes"][0]["html"][:120])
            for v in result["violations"]
            if v["impact"] in ("serious", "critical")
        ]

    async def work(browser):
        found, skews = [], []
        with serving(bundle.folder) as port:
            for where, width, scheme in (("desktop", 1280, "light"), ("phone", 390, "dark")):
                context = await browser.new_context(
                    viewport={"width": width, "height": 844}, color_scheme=scheme
                )
                rater = Rater(await context.new_page(), 0)
                page = rater.page
                await page.goto(f"http://127.0.0.1:{port}/")
                await page.get_by_label("I am 18").wait_for()
                await check(page, f"{where} consent", found)
                await rater.arrive(f"http://127.0.0.1:{port}/")
                await rater.screen()
                await rater.play_out()
                for _ in range(10):
                    await asyncio.sleep(0.05)
                    times = await page.evaluate(
                        "[...document.querySelectorAll('video')].map((v) => v.currentTime)"
                    )
                    skews.append(max(times) - min(times))
                await rater.rank(0, rater.tap)
                await check(page, f"{where} trial", found)
                await page.get_by_role("button", name="Rank in a table").click()
                await check(page, f"{where} table", found)
                wide = await page.evaluate("document.documentElement.scrollWidth")
                assert wide <= width  # nothing to scroll sideways
                await page.screenshot(path=tmp_path / f"{where}.png", full_page=True)
                await page.get_by_role("button", name="Stop and withdraw").click()
                await check(page, f"{where} dialog", found)
                await page.get_by_role("button", name="Withdraw", exact=True).click()
                await page.get_by_text("You have withdrawn").wait_for()
                assert rater.faults == []
        return found, skews

    found, skews = browse(work)
    assert found == []
    assert sorted(skews)[len(skews) // 2] <= 1 / 12  # within a frame


PIXELS = """async ([source, fps, count, side]) => {
  const video = document.createElement("video");
  video.muted = true; video.preload = "auto"; video.src = source;
  await new Promise((ok, no) => { video.oncanplaythrough = ok; video.onerror = no; });
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = side;
  const paint = canvas.getContext("2d", { willReadFrequently: true });
  const text = BYTES_TO_TEXT;
  let last = -1; // what is presented: a busy browser says "seeked" before
  const hear = (now, { mediaTime }) => {
    last = Math.round(mediaTime * fps);
    video.requestVideoFrameCallback(hear);
  };
  video.requestVideoFrameCallback(hear);
  const frames = [];
  for (let t = 0; t < count; t += 1) {
    const done = new Promise((ok) => { video.onseeked = ok; });
    video.currentTime = (t + 0.5) / fps;
    await done;
    for (let k = 0; last !== t && k < 100; k += 1) await new Promise((ok) => setTimeout(ok, 10));
    paint.drawImage(video, 0, 0);
    frames.push(text(paint.getImageData(0, 0, side, side).data));
  }
  return { frames, length: video.duration, size: [video.videoWidth, video.videoHeight] };
}""".replace("BYTES_TO_TEXT", BYTES_TO_TEXT)


@pytest.mark.parametrize("container", ["mp4", "webm"])
def test_browser_shows_the_predictions(study, container):
    """Decoded by the browser, every frame of a method is what it predicted."""
    bundle, key, _ = study
    side = bundle.page["side"]

    async def work(browser):
        page = await browser.new_page()
        with serving(bundle.folder) as port:
            await page.goto(f"http://127.0.0.1:{port}/")
            source = f"media/{key['clips'][2]['media'][3]}.{container}"
            return await page.evaluate(PIXELS, [source, 12, 6, side])

    shown = browse(work)
    assert shown["size"] == [side, side] and math.isclose(shown["length"], 0.5, abs_tol=0.05)
    frames = np.stack([pixels(text, side, side, 4) for text in shown["frames"]])
    frames = frames[..., :3].astype(np.float64)
    truth = make.clip(203).repeat(side // 16, 1).repeat(side // 16, 2).astype(np.float64)
    # The middle of each enlarged pixel: at edges players blend the colours of neighbours.
    half = side // 32
    error = np.abs(frames - truth)[:, half :: side // 16, half :: side // 16]
    assert error.mean() < 2 and np.quantile(error, 0.99) < 12  # its conversion to RGB


def test_without_a_server(tmp_path):
    """Opened from the disk: answers are downloaded as a file, and the file is imported."""
    bundle, _, private = make.study(tmp_path / "study", methods=3, clips=2, raters=2)

    async def work(browser):
        context = await browser.new_context(accept_downloads=True)
        rater = Rater(await context.new_page(), 3)
        rater.order = lambda: rater.plan.sample([1, 2, 3], 3)
        page = rater.page
        await rater.arrive(f"{(bundle.folder / 'index.html').as_uri()}?sheet=1")
        for index in range(4):
            assert await rater.screen() == index
            if index == 2:
                await page.reload()
                assert await rater.screen() == index

            async def tap(question, ranks):
                for rank in (1, 2, 3):
                    await question.locator(".tray .tile", has_text="ABC"[ranks.index(rank)]).click()

            await rater.rank(index, tap)
            await page.locator(".seen.yes").nth(2).wait_for(timeout=60_000)
            await (await rater.submit()).click()
        async with page.expect_download() as waiting:
            await page.get_by_role("link", name="Download my answers").click()
        await (await waiting.value).save_as(tmp_path / "answers.json")
        return rater

    rater = browse(work)
    assert rater.faults == []
    done = import_file(bundle, private, tmp_path / "answers.json")
    assert (done.sessions, done.answers, done.refused) == (1, 4, {})
    assert import_file(bundle, private, tmp_path / "answers.json").known == 4
    (person,) = collect(bundle.folder).raters
    told = {bundle.trials[t]: a["ranks"] for t, a in person.answers.items()}
    assert told == {(1, index): ranks for index, ranks in rater.clicked.items()}
