"""What a model said, read from the bytes of its answer as they pass: JSON or server-sent events, of chat
completions or of responses."""

import json
from collections.abc import Iterator
from typing import Any

from echoic.memory.chat.messages import words_of

EVENTS = "text/event-stream"
DELTAS = ("response.output_text.delta", "response.refusal.delta")
ENDED = ("response.completed", "response.incomplete")
"""A reply that reached its token limit is told as far as it goes, like any other."""


class ReplyReader:
    """Reads one answer; nothing that is wrong with it is raised."""

    def __init__(self, content_type: str) -> None:
        self._streams = content_type.split(";")[0].strip().lower() == EVENTS
        self._bytes = bytearray()
        self._data: list[str] = []
        self._parts: dict[tuple[int, int], str] = {}
        self._whole: str | None = None
        self.is_complete = False
        """The model has said that this is all."""

    def feed(self, data: bytes) -> None:
        """The next bytes."""
        self._bytes += data
        if self._streams:
            *lines, rest = bytes(self._bytes).split(b"\n")
            self._bytes = bytearray(rest)
            for line in lines:
                self._line(line.rstrip(b"\r"))

    @property
    def text(self) -> str:
        """What was said so far; of an answer without events, once all of it was fed.

        Empty: tools were called.
        """
        if not self._streams and self._whole is None:
            answer = _json(bytes(self._bytes))
            self.is_complete = isinstance(answer, dict)
            self._whole = said_in(answer)
        if self._whole is not None:
            return self._whole
        return "".join(text for _, text in sorted(self._parts.items()))

    def _line(self, line: bytes) -> None:
        if line.startswith(b"data:"):
            self._data.append(line[5:].strip().decode(errors="replace"))
        elif not line and self._data:
            data, self._data = "\n".join(self._data), []
            if data == "[DONE]":
                self.is_complete = True
            elif isinstance(event := _json(data), dict):
                self._event(event)

    def _event(self, event: dict[str, Any]) -> None:
        for choice in _dicts(event.get("choices")):
            if choice.get("index", 0) == 0:  # of several answers one is shown, as a rule the first
                self._add((0, 0), _message_text(choice.get("delta")))
                self.is_complete = self.is_complete or choice.get("finish_reason") is not None
        kind = event.get("type")
        if kind in DELTAS:
            place = event.get("output_index", 0), event.get("content_index", 0)
            self._add(place, event.get("delta"))
        elif kind in ENDED:
            self.is_complete = True
            self._whole = said_in(event.get("response")) or None

    def _add(self, place: tuple[int, int], text: object) -> None:
        if isinstance(text, str) and text:
            self._parts[place] = self._parts.get(place, "") + text


def said_in(answer: Any) -> str:
    """What was said in a whole answer of either kind."""
    if not isinstance(answer, dict):
        return ""
    choices = [one for one in _dicts(answer.get("choices")) if one.get("index", 0) == 0]
    if choices:
        return _message_text(choices[0].get("message"))
    messages = [one for one in _dicts(answer.get("output")) if one.get("type") == "message"]
    parts = [part for one in messages for part in _dicts(one.get("content"))]
    return "\n".join(
        text for part in parts if (text := _text(part.get("text")) or _text(part.get("refusal")))
    )


def _message_text(message: Any) -> str:
    """Words, or why there are none; of a reply in sound its transcript."""
    if not isinstance(message, dict):
        return ""
    audio = message.get("audio")
    spoken = audio.get("transcript") if isinstance(audio, dict) else None
    return words_of(message) or _text(message.get("refusal")) or _text(spoken)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _dicts(value: Any) -> Iterator[dict[str, Any]]:
    yield from (one for one in value if isinstance(one, dict)) if isinstance(value, list) else ()


def _json(text: str | bytes) -> Any:
    try:
        return json.loads(text)
    except (RecursionError, ValueError):
        return None
