"""The embedding server of one host: the models in memory once for every call process, behind a Unix socket.

Started and kept by the daemon that `memory/embedding/client.py` names, which also asks it.
"""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from echoic.memory.errors import MemoryFault
from echoic.memory.hosting.priority_threads import PriorityThreads
from echoic.memory.hosting.wire import Message, serve

Embed = Callable[..., bytes]
"""Texts -> their vectors, as little-endian float32, one after the other. Runs in a thread."""
HOW = ("question", "across")
"""What a client may say of its texts: that they are asked, and of what was said in several languages."""


class EmbeddingServer:
    """Everybody's questions, and the threads that work them off."""

    def __init__(self, embed: Embed, threads: int) -> None:
        self._embed, self._threads = embed, PriorityThreads(threads, "embed")

    def answer(self, question: dict[str, Any], _: bytes) -> asyncio.Future[Message]:
        """The vectors of `texts`; a question that is `urgent` goes before batches."""
        return self._threads.submit(self._vectors, question, urgent=bool(question.get("urgent")))

    def _vectors(self, question: dict[str, Any]) -> Message:
        return {}, self._embed(question["texts"], **{name: True for name in HOW if question.get(name)})


def main(socket: str, threads: str, pulled: str = "") -> None:
    """Load the local models, or the one in the folder `pulled`; then answer until a signal ends it all."""
    try:
        embed = _load_model(pulled)
    except MemoryFault as exc:
        raise SystemExit(str(exc)) from exc
    asyncio.run(serve(Path(socket), EmbeddingServer(embed, int(threads)).answer))


def _load_model(pulled: str) -> Embed:
    from echoic.memory.embedding.embedder import LocalEmbedder, PulledEmbedder

    model = PulledEmbedder(Path(pulled), workers=1) if pulled else LocalEmbedder(workers=1)
    model.embed_question("warm")

    def embed(texts: list[str], question: bool = False, across: bool = False) -> bytes:
        vectors = model.embed_question(texts[0], across) if question else model.embed_now(texts)
        return vectors.astype("<f4").tobytes()

    return embed


if __name__ == "__main__":
    main(*sys.argv[1:])
