"""Memories on the page: found, added, edited, undone, ended, forgotten; by keyboard, beside others."""

import re
from pathlib import Path

import pytest
from playwright.async_api import expect

from echoic.api.access.keys import add_key
from echoic.memory.review import corrections, facts
from echoic.memory.types import Evidence
from tests.remembered import fact, learn, say

pytestmark = pytest.mark.timeout(180)
HOSTILE = "<img src=x onerror=\"document.title='taken'\">"


async def opened(page, served, *known, user_id="ana"):
    await learn(served.memory, *known)
    await page.get_by_label("Search by id").fill(user_id)
    await page.get_by_role("button", name=re.compile(f"^{user_id}")).click()
    await expect(page.get_by_role("heading", name=user_id, exact=True)).to_be_visible()


def card(page, text):
    return page.locator("#cards > li").filter(has_text=text)


async def test_a_memory_is_added_edited_undone_and_forgotten(page, served):
    """Each is in the store at once, and can be taken back until it is forgotten."""
    await opened(page, served, fact("Has a cat"))
    await page.get_by_role("button", name="Add a memory").click()
    await page.get_by_label("Memory", exact=True).fill("Has a dog called Biscuit.")
    await page.get_by_role("button", name="Save").click()
    await expect(card(page, "Biscuit")).to_be_visible()
    await card(page, "Biscuit").get_by_role("button", name="Edit").click()
    await page.get_by_label("Memory", exact=True).fill("Has a dog called Biscotti.")
    await page.get_by_role("button", name="Save").click()
    await expect(card(page, "Biscotti")).to_be_visible()
    await page.locator(".toast", has_text="Changed.").get_by_role("button", name="Undo").click()
    await expect(card(page, "Biscuit")).to_be_visible()
    await card(page, "Biscuit").get_by_role("button", name="History").click()
    await expect(card(page, "Biscuit")).to_contain_text("it was “Has a dog called Biscotti.”")
    await card(page, "Biscuit").get_by_role("button", name="Forget").click()
    await page.get_by_role("button", name="Forget it").click()
    await expect(card(page, "Biscuit")).to_have_count(0)
    assert [one.text for one in await served.memory.facts.list("ana", include_closed=True)] == ["Has a cat"]


async def test_what_is_no_longer_true_is_kept_as_history(page, served):
    """It leaves the list, is found under its filter, and can become true again."""
    await opened(page, served, fact("Lives in Porto"))
    await card(page, "Porto").get_by_role("button", name="No longer true").click()
    await page.get_by_label("Shown").select_option("ended")
    await expect(card(page, "Porto")).to_have_class("ended")
    await card(page, "Porto").get_by_role("button", name="True again").click()
    await expect(page.get_by_text("No memory fits these filters.")).to_be_visible()
    (live,) = await served.memory.facts.list("ana")
    assert live.valid_until is None


async def test_an_edit_beside_anothers_is_rolled_back(page, served):
    """Two tabs at one fact: the second is told, and sees what stands."""
    known = fact("Has a dog")
    await opened(page, served, known)
    await card(page, "Has a dog").get_by_role("button", name="Edit").click()
    version = (await facts.fact(served.memory.db, "ana", known.fact_id)).version
    change = {"text": "Has a cow"}
    await corrections.edit_fact(
        served.memory, "ana", known.fact_id, change, version=version, by_whom="another"
    )
    await page.get_by_label("Memory", exact=True).fill("Has a pig")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_text("Somebody else changed this meanwhile.")).to_be_visible()
    await expect(card(page, "Has a cow")).to_be_visible()
    await expect(card(page, "Has a pig")).to_have_count(0)


async def test_what_is_learned_appears_by_itself(page, served):
    """While one looks, with the words it rests on."""
    await opened(page, served, fact("Has a dog"))
    (turn,) = await say(served.memory, "I moved to Rome.")
    evidence = (Evidence(turn.turn_id, "moved to Rome"),)
    await learn(served.memory, fact("Lives in Rome", turn_ids=(turn.turn_id,), evidence=evidence))
    await expect(card(page, "Lives in Rome")).to_contain_text("“moved to Rome”")
    await card(page, "Has a dog").get_by_role("button", name="Edit").focus()
    await learn(served.memory, fact("Has a boat"))
    await expect(card(page, "Has a boat")).to_be_visible()
    await expect(card(page, "Has a dog").get_by_role("button", name="Edit")).to_be_focused()
    await card(page, "Lives in Rome").get_by_role("button", name="Where it was said").click()
    await expect(card(page, "Lives in Rome")).to_contain_text("I moved to Rome.")


async def test_words_are_never_markup(page, served):
    """A memory, a topic and an id that are HTML are shown as they were written."""
    await opened(page, served, fact(HOSTILE, topic=HOSTILE))
    await expect(card(page, HOSTILE)).to_be_visible()
    assert await page.locator("#cards img").count() == 0 and "Echoic" in await page.title()


async def test_the_keyboard_is_enough(page, served):
    """From the search to a changed memory, without a mouse; Escape leaves a form as it was."""
    await learn(served.memory, fact("Has a dog"))
    await page.get_by_label("Search by id").fill("ana")
    await expect(page.locator("#people-list button")).to_have_count(1)
    for key in ("Tab", "Tab", "Enter"):
        await page.keyboard.press(key)
    await expect(page.locator("#memories")).to_be_focused()
    await page.locator("#cards button").first.focus()
    await page.keyboard.press("Enter")
    await expect(page.locator("#cards textarea")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(page.locator("#cards button").first).to_be_focused()


async def test_one_persons_key_shows_that_person(served, address, browser):
    """No list of others; a key that is none is refused in words."""
    await learn(served.memory, fact("Has a dog"))
    key, _ = await add_key(served.memory.db, "Ana herself", "user", "ana")
    page = await browser.new_page(base_url=address)
    await page.goto("/")
    for text, wrong in (("nonsense", True), (key, False)):
        await page.get_by_label("Key").fill(text)
        await page.keyboard.press("Enter")
        if wrong:
            await expect(page.locator(".toast")).to_contain_text("valid key")
    await expect(card(page, "Has a dog")).to_be_visible()
    await expect(page.locator("#people")).to_be_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_text_can_be_read_in_both_themes(page, served, scheme):
    """A contrast of at least 4.5 for every text that is shown."""
    await opened(page, served, fact("Has a dog", evidence=()))
    await page.emulate_media(color_scheme=scheme)
    assert await page.evaluate((Path(__file__).parent / "contrast.js").read_text()) == []
