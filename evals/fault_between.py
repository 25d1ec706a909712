"""An address of the bench's own before a server, to be late, silent or gone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path


class Between:
    """Passes bytes on.

    The server's come after `delay_s`, in their order; none at all while it is halted or cut.
    """

    def __init__(self, server: Path, own: Path) -> None:
        self._server, self.own, self.delay_s = server, own, 0.0
        self._passing = asyncio.Event()
        self._passing.set()
        self._cut = False
        self._ends: set[asyncio.StreamWriter] = set()
        self._serving = 0
        self._idle = asyncio.Event()

    def halt(self) -> None:
        """From now on nothing comes through; connections stay open, as those of a server that hangs."""
        self._passing.clear()

    def cut(self) -> None:
        """Hang up on everybody, and on whoever connects from now on."""
        self._cut = True
        for end in self._ends:
            end.close()

    def mend(self) -> None:
        """Everything comes through again."""
        self.delay_s, self._cut = 0.0, False
        self._passing.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until either side hangs up."""
        if self._cut:
            writer.close()
            return
        ends = {writer}
        self._serving += 1
        self._idle.clear()
        try:
            answers, asks = await asyncio.open_unix_connection(self._server)
            ends.add(asks)
            self._ends |= ends
            await asyncio.gather(self._pass(reader, asks, slow=False), self._pass(answers, writer, slow=True))
        except OSError:
            pass  # it hung up in the middle of something
        finally:
            for end in ends:
                end.close()
            self._ends -= ends
            self._serving -= 1
            if not self._serving:
                self._idle.set()

    async def close(self) -> None:
        """Hang up on everybody."""
        self.mend()
        for end in self._ends:
            end.close()
        if self._serving:
            await self._idle.wait()

    async def _pass(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, *, slow: bool) -> None:
        while data := await source.read(65_536):
            if slow and self.delay_s:
                await asyncio.sleep(self.delay_s)
            await self._passing.wait()
            target.write(data)
            await target.drain()
        target.close()


@asynccontextmanager
async def between(server: Path, own: Path) -> AsyncIterator[Between]:
    """Serves at the socket `own` what the socket `server` answers."""
    passing = Between(server, own)
    listening = await asyncio.start_unix_server(passing.serve, own)
    try:
        yield passing
    finally:
        listening.close()
        await passing.close()
