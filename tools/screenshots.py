"""Pictures of the page for the docs: `python -m tools.screenshots`; needs a Chromium.

An API over stores of its own, one invented person with a few calls, and each view as a reader should see it.
Those of a call and of the graph are taken by hand: they need a room and a graph.
"""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.async_api import Browser, async_playwright

from echoic.local.servers.stores import open_stores
from echoic.memory.config import load_settings
from echoic.memory.service import Memory, open_memory
from echoic.memory.types import About, Evidence
from evals.api import served
from tests.browser.chromium import find_chromium
from tests.remembered import caller, fact, learn, say

FOLDER = Path(__file__).parent.parent / "docs" / "images"
PHONE, DESK = (390, 760), (1200, 760)
VIEWS = (
    ("memories", "memories/maya", "light", DESK),
    ("memories-phone", "memories/maya", "dark", PHONE),
    ("calls", "calls/maya", "dark", DESK),
    ("operations", "operations", "light", DESK),
)
SAID = (
    ("I have a dog, his name is Biscuit.", "Has a dog called Biscuit", "pets", About()),
    ("My sister Ana lives in Porto now.", "Lives in Porto", "family", About("sister", "Ana")),
    ("I work night shifts at the hospital.", "Works night shifts at the hospital", "work", About()),
    ("I can't eat peanuts.", "Cannot eat peanuts", "health", About()),
)


async def remembered(memory: Memory) -> None:
    """Four calls of one person, the last with a reply that memory had a part in."""
    for number, (words, text, topic, about) in enumerate(SAID):
        at = datetime.now(UTC) - timedelta(days=3 * (len(SAID) - number))
        (turn,) = await say(memory, words, user_id="maya", call_id=f"call {number}", said_at=at)
        rests_on = (Evidence(turn.turn_id, words),)
        await learn(
            memory,
            fact(
                text,
                "maya",
                topic=topic,
                about=about,
                said_at=at,
                turn_ids=(turn.turn_id,),
                evidence=rests_on,
            ),
        )
    call = await memory.open_call(caller("maya"))
    await call.record("1", "user", "Can you book a walker for Biscuit?")
    await call.recall("Can you book a walker for Biscuit?", budget_s=5)
    await call.record("2", "assistant", "Of course. At night, while you are at the hospital?")
    await call.end()


async def take(
    browser: Browser, address: str, name: str, view: str, scheme: str, size: tuple[int, int]
) -> None:
    """One view, as tall as it needs to be."""
    context = await browser.new_context(
        base_url=address,
        color_scheme="dark" if scheme == "dark" else "light",
        viewport={"width": size[0], "height": size[1]},
    )
    page = await context.new_page()
    await page.goto(f"/#{view}")
    if view.startswith("calls"):
        await page.locator("#calls-list summary").first.click()
        await page.locator("#calls-list li.agent summary").first.click()
    await page.wait_for_timeout(1500)  # the network is never idle: events are awaited
    await page.mouse.click(2, 2)  # no focus ring in the picture
    await page.screenshot(path=FOLDER / f"page-{name}.png")
    await context.close()


async def main() -> None:
    with (
        TemporaryDirectory(prefix="echoic-pictures-") as folder,
        open_stores(Path(folder) / "data") as stores,
    ):
        settings = load_settings(
            database_url=stores.database_url, redis_url=stores.redis_url, data_dir=stores.data_dir
        )
        async with open_memory(settings) as memory:
            await remembered(memory)
        async with served(settings) as client, async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox"])
            for view in VIEWS:
                await take(browser, str(client.base_url), *view)
            await browser.close()


if __name__ == "__main__":
    asyncio.run(main())
