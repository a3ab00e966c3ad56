"""Raters of a study at a page in a browser: what they plan, and five ways to do it."""

import random


class Rater:
    """Somebody at a page who does what is planned, and notes it down."""

    def __init__(self, page, number):
        self.page = page
        self.number = number
        self.plan = random.Random(number)
        self.clicked = {}
        self.faults = []
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("console", lambda m: m.type == "error" and self.faults.append(m.text))

    async def arrive(self, url):
        await self.page.goto(url)
        await self.page.get_by_label("I am 18").check()
        await self.page.get_by_label("I have read").check()
        await self.page.get_by_role("button", name="Take part").click()
        await self.page.get_by_label("The best video").check()
        await self.page.get_by_role("button", name="Start").click()

    async def screen(self):
        """Number of the trial shown."""
        heading = self.page.locator(".bar h1")
        await heading.wait_for(timeout=60_000)
        await self.page.locator(".trial:not(.settling)").wait_for(timeout=60_000)
        return int((await heading.inner_text()).split()[1]) - 1

    def order(self):
        return self.plan.sample([1, 2, 3, 4], 4)

    async def rank(self, index, how):
        questions = await self.page.locator(".question").all()
        orders = [self.order() for _ in questions]
        for question, ranks in zip(questions, orders, strict=True):
            await how(question, ranks)
        names = await self.page.evaluate("Study.bundle.questions.map((q) => q.id)")
        self.clicked[index] = dict(zip(names, orders, strict=True))

    async def submit(self):
        return self.page.get_by_role("button", name="Submit and continue")

    async def play_out(self):
        await self.page.locator(".seen.yes").nth(3).wait_for(timeout=60_000)

    async def gone(self, index):
        """Wait for the next screen."""
        await self.page.wait_for_selector(
            f".bar h1:not(:text-is('Screen {index + 1} of 14'))", state="attached"
        )

    async def drag(self, question, ranks):
        for slot, rank in enumerate(ranks):
            tile = question.locator(".tile", has_text="ABCD"[slot])
            await tile.scroll_into_view_if_needed()
            place = question.locator(f".place[data-rank='{rank}']")
            start, end = await tile.bounding_box(), await place.bounding_box()
            mouse = self.page.mouse
            await mouse.move(start["x"] + start["width"] / 2, start["y"] + start["height"] / 2)
            await mouse.down()
            await mouse.move(end["x"] + 20, end["y"] + 20, steps=3)
            await mouse.up()

    async def tap(self, question, ranks):
        for rank in (1, 2, 3, 4):
            await question.locator(".tray .tile", has_text="ABCD"[ranks.index(rank)]).click()

    async def table(self, question, ranks):
        for slot, rank in enumerate(ranks):
            await question.locator("tbody tr").nth(slot).locator("input").nth(rank - 1).check()

    async def tab_to(self, script, most=80):
        """Press Tab until the focused element fits."""
        for _ in range(most):
            await self.page.keyboard.press("Tab")
            if await self.page.evaluate(f"((node) => {script})(document.activeElement)"):
                return
        raise AssertionError(f"the keyboard does not reach: {script}")

    async def finish(self):
        await self.page.get_by_text("Your completion code").wait_for(timeout=60_000)
        assert await self.page.locator(".code").inner_text() == "C0DE42"


async def with_mouse(rater, url):
    await rater.arrive(url)
    for index in range(14):
        assert await rater.screen() == index
        button = await rater.submit()
        assert await button.is_disabled()
        await rater.rank(index, rater.drag)
        await rater.play_out()
        await button.click()
        if index < 13:
            await rater.gone(index)
    await rater.finish()


async def with_keyboard(rater, url):
    """Everything by Tab, Space, digits and Enter."""
    page, keys = rater.page, rater.page.keyboard
    await page.goto(url)
    for name in ("age", "agree"):
        await rater.tab_to(f"node.id === '{name}'")
        await keys.press("Space")
    await rater.tab_to("node.textContent === 'Take part'")
    await keys.press("Enter")
    await rater.tab_to("node.name === 'check'")
    await keys.press("ArrowDown")
    await rater.tab_to("node.textContent === 'Start'")
    await keys.press("Enter")
    for index in range(14):
        assert await rater.screen() == index
        orders = [rater.order() for _ in range(3)]
        for number, ranks in enumerate(orders):
            for slot, rank in enumerate(ranks):
                at = f"document.querySelectorAll('.question')[{number}]"
                where = f"node.closest('.question') === {at}"
                letter = f"node.matches('.tile') && node.textContent === '{'ABCD'[slot]}'"
                await rater.tab_to(f"{letter} && {where}")
                await keys.press(str(rank))
        names = await page.evaluate("Study.bundle.questions.map((q) => q.id)")
        rater.clicked[index] = dict(zip(names, orders, strict=True))
        await rater.play_out()
        await rater.tab_to("node.matches('.submit .main')")
        await keys.press("Enter")
        if index < 13:
            await rater.gone(index)
    await rater.finish()


async def with_reload(rater, url):
    await rater.arrive(url)
    for index in range(14):
        assert await rater.screen() == index
        await rater.rank(index, rater.tap)
        if index in (4, 9):
            await rater.page.reload()
            assert await rater.screen() == index  # and the ranking is still there
            assert await rater.page.locator(".question.done").count() == 3
        await rater.play_out()
        await (await rater.submit()).click()
        if index < 13:
            await rater.gone(index)
    await rater.finish()


async def with_double_clicks(rater, url):
    await rater.arrive(url)
    for index in range(14):
        assert await rater.screen() == index
        await rater.rank(index, rater.tap)
        await rater.play_out()
        await (await rater.submit()).dblclick()
        if index < 13:
            await rater.gone(index)
    await rater.finish()


async def with_gaps(rater, url):
    """Without a connection for three screens, whose videos are there already; in a table."""
    await rater.arrive(url)
    for index in range(14):
        assert await rater.screen() == index
        if index == 0:
            await rater.page.get_by_role("button", name="Rank in a table").click()
        if index == 5:
            names = await rater.page.evaluate("[...Study.media.urls.keys()].length")
            assert names == 16  # this screen and the next three
            await rater.page.wait_for_load_state("networkidle")
            await rater.page.context.set_offline(True)
        if index == 8:
            waiting = await rater.page.locator(".connection").inner_text()
            assert "3 answers are kept here" in waiting
            await rater.page.context.set_offline(False)
        await rater.rank(index, rater.table)
        await rater.play_out()
        await (await rater.submit()).click()
        if index < 13:
            await rater.gone(index)
    await rater.finish()
    rater.faults = [f for f in rater.faults if "ERR_INTERNET_DISCONNECTED" not in f]


WAYS = (with_mouse, with_keyboard, with_reload, with_double_clicks, with_gaps)
