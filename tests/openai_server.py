"""OpenAI's `/chat/completions` and `/responses` on this machine: JSON and events, and their faults.

```python
with OpenAIServer() as server:
    server.replies += ["Hi!", Tool("weather", {"city": "Porto"}), 429, Cut("I was say")]  # to come
    server.stalls.append(1)  # the next stream stops after so many words, until `release()`
    …  # a client with base_url=server.url
    server.asked[-1].body  # what it was sent
```

A request for which nothing is scripted is answered with `Hello there.`
"""

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from tests.local_server import Server

MODEL = "scripted"


@dataclass(frozen=True)
class Tool:
    """The model calls a tool, saying something or nothing."""

    name: str
    arguments: dict[str, Any]
    text: str = ""


@dataclass(frozen=True)
class Refusal:
    text: str


@dataclass(frozen=True)
class Cut:
    """The connection breaks after these words."""

    text: str


Reply = str | Tool | Refusal | Cut | int
"""A number is a status that the request is refused with."""


@dataclass(frozen=True)
class AskedOnce:
    path: str
    body: dict[str, Any]
    headers: dict[str, str]

    @property
    def said(self) -> Any:
        """Content of the last user's message, or the input."""
        found = self.body.get("messages", self.body.get("input"))
        if isinstance(found, str):
            return found
        return next(one["content"] for one in reversed(found) if one.get("role") == "user")


class OpenAIServer(Server):
    """Runs while the block does."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[AskedOnce] = []
        self.replies: list[Reply] = []
        self.stalls: list[int] = []
        self.models: list[str] = []
        self._free = asyncio.Event()

    @property
    def url(self) -> str:
        return f"{self.address}/v1"

    def routes(self) -> list[web.RouteDef]:
        azure = "/openai/deployments/{deployment}/chat/completions"
        return [
            web.post("/v1/chat/completions", self._chat),
            web.post(azure, self._chat),
            web.post("/v1/responses", self._responses),
            web.get("/v1/models", self._list),
        ]

    def release(self) -> None:
        """What has stalled goes on, and nothing stalls any more."""
        self._loop.call_soon_threadsafe(self._free.set)

    async def wait_asked(self, count: int) -> None:
        """Return once that many requests have come in all."""
        await self.wait(lambda: len(self.asked) >= count, f"{count} requests did not come")

    async def _next(self, http: web.Request) -> tuple[dict[str, Any], Reply]:
        body = await http.json()
        reply = self.replies.pop(0) if self.replies else "Hello there."
        await self.note(self.asked, AskedOnce(http.path, body, dict(http.headers)))
        return body, reply

    async def _list(self, http: web.Request) -> web.Response:
        """Servers that have one model often list none."""
        await self.note(self.asked, AskedOnce(http.path, {}, dict(http.headers)))
        if not self.models:
            return web.Response(status=404)
        listed = [{"id": one, "object": "model", "created": 1, "owned_by": "them"} for one in self.models]
        return web.json_response({"object": "list", "data": listed})

    async def _chat(self, http: web.Request) -> web.StreamResponse:
        body, reply = await self._next(http)
        if isinstance(reply, int):
            return _refused(reply)
        if not body.get("stream"):
            return web.json_response(
                _completion(reply, body.get("n") or 1), headers={"x-request-id": "req-1"}
            )
        last = [_chunk([{"index": 0, "delta": {}, "finish_reason": _finish(reply)}])]
        if (body.get("stream_options") or {}).get("include_usage"):
            last.append(_chunk([]))
        first = [_chunk([{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}])]
        said = [_chunk([{"index": 0, "delta": one, "finish_reason": None}]) for one in _deltas(reply)]
        return await self._stream(http, reply, first, said, [*last, "[DONE]"])

    async def _responses(self, http: web.Request) -> web.StreamResponse:
        body, reply = await self._next(http)
        if isinstance(reply, int):
            return _refused(reply)
        whole = _response(reply)
        if not body.get("stream"):
            return web.json_response(whole, headers={"x-request-id": "req-1"})
        item = {**whole["output"][0], "content": [], "status": "in_progress"}
        place = {"output_index": 0, "content_index": 0, "item_id": item["id"]}
        part = {"type": "output_text", "text": "", "annotations": []}
        begun = {**whole, "status": "in_progress", "output": []}
        first = [
            {"type": "response.created", "response": begun},
            {"type": "response.output_item.added", "output_index": 0, "item": item},
            {"type": "response.content_part.added", **place, "part": part},
        ]
        said = [
            {"type": "response.output_text.delta", **place, "delta": one["content"], "logprobs": []}
            for one in _deltas(reply)
        ]
        text = _text(reply)
        last = [
            {"type": "response.output_text.done", **place, "text": text, "logprobs": []},
            {"type": "response.output_item.done", "output_index": 0, "item": whole["output"][0]},
            {"type": "response.completed", "response": whole},
        ]
        numbered = [{**one, "sequence_number": at} for at, one in enumerate([*first, *said, *last])]
        here, there = len(first), len(first) + len(said)
        return await self._stream(http, reply, numbered[:here], numbered[here:there], numbered[there:])

    async def _stream(
        self, http: web.Request, reply: Reply, first: list[Any], said: list[Any], last: list[Any]
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "x-request-id": "req-1"})
        await response.prepare(http)
        stall = self.stalls.pop(0) if self.stalls else None
        with suppress(ConnectionError):  # the client has gone
            for event in first:
                await _send(response, event)
            for place, event in enumerate(said):
                if place == stall:
                    await self._free.wait()
                await _send(response, event)
            if isinstance(reply, Cut):
                assert http.transport is not None
                http.transport.close()
                return response
            for event in last:
                await _send(response, event)
        return response


async def _send(response: web.StreamResponse, event: Any) -> None:
    data = event if isinstance(event, str) else json.dumps(event)
    name = f"event: {event['type']}\n" if isinstance(event, dict) and "type" in event else ""
    await response.write(f"{name}data: {data}\n\n".encode())


def _refused(status: int) -> web.Response:
    error = {"message": "scripted", "type": "scripted", "code": None, "param": None}
    return web.json_response({"error": error}, status=status, headers={"retry-after": "0"})


def _text(reply: Reply) -> str:
    return reply if isinstance(reply, str) else getattr(reply, "text", "")


def _finish(reply: Reply) -> str:
    return "tool_calls" if isinstance(reply, Tool) else "stop"


def _call(tool: Tool) -> dict[str, Any]:
    function = {"name": tool.name, "arguments": json.dumps(tool.arguments)}
    return {"id": "call-1", "type": "function", "function": function}


def _message(reply: Reply) -> dict[str, Any]:
    message = {"role": "assistant", "content": _text(reply) or None, "refusal": None}
    if isinstance(reply, Refusal):
        return message | {"content": None, "refusal": reply.text}
    if isinstance(reply, Tool):
        return message | {"tool_calls": [_call(reply)]}
    return message


def _completion(reply: Reply, count: int) -> dict[str, Any]:
    message = _message(reply)
    others = [{**message, "content": f"Another one, {at}."} for at in range(1, count)]
    choices = [
        {"index": at, "message": one, "finish_reason": _finish(reply), "logprobs": None}
        for at, one in enumerate([message, *others])
    ]
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    about = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": MODEL}
    return about | {"choices": choices, "usage": usage}


def _chunk(choices: list[Any]) -> dict[str, Any]:
    about = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": MODEL}
    usage = {} if choices else {"usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}
    return about | {"choices": choices} | usage


def _deltas(reply: Reply) -> list[dict[str, Any]]:
    """Word by word."""
    found: list[dict[str, Any]] = [{"content": f"{word} "} for word in _text(reply).split()]
    if found:
        found[-1]["content"] = found[-1]["content"].rstrip()
    if isinstance(reply, Tool):
        found.append({"tool_calls": [{"index": 0, **_call(reply)}]})
    return found


def _response(reply: Reply) -> dict[str, Any]:
    content = {"type": "output_text", "text": _text(reply), "annotations": [], "logprobs": []}
    if isinstance(reply, Refusal):
        content = {"type": "refusal", "refusal": reply.text}
    message = {
        "id": "msg-1",
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": [content],
    }
    output: list[Any] = [message]
    if isinstance(reply, Tool):
        call = {"name": reply.name, "arguments": json.dumps(reply.arguments), "status": "completed"}
        output = [{"id": "fc-1", "type": "function_call", "call_id": "call-1"} | call]
    about = {"id": "resp-1", "object": "response", "created_at": 1, "model": MODEL, "status": "completed"}
    rest = {"error": None, "incomplete_details": None, "instructions": None, "metadata": {}, "tools": []}
    return about | rest | {"output": output, "parallel_tool_calls": True, "tool_choice": "auto"}
