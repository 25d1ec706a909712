"""One person's own settings and data on the page: chosen, exported, forgotten, and never by mistake."""

import json

import pytest
from playwright.async_api import expect

from echoic.api.access.keys import add_key
from echoic.memory.settings.personal import PersonalStore
from tests.page.test_views import AXE, FINDINGS, chosen
from tests.remembered import fact, learn

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
async def anas(page, served):
    """The page's view of what Ana has chosen, and of her data."""
    await learn(served.memory, fact("Has a dog called Biscuit"))
    await chosen(page)
    await page.get_by_role("link", name="Settings and data").click()
    await expect(page.get_by_role("heading", name="Settings and data of ana")).to_be_visible()
    return page


async def choices(served):
    return await PersonalStore(served.memory.db).read("ana")


async def test_settings_are_chosen_and_taken_back(anas, served):
    """What is left alone stays as it was."""
    await anas.get_by_label("Forget after this many days").fill("30")
    await anas.get_by_label("Time zone").fill("Europe/Lisbon")
    await anas.get_by_label("Language").fill("pt-br")
    await anas.get_by_role("button", name="Save").click()
    await expect(anas.get_by_label("Language")).to_have_value("pt-BR")
    found = await choices(served)
    assert (found.retention_days, found.timezone, found.consent) == (30, "Europe/Lisbon", "unknown")
    await anas.get_by_label("Forget after this many days").fill("")
    await anas.get_by_role("button", name="Save").click()
    await expect(anas.locator(".toast")).to_have_count(2)
    assert (await choices(served)).retention_days is None


async def test_memory_is_turned_off_and_on(anas, served):
    """Off keeps nothing either; on again, both are."""
    await anas.get_by_label("Remember me").uncheck()
    await anas.get_by_role("button", name="Save").click()
    await expect(anas.get_by_label("Keep what I say")).not_to_be_checked()
    assert (await choices(served)).memory is False
    await anas.get_by_label("Remember me").check()
    await anas.get_by_role("button", name="Save").click()
    await expect(anas.get_by_label("Keep what I say")).to_be_checked()
    assert (await choices(served)).consent == "on"


async def test_what_is_wrong_is_said_and_stays_to_be_corrected(anas, served):
    """A place that is no time zone."""
    await anas.get_by_label("Time zone").fill("Lisbon")
    await anas.get_by_role("button", name="Save").click()
    await expect(anas.locator(".toast")).to_contain_text("no IANA time zone, such as Europe/Lisbon")
    await expect(anas.get_by_label("Time zone")).to_have_value("Lisbon")
    assert (await choices(served)).timezone is None


async def test_of_two_tabs_the_second_is_told(anas, served):
    """And sees what stands."""
    await anas.get_by_label("Language").fill("de")
    before = await choices(served)
    await PersonalStore(served.memory.db).change("ana", {"language": "fr"}, version=before.version)
    await anas.get_by_role("button", name="Save").click()
    await expect(anas.locator(".toast")).to_contain_text("Somebody else changed this meanwhile.")
    await expect(anas.get_by_label("Language")).to_have_value("fr")
    assert (await choices(served)).language == "fr"


async def test_everything_is_exported(anas):
    """As the file that the API sends."""
    async with anas.expect_download() as download:
        await anas.get_by_role("button", name="Export").click()
    path = await (await download.value).path()
    assert json.loads(path.read_text())["facts"][0]["text"] == "Has a dog called Biscuit"


async def test_everything_is_forgotten_after_the_id_was_typed(anas, served):
    """Not by a wrong id, not by leaving; then nothing is left."""
    await anas.get_by_role("button", name="Forget everything").click()
    dialog = anas.get_by_role("dialog", name="Forget everything for good?")
    sure = dialog.get_by_role("button", name="Forget everything")
    await expect(sure).to_be_disabled()
    await anas.keyboard.type("Ana")
    await expect(sure).to_be_disabled()
    await dialog.get_by_role("button", name="Keep it").click()
    await anas.get_by_role("button", name="Forget everything").click()
    await anas.keyboard.press("Escape")
    assert len(await served.memory.facts.list("ana")) == 1
    await anas.get_by_role("button", name="Forget everything").click()
    await anas.keyboard.type("ana")
    await sure.click()
    await expect(anas.get_by_text("Forgotten: 1 memories.")).to_be_visible()
    assert await served.memory.facts.list("ana", include_closed=True) == []


async def test_one_person_reaches_their_own(served, address, browser):
    """With a key of theirs alone, from a link."""
    key, _ = await add_key(served.memory.db, "Ana herself", "user", "ana")
    page = await browser.new_page(base_url=address)
    await page.goto("/#data")
    await page.get_by_label("Key").fill(key)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Settings and data of ana")).to_be_visible()
    await expect(page.get_by_role("button", name="Export")).to_be_visible()


async def test_a_service_is_not_offered_what_it_may_not(served, address, browser):
    """It may change settings, and neither export nor erase."""
    await learn(served.memory, fact("Has a dog"))
    key, _ = await add_key(served.memory.db, "a desk", "service")
    page = await browser.new_page(base_url=address)
    await page.goto("/#data")
    await page.get_by_label("Key").fill(key)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Choose somebody")).to_be_visible()
    await page.get_by_role("button", name="ana").click()
    await expect(page.get_by_label("Remember me")).to_be_visible()
    await expect(page.get_by_role("button", name="Export")).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_it_has_no_barriers(anas, scheme):
    """Says axe, in dark and light; also on a phone nothing is cut off."""
    await anas.emulate_media(color_scheme=scheme)
    await anas.evaluate(AXE.read_text())
    assert await anas.evaluate(FINDINGS) == []
    await anas.set_viewport_size({"width": 360, "height": 700})
    assert await anas.evaluate("document.documentElement.scrollWidth") <= 360
