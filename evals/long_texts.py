"""How long a pasted text holds the event loop, while it is answered and when it is found again.

`python -m evals.long_texts [--chars 100000]`

Memory is in this process (`echoic.testing`), and the model says "ok": what is timed is Echoic's own work in
the one loop by which a caller hears. A row is one turn; "longest" is the longest single callback in it.
`recall.facts` is the search of that testing memory, which reads every text anew; Postgres and the memory that
a call holds do not.
"""

import argparse
import asyncio
import random
from typing import Any

from livekit.agents import AgentSession, llm

import echoic
import echoic.testing
from echoic.agent.assistant import MemoryAgent
from evals.loop_lag import watched
from tests.fake_llm import FakeLLM

CHARS = 100_000
PASTED = 12
"""So many texts of that length are pasted before they are asked for."""
LOUD_MS = 100.0
"""From here on LiveKit warns that speech may stutter."""

REPEATED = {"quotes": '"<(', "accents": "\u0301\u0316", "secrets": "password: ", "numbers": "one "}


class OkLLM(FakeLLM):
    def reply(self, context: llm.ChatContext) -> str:
        return "ok"


def pasted(chars: int, kind: str, number: int) -> str:
    """A text of that length, another one for each number."""
    chance = random.Random(f"{kind} {number}")
    if kind in REPEATED:
        return (REPEATED[kind] * chars)[:chars]
    if kind == "one word":
        return str(number) * chars
    letters = "abcdefghijklmnopqrstuvwxyz" if kind == "words" else "กขฃคฅฆงจฉชซฌญ"
    words: list[str] = []
    while len(words) < chars // 6 + 1:
        words.append("".join(chance.choices(letters, k=chance.randint(2, 8))))
    return " ".join(words)[:chars]


async def main(chars: int) -> None:
    print(f"{'text':<12}{'turn':<20}{'longest':>10}{'computing':>12}  callback")
    for kind in ("words", "one script", *REPEATED, "one word"):
        memory = echoic.testing.memory()
        session: AgentSession[Any] = AgentSession(
            llm=OkLLM(), vad=None, turn_handling={"turn_detection": None}, user_away_timeout=None
        )
        await echoic.remember(session, user_id="maya", memory=memory)
        async with session:
            await session.start(MemoryAgent(instructions="be brief", context_tokens=12_000))
            await session.run(user_input="Hello, how is the weather?")
            with watched() as lag:
                await session.run(user_input=pasted(chars, kind, 0))
            _tell(kind, "pasted", lag)
            for number in range(1, PASTED):
                await session.run(user_input=pasted(chars, kind, number))
        later: AgentSession[Any] = AgentSession(
            llm=OkLLM(), vad=None, turn_handling={"turn_detection": None}, user_away_timeout=None
        )
        await echoic.remember(later, user_id="maya", memory=memory)
        async with later:
            await later.start(MemoryAgent(instructions="be brief", context_tokens=12_000))
            question = " ".join(pasted(chars, kind, 3)[-400:].split()[-5:])[:200]
            with watched() as lag:
                await later.run(user_input=f"What about {question}?")
            _tell(kind, "asked for later", lag)


def _tell(kind: str, turn: str, lag: Any) -> None:
    mark = "  LOUD" if lag.slowest_cpu_ms > LOUD_MS else ""
    times = f"{lag.slowest_ms:>7.0f} ms{lag.slowest_cpu_ms:>9.0f} ms"
    print(f"{kind:<12}{turn:<20}{times}  {lag.slowest_name}{mark}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chars", type=int, default=CHARS)
    asyncio.run(main(parser.parse_args().chars))
