"""Names that memory knows of a caller, told to the ears of the call: what is expected is heard right."""

from typing import Any

from echoic.agent.call.call import Call
from echoic.agent.livekit_api import takes_key_terms
from echoic.memory.call import CallMemory


class KeyTerms:
    """Follows whose memory is in force: nobody's names are left with the ears when another person speaks."""

    def __init__(self, session: Any, call: Call) -> None:
        self._session, self._call, self._given = session, call, set[str]()
        call.on_changed.append(self._follow)
        self.tell()

    def tell(self) -> None:
        """Give the ears the names that are known by now, beside the application's own terms; ears that take
        none are left alone."""
        names = self._call.call_memory.names
        if (names or self._given) and takes_key_terms(self._session):
            own = [term for term in self._session.keyterms if term not in self._given]
            self._given = {name for name in names if name not in own}
            self._session.update_options(keyterms=[*own, *(name for name in names if name in self._given)])

    def _follow(self, memory: CallMemory) -> None:
        self.tell()
        if not memory.loaded:
            self._call.in_background(self._tell_when_loaded(memory), "call.names")

    async def _tell_when_loaded(self, memory: CallMemory) -> None:
        await memory.wait_loaded()
        if self._call.call_memory is memory:
            self.tell()
