"""The page's other views: calls with what memory gave, operations, and every view without barriers."""

from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from playwright.async_api import expect

from echoic.api.access.keys import add_key
from echoic.memory.types import Evidence
from tests.remembered import NOW, caller, fact, learn, say

pytestmark = pytest.mark.timeout(180)
AXE = Path(__file__).parent / "vendor" / "axe.min.js"
FINDINGS = """
async () => (await axe.run()).violations
  .filter((one) => ["serious", "critical"].includes(one.impact))
  .map((one) => [one.id, one.nodes.map((node) => node.html.slice(0, 120))])
"""
DUE = NOW + timedelta(days=3)


async def chosen(page, user_id="ana"):
    await page.get_by_label("Search by id").fill(user_id)
    await page.get_by_role("button", name=user_id).click()
    await expect(page.get_by_role("heading", name=user_id, exact=True)).to_be_visible()


async def talked(memory):
    """A call with a reply that memory had a part in, and one that was cut off."""
    call = await memory.open_call(caller("ana"))
    await call.record("1", "user", "What is my dog called?")
    await call.recall("What is my dog called?", budget_s=5)
    await call.record("2", "assistant", "Biscuit.")
    await call.record("3", "assistant", "And did you", interrupted=True)
    await call.end()


async def test_a_call_shows_its_turns_and_what_memory_gave_each_reply(page, served):
    """The last call first; interruptions are marked; promises stand above."""
    (turn,) = await say(served.memory, "My dog is called Biscuit.")
    rests_on = {"turn_ids": (turn.turn_id,), "evidence": (Evidence(turn.turn_id, "called Biscuit"),)}
    promise = fact("Calls back on Monday", topic="promises", kind="promise", due=DUE)
    await learn(served.memory, fact("Has a dog called Biscuit", **rests_on), promise)
    await talked(served.memory)
    await chosen(page)
    await page.get_by_role("link", name="Calls").click()
    await expect(page.get_by_role("heading", name="Calls of ana")).to_be_visible()
    await expect(page.locator("#promises")).to_contain_text("Calls back on Monday")
    calls = page.locator("#calls-list > li")
    await expect(calls).to_have_count(2)
    await calls.first.locator("summary").first.click()
    reply = calls.first.locator("li.agent", has_text="Biscuit.").first
    await reply.locator("summary").click()
    await expect(reply.locator("ul")).to_contain_text("Has a dog called Biscuit · facts · “called Biscuit”")
    await expect(calls.first.locator("li.agent", has_text="And did you")).to_contain_text("cut off here")
    await calls.last.locator("summary").first.click()
    await expect(calls.last).to_contain_text("Learned: Has a dog called Biscuit")
    await expect(calls.first).not_to_contain_text("Learned")
    await calls.first.get_by_role("button", name="Take back what it taught").click()
    await expect(page.get_by_text("Nothing that this call taught is left to take back.")).to_be_visible()
    await page.go_back()
    await expect(page.locator("#cards")).to_contain_text("Has a dog called Biscuit")


async def test_what_was_given_up_is_seen_and_tried_again(page, served):
    """With its reason in words; then everything works again."""
    (turn,) = await say(served.memory, "My dog is called Biscuit.")

    async def bury(connection):
        batch_id = uuid4()
        await connection.execute(
            "insert into batches (batch_id, kind, user_id, agent_id, turn_ids, state, error) "
            "values ($1, 'learn', 'ana', 'echoic', $2, 'dead', 'ModelAnswerInvalid')",
            *(batch_id, [turn.turn_id]),
        )
        await connection.execute("update turns set state = 'dead' where turn_id = $1", turn.turn_id)

    await served.memory.db.transaction(bury)
    await page.get_by_role("link", name="Operations").click()
    await expect(page.get_by_role("alert")).to_contain_text("1 given up")
    await expect(page.locator("#parts")).to_contain_text("postgres")
    await page.locator("#given-up > li", has_text="ModelAnswerInvalid").get_by_role("button").click()
    await expect(page.get_by_text("Everything works.")).to_be_visible()
    await expect(page.locator("#queues")).to_contain_text("turns that wait to be learned")
    assert [one.state for one in await served.memory.turns.list("ana")] == ["open"]


async def test_operations_show_how_memory_fares(page, served):
    """The days, the tiers in the last hour; what is often late is said at the top."""
    await talked(served.memory)
    await page.get_by_role("link", name="Operations").click()
    await expect(page.locator("#days-text")).to_contain_text(
        "3 turns in 1 calls of 1 people, 0 memories learned"
    )
    await expect(page.locator("#tiers")).to_contain_text("1 ×")
    await expect(page.get_by_text("Everything works.")).to_be_visible()
    late = """update turns set recall = jsonb_set(recall, '{tiers,facts,status}', '"late"')"""
    await served.memory.db.run(lambda connection: connection.execute(late))
    await page.reload()
    await expect(page.get_by_role("alert")).to_contain_text("facts was late or failed in 1 of 1 replies")


async def test_the_address_says_what_is_seen_of_whom(page, served):
    """It can be linked to, gone back from, and opened anew."""
    await learn(served.memory, fact("Has a dog"), fact("Has a boat", user_id="b/ö"))
    await chosen(page)
    await page.get_by_label("Search by id").fill("")
    await page.get_by_role("button", name="b/ö").click()
    await expect(page.locator("#cards")).to_contain_text("Has a boat")
    assert page.url.endswith("/#memories/b%2F%C3%B6")
    await page.go_back()
    await expect(page.locator("#cards")).to_contain_text("Has a dog")
    await page.get_by_role("link", name="Calls").click()
    await page.reload()
    await expect(page.get_by_role("heading", name="Calls of ana")).to_be_visible()
    await page.get_by_role("link", name="Skip to the content").press("Enter")
    await expect(page.get_by_role("heading", name="Calls of ana")).to_be_visible()
    await expect(page.locator("#main")).to_be_focused()


async def test_who_may_not_operate_is_not_offered_it(page, served):
    """A key for one person sees that person, and no system; also not by its address."""
    await learn(served.memory, fact("Has a dog"))
    key, _ = await add_key(served.memory.db, "ana's", "user", "ana")
    await page.evaluate("sessionStorage.clear()")
    await page.reload()
    await page.get_by_label("Key").fill(key)
    await page.keyboard.press("Enter")
    await expect(page.locator("#cards")).to_contain_text("Has a dog")
    await expect(page.get_by_role("link", name="Operations")).to_be_hidden()
    await page.goto("/#operations")
    await expect(page.locator("#parts")).to_be_empty()
    await page.get_by_role("link", name="Talk").click()
    await expect(page.get_by_label("You are")).to_have_value("ana")
    await expect(page.get_by_label("You are")).not_to_be_editable()


@pytest.mark.parametrize("view", ["memories", "calls", "talk", "operations"])
@pytest.mark.parametrize("scheme", ["dark", "light"])
async def test_every_view_is_without_barriers(page, served, view, scheme):
    """axe finds nothing serious, in dark and light, also as wide as a phone."""
    await learn(served.memory, fact("Has a dog called Biscuit"))
    await talked(served.memory)
    await page.emulate_media(color_scheme=scheme)
    await chosen(page)
    await page.get_by_role("link", name=view.capitalize()).click()
    await expect(page.locator(f"#{view}")).to_be_visible()
    if view == "calls":
        await page.locator("#calls-list summary").first.click()
        await expect(page.locator("#calls-list li.agent").first).to_be_visible()
    await page.evaluate(AXE.read_text())  # not by a script tag, which the page's own policy refuses
    for width in (1200, 360):
        await page.set_viewport_size({"width": width, "height": 800})
        assert await page.evaluate(FINDINGS) == []
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), width
