"""A call from the page as a person places it: a real Chromium, a real `echoic dev`, a scripted model."""

import re
from pathlib import Path

from playwright.async_api import expect

from tests.browser.visitor import REFUSES, hosts, speaks, visiting
from tests.rooms.speech import Voice

DOG = "My dog is called Biscuit."
QUESTION = "What is the name of my dog?"
NAMED, UNKNOWN = "Your dog is Biscuit.", "I do not know that."


async def test_a_spoken_sentence_is_read_answered_aloud_and_remembered(
    chromium: Path, address: str, voice: Voice, tmp_path: Path
):
    """The page shows what was heard and the reply, and plays it.

    Who comes back under the same name is known, without a spoken word.
    """
    async with visiting(chromium, address, speaks(tmp_path / "dog.wav", await voice(DOG))) as maya:
        await maya.call("maya")
        await maya.wait_said("caller", "biscuit")
        await maya.wait_said("agent", NAMED)
        await maya.wait_heard()
        await maya.hang_up()
    async with visiting(chromium, address, speaks(tmp_path / "nothing.wav", b"")) as maya:
        await maya.call("maya")
        await maya.write(QUESTION)
        await maya.wait_said("agent", NAMED)
        await maya.wait_heard()
        # what memory gave the reply, why, and what each tier took
        reply = maya.lines("agent", NAMED)
        await reply.locator("summary").click()
        await expect(reply.locator("summary")).to_contain_text(re.compile(r"Memory: \d used, [\d.]+ ms"))
        await expect(reply.locator("ul")).to_contain_text(re.compile("biscuit.*said on", re.IGNORECASE))
        await expect(reply.locator(".tiers")).to_contain_text("ms, ok")


async def test_who_gives_no_microphone_is_told_so_and_writes(chromium: Path, address: str):
    """The sentence stays when the agent comes; what is written is answered, and shown once."""
    async with visiting(chromium, address, REFUSES) as ada:
        await ada.call("ada")
        await expect(ada.state).to_contain_text("No microphone")
        await ada.write(DOG)
        await ada.wait_said("agent", NAMED)
        await expect(ada.lines("caller", "Biscuit")).to_have_count(1)
        await expect(ada.state).to_contain_text("You can write.")
        await expect(ada.page.get_by_role("button", name="Mute")).to_be_hidden()
        await ada.wait_heard()


async def test_a_visit_asks_nobody_outside_and_leaves_no_error(chromium: Path, address: str, tmp_path: Path):
    """All addresses that the page talked to are of this machine, even if one hangs up in mid-reply.

    `visiting` looks at the end of every other test, too.
    """
    async with visiting(chromium, address, speaks(tmp_path / "nothing.wav", b"")) as cleo:
        await cleo.call("cleo")
        await cleo.write(QUESTION)
        await cleo.wait_said("agent", UNKNOWN.split()[0])
        await cleo.hang_up()
        await cleo.call("cleo")  # what the end of the first call left behind has come up by now
        await cleo.hang_up()
        asked = await cleo.asked()
        assert hosts(asked) == {"127.0.0.1"}
        assert {one.partition(":")[0] for one in asked} >= {"http", "ws", "stun"}
        assert cleo.complaints == []


async def test_another_name_sees_nothing_of_the_first(chromium: Path, address: str):
    """Side by side, at the same page."""
    async with visiting(chromium, address, REFUSES) as eve, visiting(chromium, address, REFUSES) as bob:
        await eve.call("eve")
        await eve.write(DOG)
        await eve.wait_said("agent", NAMED)
        await bob.call("bob")
        await bob.write(QUESTION)
        await bob.wait_said("agent", UNKNOWN)
        await expect(bob.lines("agent", "Biscuit")).to_have_count(0)


async def test_a_new_call_begins_unmuted(chromium: Path, address: str, tmp_path: Path):
    """The button never says that nobody listens while somebody does."""
    async with visiting(chromium, address, speaks(tmp_path / "nothing.wav", b"")) as dan:
        await dan.call("dan")
        await dan.page.get_by_role("button", name="Mute").click()
        await expect(dan.page.get_by_role("button", name="Unmute")).to_be_visible()
        await dan.hang_up()
        await dan.call("dan")
        await expect(dan.page.get_by_role("button", name="Mute", exact=True)).to_be_visible()
