"""LiveKit's inference gateway on this machine: a model that answers from its prompt, ears that hear what a
test says, and a voice of tones.

```python
with Gateway() as gateway:
    …  # an agent of any process, started with `gateway.environment`
    await gateway.wait_listening()
    gateway.hear("What is my dog called?")
    assert "Biscuit" in block_of(gateway.requests[-1])
```

It speaks the protocols of `livekit.agents.inference`: chat completions (streamed), and the sockets for
speech. What it does not have, turn detection for instance, LiveKit then does on this machine.
"""

import base64
import json
import re
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from echoic.memory.recall.prompt import CLOSE, OPEN
from echoic.memory.text.words import terms
from tests.local_server import Server, messages_of
from tests.tones import WORD_S, tone

UNKNOWN = "I do not know."

Request = dict[str, Any]
"""The body of one chat request, or the first message of one speech session."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The model wants a tool to run, instead of speaking."""

    name: str
    arguments: dict[str, Any] = field(default_factory=dict)


Reply = str | ToolCall


def honest(request: Request) -> Reply:
    """Quotes the remembered line that shares most words with the question, or says that it does not know."""
    return quoted(block_of(request), question_of(request)) or UNKNOWN


def quoted(memory: str, question: str) -> str:
    """The line of a block that shares most words with a question; empty if none shares any that means
    something."""
    asked = set(terms(question))
    lines = [line for line in memory.splitlines() if line.startswith("- ")]
    best = max(lines, key=lambda line: len(asked & set(terms(line))), default="")
    return best.removeprefix("- ") if asked & set(terms(best)) else ""


class Gateway(Server):
    """A gateway that runs while the block does.

    Args:
        reply: what the model answers to a request.
    """

    def __init__(self, reply: Callable[[Request], Reply] = honest) -> None:
        super().__init__()
        self.reply = reply
        self.requests: list[Request] = []
        """The bodies of all chat requests, oldest first."""
        self.sessions: list[Request] = []
        """How each session of the ears and of the voice was opened; `kind` says which it is."""
        self.spoken: list[str] = []
        """What the voice was given to say, one text a flush."""
        self._ears: set[web.WebSocketResponse] = set()

    @property
    def environment(self) -> dict[str, str]:
        """What leads an agent here; without a key LiveKit refuses before it asks us."""
        return {
            "LIVEKIT_INFERENCE_URL": f"{self.address}/v1",
            "LIVEKIT_INFERENCE_API_KEY": "test",
            "LIVEKIT_INFERENCE_API_SECRET": "of-32-characters-or-more-for-a-token",
        }

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/v1/chat/completions", self._chat),
            web.get("/v1/stt", self._listen),
            web.get("/v1/tts", self._speak),
        ]

    async def wait_listening(self) -> None:
        """Return once an agent's ears are open."""
        await self.wait(lambda: bool(self._ears), "nobody listened")

    async def wait_asked(self, count: int = 1) -> Request:
        """The chat request with that number, counted from 1, once it has arrived."""
        await self.wait(lambda: len(self.requests) >= count, f"{count} requests did not arrive")
        return self.requests[count - 1]

    def hear(self, text: str) -> None:
        """Whoever listens has heard this: a partial transcript, then the final one."""
        self.do(self._hear(text))

    async def _chat(self, http: web.Request) -> web.StreamResponse:
        _check_key(http)
        request: Request = await http.json()
        await self.note(self.requests, request)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(http)
        for chunk in _chunks(request["model"], self.reply(request)):
            await response.write(f"data: {json.dumps(chunk)}\n\n".encode())
        await response.write(b"data: [DONE]\n\n")
        return response

    async def _listen(self, http: web.Request) -> web.WebSocketResponse:
        _check_key(http)
        socket = web.WebSocketResponse()
        await socket.prepare(http)
        try:
            async for message in messages_of(socket):
                match message["type"]:
                    case "session.create":
                        await socket.send_json({"type": "session.created"})
                        self._ears.add(socket)
                        await self.note(self.sessions, {"kind": "stt", **message})
                    case "session.finalize":
                        await socket.send_json({"type": "session.finalized"})
                    case "session.close":
                        await socket.send_json({"type": "session.closed"})
                        break
        finally:
            self._ears.discard(socket)
        return socket

    async def _hear(self, text: str) -> None:
        assert self._ears, "nobody listens"
        heard = {"transcript": text, "language": "en", "confidence": 0.99, "start": 0.0, "duration": 0.0}
        for socket in self._ears:
            await socket.send_json({"type": "interim_transcript", **heard})
            await socket.send_json({"type": "final_transcript", **heard})

    async def _speak(self, http: web.Request) -> web.WebSocketResponse:
        _check_key(http)
        socket, rate, said = web.WebSocketResponse(), 0, ""
        await socket.prepare(http)
        async for message in messages_of(socket):
            match message["type"]:
                case "session.create":
                    rate = int(message["sample_rate"])
                    await self.note(self.sessions, {"kind": "tts", **message})
                case "input_transcript":
                    said += message["transcript"]
                case "session.flush":
                    self.spoken.append(said.strip())
                    sound = base64.b64encode(tone(WORD_S * len(said.split()), rate)).decode()
                    about, said = {"session_id": uuid.uuid4().hex}, ""
                    await socket.send_json({"type": "output_audio", "audio": sound, **about})
                    await socket.send_json({"type": "done", **about})
        return socket


def text_of(request: Request) -> str:
    """All words of a prompt, whoever says them."""
    return "\n".join(_content(message) for message in request["messages"])


def block_of(request: Request) -> str:
    """What is remembered, as the newest words of the caller bring it along; empty without a block."""
    return _last_words(request).partition(OPEN)[2].partition(CLOSE)[0]


def question_of(request: Request) -> str:
    """What the caller said last."""
    words = _last_words(request)
    return words.partition(CLOSE)[2] if OPEN in words else words


def _last_words(request: Request) -> str:
    said = [message for message in request["messages"] if message["role"] == "user"]
    return _content(said[-1]) if said else ""


def _content(message: dict[str, Any]) -> str:
    content = message.get("content") or ""
    return content if isinstance(content, str) else "\n".join(part.get("text", "") for part in content)


def _check_key(http: web.Request) -> None:
    if not http.headers.get("Authorization", "").startswith("Bearer "):
        raise web.HTTPUnauthorized


def _chunks(model: str, reply: Reply) -> Iterator[dict[str, Any]]:
    about = {"id": "scripted", "object": "chat.completion.chunk", "created": int(time.time()), "model": model}
    for delta in _deltas(reply):
        yield {**about, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
    reason = "stop" if isinstance(reply, str) else "tool_calls"
    yield {**about, "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    yield {**about, "choices": [], "usage": usage}


def _deltas(reply: Reply) -> Iterator[dict[str, Any]]:
    if isinstance(reply, str):
        yield from (
            {"role": "assistant", "content": word} for word in re.findall(r"\S+\s*", reply) or [reply]
        )
        return
    called = {"name": reply.name, "arguments": json.dumps(reply.arguments)}
    call_id = f"call_{uuid.uuid4().hex[:8]}"
    yield {
        "role": "assistant",
        "tool_calls": [{"index": 0, "id": call_id, "type": "function", "function": called}],
    }
