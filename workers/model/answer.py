"""The JSON in what a model or its gateway really sends: after thinking, in fences, between prose, cut off.

What is no JSON but meant to be (a comma too many, Python's quotes, quotes within quotes) is repaired by the
package json_repair.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

import json_repair

from echoic.memory.errors import ModelAnswerInvalid

_FINAL_CHANNEL = re.compile(r"<\|channel\|>\s*final\b.*?<\|message\|>", re.DOTALL)
_END_OF_THINKING = re.compile(r"</(?:think|thinking|thought|reasoning)>|◁/think▷|\[/THINK\]", re.IGNORECASE)
_THINKING = re.compile(r"<(?:think|thinking|thought|reasoning)>|◁think▷|\[THINK\]", re.IGNORECASE)
_MARKS = re.compile(r"<\|[a-z_]+\|>")
_STARTS = re.compile(r"[{\[]")
_BETWEEN = re.compile(r"[\s,;]*\Z")
"""Between two values that belong together: a line each, say."""
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_HALF_A_VALUE = re.compile("-|t(?:ru?)?|f(?:al?|als)?|n(?:ul?)?")
_CLOSED = re.compile(r"[\]}]\s*[\]}][\s`]*\Z")
_NO_ESCAPE = re.compile(r'\\(?=[^"\\/bfnrtu])')
_WIDE = str.maketrans("｛｝［］：，", "{}[]:,")
_WIDE_MARK = re.compile(r'(?<=["”\d\]}］｝])\s*[：，]|[｛｝［］]')
MOST_REPAIRED, MOST_LOST = 20_000, 20
"""Characters, and brackets that are never closed: what is all brackets took seconds."""
MOST_DIGITS = 40
"""Of a number that is read as one."""
MOST_STARTS = 200
"""Brackets of prose at which an answer is looked for."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """A JSON value; `complete` is False when the text ends before it. Of a `repaired` one nobody knows."""

    value: Any
    complete: bool = True
    repaired: bool = False


def parse(text: str) -> Parsed:
    """The JSON object or list in a model's text.

    Of one that is cut off, the elements that are whole.

    Raises:
        ModelAnswerInvalid: there is none.
    """
    text = _packed(_spoken(text))
    if not _STARTS.search(text):
        text = text.translate(_WIDE)
    found = _largest(text)
    if found.cut_from is not None and "{" in text and not _is_closed(text[found.cut_from :]):
        elements = _whole_elements(text, found.cut_from if found.broken_from is None else found.broken_from)
        if elements is not None:
            return Parsed(elements, complete=False)
    if found.broken_from is not None and (repaired := _repaired(text[found.broken_from :])):
        return Parsed(repaired, repaired=True)
    if found.value is not None:
        return Parsed(found.value)
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


def _packed(text: str) -> str:
    """The text in a JSON string, if all of it is one."""
    try:
        value = json.loads(text) if text.lstrip()[:1] == '"' else text
    except ValueError:
        return text
    return value if isinstance(value, str) else text


def _integer(digits: str) -> float:
    """Python reads no number of more than 4,300 digits, and nobody means one."""
    return int(digits) if len(digits) <= MOST_DIGITS else float(digits)


_JSON = json.JSONDecoder(strict=False, parse_int=_integer)


@dataclass(slots=True)
class _Found:
    value: Any = None
    """Of the longest JSON; several that follow one another are a list of them."""
    broken_from: int | None = None
    """Where something begins that is no JSON, but seems meant to be, and encloses the rest."""
    cut_from: int | None = None
    """Where something begins that the text ends in the middle of."""


def _largest(text: str) -> _Found:
    found, group, group_start, longest, read_until = _Found(), list[Any](), 0, 0, 0
    for number, match in enumerate(_STARTS.finditer(text)):
        start = match.start()
        if number >= MOST_STARTS or found.cut_from is not None:
            break
        if start < read_until:
            continue
        try:
            value, end = _JSON.raw_decode(text, start)
        except json.JSONDecodeError as exc:
            rest = text[exc.pos :].strip()
            if (
                exc.msg.startswith(("Unterminated", "Invalid \\u"))
                or not rest
                or _HALF_A_VALUE.fullmatch(rest)
            ):
                found.cut_from = start
            if found.broken_from is None and (exc.pos > start + 1 or text[start] == "{"):
                found.broken_from = start
            continue
        except RecursionError as exc:
            raise ModelAnswerInvalid("The language model answered JSON without end.") from exc
        if not (group and _BETWEEN.match(text[read_until:start])):
            group, group_start = [], start
        group.append(value)
        read_until = end
        if end - group_start > longest:
            found.value = group[0] if len(group) == 1 else _joined(group)
            longest = end - group_start
            if _may_answer(found.value) and _open_brackets(text[end:]) >= 0:  # it stands in nothing
                found.broken_from = None
    return found


def _joined(values: list[Any]) -> list[Any]:
    """Lists one after the other; an object is an element."""
    return [one for value in values for one in (value if isinstance(value, list) else [value])]


def _repaired(text: str) -> Any:
    """What was meant, if it is an object or a list of them; None if it is not."""
    if len(text) > MOST_REPAIRED or _open_brackets(text) > MOST_LOST:
        return None
    text = _WIDE_MARK.sub(lambda mark: mark[0].translate(_WIDE), _NO_ESCAPE.sub("", text))
    try:
        value = json_repair.loads(text)
    except (RecursionError, ValueError):  # nested without end
        return None
    return value if _holds_an_object(value) else None


def _holds_an_object(value: Any) -> bool:
    return any(isinstance(one, dict) and one for one in (value if isinstance(value, list) else [value]))


def _may_answer(value: Any) -> bool:
    """An object, or a list of nothing but objects and texts."""
    return isinstance(value, dict) or all(isinstance(one, dict | str) for one in value)


def _open_brackets(text: str) -> int:
    """How many brackets are opened, less those that are closed; not counting those in strings."""
    bare = _STRING.sub("", text)
    return sum(bare.count(one) for one in "{[") - sum(bare.count(one) for one in "}]")


def _is_closed(text: str) -> bool:
    """Whether a text that is no JSON ends as one: with its last brackets, of which one may be lost."""
    return _CLOSED.search(text) is not None and _open_brackets(text) <= 1


def _whole_elements(text: str, start: int) -> list[Any] | None:
    """The whole objects of the first list that is cut off; None if there is no such list."""
    start = text.find("[", start)
    if start < 0:
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
