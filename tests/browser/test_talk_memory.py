"""What a call from the page shows of memory, and what it survives: edits, a restart, an old ticket."""

import re
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import jwt
from playwright.async_api import Route, expect

from tests.browser.visitor import REFUSES, visiting
from tests.rooms.dev_stack import Dev

QUESTION = "What is the name of my dog?"
FACT = {"text": "Has a dog called Biscuit.", "topic": "pets"}


def asking(address: str) -> httpx.AsyncClient:
    """The page's own API, of which nobody on this machine needs a key."""
    return httpx.AsyncClient(base_url=f"http://{urlsplit(address).netloc}/v1", trust_env=False, timeout=20)


async def test_an_edit_is_heard_in_the_next_call(chromium: Path, address: str):
    """A fact appears while one is in the call, carries the reply, and is corrected for the next one."""
    async with asking(address) as api, visiting(chromium, address, REFUSES) as fay:
        await fay.call("fay")
        made = await api.post("/users/fay/facts", json=FACT)
        await expect(fay.page.locator("#learned li")).to_contain_text("Biscuit")
        await fay.write(QUESTION)
        await fay.wait_said("agent", "Your dog is Biscuit.")
        reply = fay.lines("agent", "Biscuit")
        await reply.locator("summary").click()
        await expect(reply.locator("ul")).to_contain_text("Has a dog called Biscuit.")
        await fay.hang_up()
        edited = await api.patch(
            f"/users/fay/facts/{made.json()['fact_id']}",
            json={"text": "Has a dog called Waffle."},
            headers={"If-Match": made.headers["etag"]},
        )
        assert edited.status_code == 200, edited.text
    async with visiting(chromium, address, REFUSES) as fay:
        await fay.call("fay")
        await fay.write("How is my dog called?")
        await fay.wait_said("agent", "Your dog is Waffle.")
        await fay.wait_heard()


async def test_a_call_outlives_the_api(chromium: Path, address: str, stack: Dev):
    """The page's server is killed and started again: the call goes on, and its next reply has a panel."""
    async with asking(address) as api, visiting(chromium, address, REFUSES) as gil:
        await gil.call("gil")
        await gil.write("Good morning.")
        await gil.wait_said("agent", "I do not know that.")
        await expect(gil.lines("agent", "know").locator("summary")).to_have_count(1)
        killed = stack.api()
        killed.kill()
        killed.wait(10)
        await _answers(api)
        await gil.write(QUESTION)
        await expect(gil.lines("agent", "know").locator("summary")).to_have_count(2)
        gil.complaints.clear()  # Chromium notes each request that met nobody


async def test_an_old_ticket_is_told_in_words_and_a_new_one_works(chromium: Path, address: str, stack: Dev):
    """No address and no token stands in the sentence."""
    async with visiting(chromium, address, REFUSES) as hal:
        secret = stack.agents()[0].environ()["LIVEKIT_API_SECRET"]

        async def old(route: Route) -> None:
            answer = await route.fetch()
            ticket = await answer.json()
            claims = jwt.decode(ticket["token"], options={"verify_signature": False})
            times = {"exp": int(time.time()) - 3600, "nbf": int(time.time()) - 7200}
            ticket["token"] = jwt.encode(claims | times, secret, "HS256")
            await route.fulfill(json=ticket, status=201)

        await hal.page.route("**/talk", old)
        await hal.page.get_by_label("You are").fill("hal")
        await hal.page.get_by_role("button", name="Call").click()
        await expect(hal.state).to_have_text("The ticket for this call is not valid any more: call again.")
        await hal.page.unroute("**/talk")
        await hal.call("hal")
        await hal.hang_up()
        hal.complaints.clear()  # Chromium notes the refusal


async def test_without_webrtc_the_page_says_so(chromium: Path, address: str):
    """At the button, before a ticket is asked for."""
    async with visiting(chromium, address, REFUSES) as ida:
        await ida.page.add_init_script("window.RTCPeerConnection = undefined")
        await ida.page.reload()
        await ida.page.get_by_label("You are").fill("ida")
        await ida.page.get_by_role("button", name="Call").click()
        await expect(ida.state).to_contain_text(re.compile("no WebRTC"))
        await expect(ida.page.get_by_role("button", name="Call")).to_be_enabled()
        assert not any(one.endswith("/talk") for one in await ida.asked())


async def _answers(api: httpx.AsyncClient) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            if (await api.get("/me")).status_code == 200:
                return
        except httpx.TransportError:
            continue
    raise TimeoutError("the API did not come back")
