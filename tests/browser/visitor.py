"""Somebody at the page of `echoic dev`, in a real Chromium: calls, speaks, writes, reads and hears."""

import asyncio
import wave
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

from playwright.async_api import (
    ConsoleMessage,
    Error,
    Locator,
    Page,
    Request,
    WebSocket,
    async_playwright,
    expect,
)

from echoic.local.ports import LOOPBACK
from tests.rooms.speech import CALLER_RATE, SAMPLE_BYTES, silence

LIMIT_S = 45.0  # the first call of a stack loads two voices
BEFORE_S, AFTER_S = 4.0, 16.0
LOUD = 1e-4  # total energy as WebRTC counts it: one spoken sentence gave 0.38, three seconds of silence 1e-9
ASKS = "--use-fake-ui-for-media-stream"  # answers the question for the microphone
REFUSES = (f"{ASKS}=deny",)
WATCH = """
window.peers = [];
window.RTCPeerConnection = class extends RTCPeerConnection {
  constructor(...settings) { super(...settings); window.peers.push(this); }
};
"""
ENERGY = """
async () => {
  const plays = [...document.querySelectorAll("audio")].some(
    (one) => !one.paused && !one.muted && one.volume && one.currentTime);
  const open = peers.filter((peer) => peer.connectionState === "connected");
  const stats = await Promise.all(open.map((peer) => peer.getStats()));
  const reports = stats.flatMap((one) => [...one.values()]);
  const sounds = reports.filter((one) => one.type === "inbound-rtp" && one.kind === "audio");
  return plays ? sounds.reduce((sum, one) => sum + one.totalAudioEnergy, 0) : 0;
}
"""
ICE_ADDRESSES = (
    "() => peers.flatMap((peer) => peer.getConfiguration().iceServers ?? []).flatMap((one) => one.urls)"
)


def speaks(file: Path, words: bytes) -> Sequence[str]:
    """Chromium's options for a visitor whose microphone says these words.

    They come again every 20 s: an agent that came late hears them too.

    Args:
        file: where the sound is kept.
        words: as `Voice` gives them; none for a visitor who is silent.
    """
    with wave.open(str(file), "wb") as opened:
        opened.setnchannels(1)
        opened.setsampwidth(SAMPLE_BYTES)
        opened.setframerate(CALLER_RATE)
        opened.writeframes(silence(BEFORE_S) + words + silence(AFTER_S))
    return (ASKS, "--use-fake-device-for-media-stream", f"--use-file-for-fake-audio-capture={file}")


class Visitor:
    """What a person does with the page, and what the browser says of it.

    Args:
        page: with `WATCH` in it.
    """

    def __init__(self, page: Page) -> None:
        self.page = page
        self._addresses: list[str] = []
        self.complaints: list[str] = []
        """Errors in its console."""
        page.on("request", self._asked)
        page.on("websocket", self._asked)
        page.on("console", self._told)
        page.on("pageerror", self._failed)

    async def call(self, name: str) -> None:
        """Say who one is, and call; returns when one may speak or write, maybe before the agent is there."""
        await self.page.get_by_label("You are").fill(name)
        await self.page.get_by_role("button", name="Call").click()
        await expect(self.page.get_by_role("button", name="Hang up")).to_be_enabled()

    async def hang_up(self) -> None:
        await self.page.get_by_role("button", name="Hang up").click()
        await expect(self.state).to_have_text("The call has ended.")

    async def write(self, text: str) -> None:
        await self.page.get_by_label("Write").fill(text)
        await self.page.get_by_role("button", name="Send").click()

    @property
    def state(self) -> Locator:
        """The sentence that says how the call stands."""
        return self.page.get_by_role("status")

    def lines(self, who: str, part: str) -> Locator:
        """Lines of the `caller` or the `agent` in which `part` stands, whatever its case."""
        return self.page.locator(f"#said li.{who}", has_text=part)

    async def wait_said(self, who: str, part: str) -> None:
        """Return once such a line can be read."""
        await expect(self.lines(who, part).first).to_be_visible()

    async def wait_heard(self) -> None:
        """Return once a voice has come out of the page."""
        async with asyncio.timeout(LIMIT_S):
            while await self.page.evaluate(ENERGY) < LOUD:
                await asyncio.sleep(0.1)

    async def asked(self) -> list[str]:
        """Addresses that the page loaded, spoke to, or was told of for a way through (`stun:`, `turn:`)."""
        return self._addresses + await self.page.evaluate(ICE_ADDRESSES)

    def _asked(self, request: Request | WebSocket) -> None:
        self._addresses.append(request.url)

    def _told(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.complaints.append(message.text)

    def _failed(self, error: Error) -> None:
        self.complaints.append(str(error))


def hosts(addresses: Sequence[str]) -> set[str]:
    """Whom one reaches by them; `data:` and `blob:` reach nobody."""
    return {
        urlsplit(one).hostname or one.split(":")[1]
        for one in addresses
        if not one.startswith(("data:", "blob:"))
    }


@asynccontextmanager
async def visiting(chromium: Path, address: str, options: Sequence[str]) -> AsyncIterator[Visitor]:
    """A visitor in a fresh browser with the page open.

    However the visit went, the page asked nobody outside of this machine and its console holds no error.
    """
    expect.set_options(timeout=LIMIT_S * 1000)
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=chromium, args=list(options))
        page = await browser.new_page()
        await page.add_init_script(WATCH)
        visitor = Visitor(page)
        await page.goto(address)
        yield visitor
        assert hosts(await visitor.asked()) == {LOOPBACK}
        assert visitor.complaints == []
        await browser.close()
