"""The page in a real Chromium, at an API over real stores."""

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Page, async_playwright

from echoic.api.access.keys import add_key
from tests.api.conftest import Served, address, memory, served
from tests.browser.chromium import ChromiumMissing, find_chromium

__all__ = ["address", "memory", "served"]


@pytest.fixture
async def browser() -> AsyncIterator:
    try:
        program = find_chromium()
    except ChromiumMissing as exc:
        raise pytest.UsageError(str(exc)) from exc
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield chromium
        await chromium.close()


@pytest.fixture
async def page(served: Served, address: str, browser) -> AsyncIterator[Page]:
    """Entered with an administrator's key; whatever the browser complains about fails the test."""
    context = await browser.new_context(base_url=address)
    page = await context.new_page()
    page.set_default_timeout(10_000)
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda line: complaints.append(line.text) if "Content Security" in line.text else None)
    key, _ = await add_key(served.memory.db, "support", "admin")
    await page.goto("/")
    await page.get_by_label("Key").fill(key)
    await page.keyboard.press("Enter")
    await page.get_by_text("support (admin)").wait_for()
    yield page
    await context.close()
    assert not complaints
