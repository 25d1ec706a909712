"""One request, and its answer as what the caller is promised: the same for both clients."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import cache
from types import NoneType, UnionType
from typing import Any, Final, Union, get_args, get_origin, get_type_hints
from urllib.parse import quote
from uuid import UUID

import httpx

from echoic.client.errors import AnswerUnreadable, Refused


class Unset:
    """Stands for a field that is left out, where None says something of its own."""

    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final = Unset()


@dataclass(frozen=True, slots=True)
class Ask:
    """One request."""

    method: str
    path: str
    """With `{}` for each of `ids`."""
    ids: tuple[object, ...] = ()
    query: Mapping[str, object] = field(default_factory=dict)
    headers: Mapping[str, object] = field(default_factory=dict)
    body: Mapping[str, object] | None = None
    also: frozenset[int] = frozenset()
    """Statuses beside 2xx that are answers of the same sort."""

    def sent(self) -> dict[str, Any]:
        """As httpx wants it; what is None or UNSET in the query and headers is left out."""
        made: dict[str, Any] = {
            "method": self.method,
            "url": self.path.format(*map(_segment, self.ids)),
            "params": {name: _plain(value) for name, value in self.query.items() if _given(value)},
            "headers": {name: str(value) for name, value in self.headers.items() if _given(value)},
        }
        if self.body is not None:
            there = {name: _plain(value) for name, value in self.body.items() if value is not UNSET}
            made["content"] = json.dumps(there)
            made["headers"]["Content-Type"] = "application/json"
        return made


def page_of(ask: Ask, cursor: str | None) -> Ask:
    """The same list from this cursor on."""
    return replace(ask, query={**ask.query, "cursor": cursor})


def tag(version: str | None) -> str | None:
    """A version as an ETag."""
    return None if version is None else f'"{version}"'


def read(ask: Ask, answer: httpx.Response, hint: Any) -> Any:
    """The answer as `hint` says.

    Raises:
        Refused: it is a refusal.
        AnswerUnreadable: it is none of this API's.
    """
    if not answer.is_success and answer.status_code not in ask.also:
        raise refusal(answer)
    if hint is None or answer.status_code == httpx.codes.NOT_MODIFIED:
        return None
    if hint is str:
        return answer.text
    try:
        value = answer.json()
        if not isinstance(value, dict):
            raise TypeError("no object")
        return decoded(hint, value)
    except (ValueError, TypeError, KeyError, AttributeError) as exc:
        raise AnswerUnreadable from exc


def refusal(answer: httpx.Response) -> Refused:
    """What was refused, and why; also when something before the API did it."""
    wait_s = _wait_s(answer.headers.get("retry-after"))
    try:
        problem = dict(answer.json())
    except (ValueError, TypeError):
        return Refused(answer.status_code, "about:blank", answer.reason_phrase, retry_after_s=wait_s)
    known = {name: problem.pop(name, None) for name in ("type", "status", "title", "detail")}
    sentence = str(known["detail"] or known["title"] or answer.reason_phrase)
    kind = str(known["type"] or "about:blank")
    return Refused(answer.status_code, kind, sentence, retry_after_s=wait_s, more=problem)


def decoded(hint: Any, value: Any) -> Any:
    """JSON as a type says. Fields and choices that this client does not know yet are no mistake."""
    if value is None:
        return None
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        kinds = [part for part in parts if part is not NoneType]
        return decoded(kinds[0], value) if len(kinds) == 1 else value
    if origin is list:
        return [decoded(parts[0], one) for one in value]
    if origin is dict:
        return {name: decoded(parts[1], one) for name, one in value.items()}
    if hint is UUID:
        return UUID(value)
    if hint is datetime:
        return datetime.fromisoformat(value)
    if isinstance(hint, type) and is_dataclass(hint):
        known = _hints(hint)
        return hint(**{name: decoded(known[name], value[name]) for name in known if name in value})
    return value


@cache
def _hints(kind: type) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {one.name: hints[one.name] for one in fields(kind)}


def _given(value: object) -> bool:
    return value is not None and value is not UNSET


def _plain(value: Any) -> Any:
    if isinstance(value, bool | int | float | str | NoneType):
        return value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(one) for one in value]
    return str(value)


def _segment(value: object) -> str:
    """One segment of a path, whatever it holds; a lone dot would mean this folder."""
    text = quote(str(value), safe="")
    return text.replace(".", "%2E") if text in (".", "..") else text


def _wait_s(header: str | None) -> float | None:
    if header is None:
        return None
    if header.isdecimal():
        return float(header)
    try:
        when = parsedate_to_datetime(header)
        return max(0.0, (when - datetime.now(when.tzinfo)).total_seconds())
    except ValueError:
        return None
