"""The honest responder: with no language model at all, it quotes what it remembers, with dates, and says so
when that is nothing."""

import asyncio
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from livekit.agents import APIConnectOptions, llm
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS

from echoic.memory.recall.prompt import FOUND, NOTHING_DELETED, OPEN, excerpt
from echoic.memory.text.words import asked_terms, is_small_talk, normalise, terms

QUOTES = 2
"""Most quotes in one answer: what is spoken aloud must stay short."""
QUOTES_OF_ALL = 4
"""Most quotes when everything is asked for."""
NOW = "in this call"
QUOTE_CHARS = 280
"""Of a longer text the part around the first matching word is quoted."""

_LINE = re.compile(
    r'^- (?:(?P<speaker>Caller|You): "(?P<words>.*)"|(?P<fact>.*)) \((?P<dates>[^()]*\bsaid [^()]*)\)$'
)
_SAID = re.compile(r"\bsaid (?P<ago>[^,;]+), (?P<day>\d{1,2} \w{3} \d{4})")
_ASKS = re.compile(
    r"(?:and |but |so |then |ok |okay |well |please |hey |echoic )*"
    r"(?:what|whats|who|whos|whose|whom|where|wheres|when|whens|why|how|hows|which|do|does|did|dont|didnt|is|isnt|are|arent|was|were|can|could"
    r"|will|would|should|shall|have|has|had|am|may|tell me|remind me|remember when)\b"
)
_TELLS = re.compile(
    r"(?:please |(?:can|could|will|would) you (?:please )?)*(?:remember|note|keep in mind|dont forget)(?: "
    r"that| this)?"
    r" (?:i|im|my|we|our|its|the)\b"
)

_ALL = frozenset("know known rememb tell told say said memori everyth anyth thing talk learn".split())
"""Stems that ask for all there is, when nothing else is asked: "what do you know about me?"."""


@dataclass(frozen=True, slots=True)
class Quote:
    """One remembered text, as it can be quoted."""

    text: str
    speaker: str
    """`Caller`, `You` (this agent), or empty for a learned fact."""
    ago: str
    day: date
    about: bool
    """Found for these very words, rather than known in general."""


class QuoteLLM(llm.LLM):
    """Answers from the memory block and from this call's own words, and from nothing else."""

    @property
    def model(self) -> str:
        return "quote"

    @property
    def provider(self) -> str:
        return "echoic"

    def chat(
        self,
        *,
        chat_ctx: llm.ChatContext,
        tools: list[llm.Tool] | None = None,
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
        **_: Any,
    ) -> llm.LLMStream:
        return _QuoteStream(self, chat_ctx=chat_ctx, tools=tools or [], conn_options=conn_options)


class _QuoteStream(llm.LLMStream):
    async def _run(self) -> None:
        for word in re.findall(r"\s*\S+\s*", answer(self._chat_ctx)):
            self._event_ch.send_nowait(
                llm.ChatChunk(id="quote", delta=llm.ChoiceDelta(role="assistant", content=word))
            )
            # each word goes out, and a caller who interrupts is heard, before the next
            await asyncio.sleep(0)


def answer(context: llm.ChatContext) -> str:
    """What can honestly be said to the last words of `context`."""
    messages = context.messages()
    if messages and messages[-1].role in ("system", "developer"):
        return _greeting(list(_read(messages[-1].text_content or "")))
    at = next((at for at in reversed(range(len(messages))) if messages[at].role == "user"), None)
    if at is None:
        return "Hello."
    block, words = _split(messages[at])
    if is_small_talk(words):
        return _small_talk(words)
    if not is_question(words):
        return "I have deleted nothing from my memory." if NOTHING_DELETED in block else "Got it, thank you."
    return _quoted(words, [*_said_in_this_call(messages[:at]), *_read(block)])


def is_question(words: str) -> bool:
    """Whether an answer is asked for, also without a question mark: speech has none."""
    plain = normalise(words)
    if _TELLS.match(plain):
        return False
    return words.rstrip().endswith(("?", "？", "؟")) or _ASKS.match(plain) is not None


def _split(message: llm.ChatMessage) -> tuple[str, str]:
    """The memory block, if one stands before the caller's content, and the caller's words."""
    texts = [part for part in message.content if isinstance(part, str)]
    if len(texts) > 1 and texts[0].startswith(OPEN):
        return texts[0], "\n".join(texts[1:])
    return "", "\n".join(texts)


def _read(block: str) -> Iterator[Quote]:
    """The lines of a block, in its order."""
    about = False
    for line in block.splitlines():
        if not line.startswith("- "):
            about = line == FOUND
        elif (parts := _LINE.match(line)) and (said := _SAID.search(parts["dates"])):
            day = datetime.strptime(said["day"], "%d %b %Y").replace(tzinfo=UTC).date()
            yield Quote(parts["words"] or parts["fact"], parts["speaker"] or "", said["ago"], day, about)


def _said_in_this_call(messages: Sequence[llm.ChatMessage]) -> Iterator[Quote]:
    """What the caller said before, newest first: it stands in the context, so memory does not repeat it."""
    for message in reversed(messages):
        if message.role == "user" and (text := message.text_content):
            yield Quote(
                text, "Caller", NOW, datetime.fromtimestamp(message.created_at, UTC).date(), about=True
            )


def _quoted(words: str, quotes: Sequence[Quote]) -> str:
    asked = set(asked_terms(words))
    telling = [
        quote
        for quote in quotes
        if quote.text and not is_small_talk(quote.text) and not is_question(quote.text)
    ]
    if set(terms(words)) <= _ALL:
        return _all(telling)
    best = _best(asked, telling)
    if not best:
        return "I do not remember anything about that yet."
    sure = bool(asked) and 2 * len(asked & set(terms(best[0].text))) >= len(asked)
    spoken = " ".join(_sentence(quote, asked) for quote in best)
    return spoken if sure else f"I am not sure. The nearest I remember: {spoken}"


def _best(asked: set[str], quotes: Sequence[Quote]) -> list[Quote]:
    """Those that share most words with the question, the caller's own before ours; then what memory put
    first, if it is newer, or none shares a word.

    What is newest is said first.
    """
    shared = {quote: len(asked & set(terms(quote.text))) for quote in quotes}
    own = [quote for quote in quotes if quote.speaker != "You" and (shared[quote] or quote.about)]
    candidates = own or [quote for quote in quotes if shared[quote]]
    most = max((shared[quote] for quote in candidates), default=0)
    first = next((quote for quote in candidates if quote.ago != NOW), None)
    kept = [quote for quote in candidates if shared[quote] == most][:QUOTES]
    if not most:
        kept = [first or candidates[0]] if candidates else []
    if first is not None and len(kept) < QUOTES and all(first.day > quote.day for quote in kept):
        kept.append(first)
    return sorted(kept, key=lambda quote: quote.day, reverse=True)


def _all(quotes: Sequence[Quote]) -> str:
    own = [quote for quote in quotes if quote.speaker != "You"][:QUOTES_OF_ALL]
    if not own:
        return "I do not remember anything about you yet."
    return " ".join(_sentence(quote, frozenset()) for quote in own)


def _greeting(quotes: Sequence[Quote]) -> str:
    told = [
        quote
        for quote in quotes
        if quote.speaker != "You" and not is_question(quote.text) and not is_small_talk(quote.text)
    ]
    return "Welcome back. " + _sentence(told[0], frozenset()) if told else "Hello."


def _small_talk(words: str) -> str:
    plain = normalise(words)
    if "thank" in plain:
        return "You are welcome."
    if "bye" in plain or "see you" in plain:
        return "Goodbye."
    return "I am listening."


def _sentence(quote: Quote, around: frozenset[str] | set[str]) -> str:
    when = quote.ago if quote.ago == NOW else f"{quote.ago} ({quote.day.day} {quote.day:%b %Y})"
    opening = {"Caller": f"You told me {when}", "You": f"I told you {when}"}.get(
        quote.speaker, f"I remember from {when}"
    )
    return f"{opening}: “{excerpt(quote.text, QUOTE_CHARS, around)}”"
