"""The JSON in what a model or its gateway really sends: after thinking, in fences, between prose, cut off."""

import json
import re
from dataclasses import dataclass
from typing import Any

from echoic.memory.errors import ModelAnswerInvalid

_FINAL_CHANNEL = re.compile(r"<\|channel\|>\s*final\b.*?<\|message\|>", re.DOTALL)
_END_OF_THINKING = re.compile(r"</(?:think|thinking|thought|reasoning)>|◁/think▷|\[/THINK\]", re.IGNORECASE)
_THINKING = re.compile(r"<(?:think|thinking|thought|reasoning)>|◁think▷|\[THINK\]", re.IGNORECASE)
_MARKS = re.compile(r"<\|[a-z_]+\|>")
_STARTS = re.compile(r"[{\[]")
MOST_STARTS = 200
"""Brackets of prose at which an answer is looked for."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """A JSON value; `complete` is False when the text ends before it does."""

    value: Any
    complete: bool = True


def parse(text: str) -> Parsed:
    """The JSON object or list in a model's text.

    Of one that is cut off, the elements that are whole.

    Raises:
        ModelAnswerInvalid: there is none.
    """
    text = _spoken(text)
    whole, is_cut = _largest(text)
    if (whole is None or is_cut) and (elements := _whole_elements(text)) is not None:
        return Parsed(elements, complete=False)
    if whole is not None:
        return Parsed(whole)
    raise ModelAnswerInvalid("The language model answered without JSON.")


def _spoken(text: str) -> str:
    """The text without what the model thought before it answered."""
    if finals := list(_FINAL_CHANNEL.finditer(text)):
        text = text[finals[-1].end() :]
    if ends := list(_END_OF_THINKING.finditer(text)):
        text = text[ends[-1].end() :]
    elif _THINKING.search(text):
        raise ModelAnswerInvalid("The language model thought to the end of its answer.")
    return _MARKS.sub("", text)


def _largest(text: str) -> tuple[Any, bool]:
    """The longest JSON object or list that begins at one of the first brackets.

    And whether it stands in one that the text ends in the middle of.
    """
    found, longest, read_until, is_cut = None, 0, 0, False
    for number, match in enumerate(_STARTS.finditer(text)):
        if number >= MOST_STARTS or is_cut:
            break
        if match.start() < read_until:
            continue
        try:
            value, end = json.JSONDecoder(strict=False).raw_decode(text, match.start())
        except json.JSONDecodeError as exc:
            is_cut = exc.msg.startswith("Unterminated") or exc.pos >= len(text.rstrip())
            continue
        except RecursionError as exc:
            raise ModelAnswerInvalid("The language model answered JSON without end.") from exc
        read_until = end
        if end - match.start() > longest:
            found, longest = value, end - match.start()
    return found, is_cut


def _whole_elements(text: str) -> list[Any] | None:
    """The whole objects of the first list that is cut off; None if there is no such list."""
    start = text.find("[")
    if start < 0 or "{" not in text:
        return None
    decoder, at = json.JSONDecoder(strict=False), start + 1
    found: list[Any] = []
    while True:
        at = text.find("{", at)
        if at < 0:
            return found
        try:
            value, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            return found
        found.append(value)
