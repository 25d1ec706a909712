"""OpenAPI operations as methods of the client, each of which says what is asked and what comes back."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tools.client_types import IMPORTS, Schema, Schemas, answer_of, body_of, hint, refs

VERSIONS = {"if-match": "version", "if-none-match": "unless_version"}
"""Headers that hold an ETag -> what the parameter is called."""
RENAMED = {"limit": "page_size"}
STREAMED = "export_one_user"
"""Its answer comes in pieces."""
MOST = 200
"""Items of a page."""
HEAD = """
from echoic.client.connection import {base}
from echoic.client.events import Event
from echoic.client.request import UNSET, Ask, Unset, tag
"""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One argument of a method, and where it goes."""

    name: str
    kind: str
    where: str
    sent_as: str
    default: str = ""

    @property
    def value(self) -> str:
        return f"tag({self.name})" if self.sent_as.lower() in VERSIONS else self.name


def routes(schemas: Schemas, area: str, *, waits: bool) -> str:
    """The module with the routes of an area, for one of the two clients."""
    base = "Routes" if waits else "AsyncRoutes"
    title = f"{'' if waits else 'Async'}{area.title()}"
    says = "" if waits else ", for asyncio"
    text = [f'"""Routes of the memory API: {area}{says}. Written by `tools/client.py`."""\n\n', IMPORTS]
    text.append(HEAD.format(base=base))
    text += _imports(schemas, area)
    text.append(f'\n\nclass {title}({base}):\n    """Each method is one route."""\n')
    text += [_method(schemas, *one, waits=waits) for one in schemas.operations(area)]
    return "".join(text)


def _imports(schemas: Schemas, area: str) -> list[str]:
    found: dict[str, set[str]] = {}
    for _, _, one in schemas.operations(area):
        name = answer_of(one)
        if name:
            found.setdefault(f"{schemas.answers[name]}_answers", set()).add(name)
            for item in refs(schemas.all[name].get("properties", {}).get("items", {})):
                found.setdefault(f"{schemas.answers[item]}_answers", set()).add(item)
        if body := body_of(one):
            inner = set(refs(schemas.all[body].get("properties", {})))
            found.setdefault("bodies", set()).update(inner)
    return [
        f"from echoic.client.written.{where} import {', '.join(sorted(names))}\n"
        for where, names in sorted(found.items())
        if names
    ]


def _method(schemas: Schemas, method: str, path: str, one: Schema, *, waits: bool) -> str:
    given = _parameters(schemas, one)
    kind, call, plain = _answered(schemas, one, waits=waits)
    ids = [p for p in given if p.where == "path"]
    more = [p for p in given if p.where != "path"]
    comma = "," if len(given) > 2 else ""
    head = ["self", *(f"{p.name}: {p.kind}" for p in ids)]
    if more:
        needed = sorted(more, key=lambda p: bool(p.default))
        head += ["*", *(f"{p.name}: {p.kind}{p.default}" for p in needed)]
    awaits = "await " if plain and not waits else ""
    define = f"{'async ' if awaits else ''}def {one['operationId']}"
    text = " ".join(one.get("description", "").split())
    ask = _ask(method, path, given, one)
    return (
        f"\n    {define}({', '.join(head)}{comma}) -> {kind}:\n        {_wrapped(text)}\n"
        f"        ask = {ask}\n        {_returned(call, kind, plain, awaits)}\n"
    )


def _returned(call: str, kind: str, plain: bool, awaits: str) -> str:
    if plain and kind == "None":
        return f"{awaits}{call}"
    if plain:
        return f"found: {kind} = {awaits}{call}\n        return found"
    return f"return {call}"


def _answered(schemas: Schemas, one: Schema, *, waits: bool) -> tuple[str, str, bool]:
    """What the method gives, how, and whether it is one value."""
    many = "Iterator" if waits else "AsyncIterator"
    if one["tags"] == ["events"]:
        return f"{many}[Event]", "self._follow(ask, last_event_id)", False
    if one["operationId"] == STREAMED:
        return f"{many}[bytes]", "self._bytes(ask)", False
    name = answer_of(one)
    if name and _is_page(schemas, name):
        item = hint(schemas.all[name]["properties"]["items"]["items"])
        return f"{many}[{item}]", f"self._pages(ask, {name})", False
    statuses = [status for status in one["responses"] if status[0] == "2"]
    if name is None and "204" in statuses:
        return "None", "self._ask(ask, None)", True
    if name is None:
        kind = _inline(one, statuses[0])
        return kind, f"self._ask(ask, {kind})", True
    held = any(p["name"].lower() == "if-none-match" for p in one.get("parameters", ()))
    return f"{name} | None" if held else name, f"self._ask(ask, {name})", True


def _inline(one: Schema, status: str) -> str:
    content = one["responses"][status].get("content", {})
    whole = content.get("application/json")
    return hint(whole["schema"]) if whole else "str"


def _is_page(schemas: Schemas, name: str) -> bool:
    return {"items", "next"} == schemas.all[name].get("properties", {}).keys()


def _parameters(schemas: Schemas, one: Schema) -> list[Parameter]:
    found = []
    for parameter in one.get("parameters", ()):
        sent_as, schema = parameter["name"], parameter["schema"]
        if sent_as == "cursor":
            continue
        name = VERSIONS.get(sent_as.lower()) or RENAMED.get(sent_as) or re.sub(r"\W", "_", sent_as).lower()
        kind, default = hint(schema, sent=True), _default(schema)
        if sent_as.lower() == "if-match" and one["operationId"] != "forget_fact":
            kind, default = "str | None", ""  # without it the API refuses the edit
        if sent_as == "limit":
            default = f" = {MOST}"
        if default == " = None" and "None" not in kind and not parameter.get("required"):
            kind += " | None"
        given = "" if parameter.get("required") else default
        found.append(Parameter(name, kind, parameter["in"], sent_as, given))
    return [*found, *_of_body(schemas, one)]


def _of_body(schemas: Schemas, one: Schema) -> Iterator[Parameter]:
    body = body_of(one)
    for name, schema in schemas.all[body]["properties"].items() if body else ():
        kind = hint(schema, sent=True)
        if name in schemas.all[body or ""].get("required", ()):
            yield Parameter(name, kind, "body", name)
            continue
        nothing = " | None" if kind.endswith(" | None") else ""
        yield Parameter(name, f"{kind.removesuffix(nothing)} | Unset{nothing}", "body", name, " = UNSET")


def _default(schema: Schema) -> str:
    default = schema.get("default")
    if isinstance(default, bool | int | float) or (isinstance(default, str) and "format" not in schema):
        return f" = {default!r}"
    return " = None"


def _ask(method: str, path: str, given: list[Parameter], one: Schema) -> str:
    parts = [repr(method.upper()), repr(re.sub(r"\{\w+\}", "{}", path))]
    if ids := [p.name for p in given if p.where == "path"]:
        parts.append(f"({', '.join(ids)}{',' if len(ids) == 1 else ''})")
    for where, name in (("query", "query"), ("header", "headers"), ("body", "body")):
        sent = [p for p in given if p.where == where and p.name != "last_event_id"]
        if sent:
            parts.append(f"{name}={{{', '.join(f'{p.sent_as!r}: {p.value}' for p in sent)}}}")
    if also := _also(one):
        parts.append(f"also=frozenset({{{', '.join(map(str, also))}}})")
    return f"Ask({', '.join(parts)})"


def _also(one: Schema) -> list[int]:
    """Statuses whose answer is no problem."""
    name = answer_of(one)
    same = [
        int(status)
        for status, answer in one["responses"].items()
        if status[0] not in "23" and _schema_of(answer).get("$ref", "").endswith(f"/{name}")
    ]
    held = any(p["name"].lower() == "if-none-match" for p in one.get("parameters", ()))
    return [*same, *([304] if held else [])]


def _schema_of(answer: Schema) -> Schema:
    found: Any = answer.get("content", {}).get("application/json", {}).get("schema", {})
    return dict(found)


def _wrapped(text: str) -> str:
    """A docstring within the line: at most two lines, cut at a word."""
    room = 110 - 8 - 6
    if len(text) <= room:
        return f'"""{text}"""'
    lines, line = [], ""
    for word in text.split():
        if len(line) + len(word) + 1 > room:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}".strip()
    joined = "\n        ".join([*lines, line])
    return f'"""{joined}\n        """'
