"""OpenAPI schemas as Python types: a dataclass for each answer, a TypedDict for each part of a body."""

from collections.abc import Iterator
from functools import cached_property
from typing import Any

Schema = dict[str, Any]
REF = "#/components/schemas/"
AREAS = {
    "users": "people",
    "calls": "people",
    "facts": "facts",
    "profile": "profile",
    "episodes": "profile",
    "recall": "facts",
    "gateway": "facts",
    "learning": "facts",
    "events": "facts",
    "settings": "setup",
    "providers": "setup",
    "models": "setup",
    "keys": "setup",
    "system": "system",
    "health": "system",
}
"""Tag of a route -> module in which it stands."""
PLAIN = {"string": "str", "integer": "int", "number": "float", "boolean": "bool"}
FORMATS = {"uuid": "UUID", "date-time": "datetime"}
IMPORTS = """from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypedDict
from uuid import UUID

"""


class Schemas:
    """The document, and where each of its schemas is used."""

    def __init__(self, document: Schema) -> None:
        self.document: Schema = document
        self.all: dict[str, Schema] = document["components"]["schemas"]

    def operations(self, area: str) -> Iterator[tuple[str, str, Schema]]:
        """Method, path and description of each route of an area."""
        for path, methods in self.document["paths"].items():
            for method, one in methods.items():
                if area_of(one) == area:
                    yield method, path, one

    @cached_property
    def answers(self) -> dict[str, str]:
        """Schema of an answer -> the area that gives it first."""
        found: dict[str, str] = {}
        for area in dict.fromkeys(AREAS.values()):
            for _, _, one in self.operations(area):
                name = answer_of(one)
                for part in self._reached([name] if name else []):
                    found.setdefault(part, area)
        return found

    @cached_property
    def parts(self) -> list[str]:
        """Schemas that stand inside bodies."""
        found: list[str] = []
        for area in dict.fromkeys(AREAS.values()):
            for _, _, one in self.operations(area):
                if body := body_of(one):
                    found += [part for part in self._reached([body]) if part != body]
        return list(dict.fromkeys(found))

    def _reached(self, names: list[str]) -> list[str]:
        found: list[str] = []
        for name in names:
            if name not in found:
                found.append(name)
                inner = [ref for one in self.all[name].get("properties", {}).values() for ref in refs(one)]
                found += [one for one in self._reached(inner) if one not in found]
        return found


def area_of(operation: Schema) -> str:
    """The module in which a route stands."""
    return AREAS[operation["tags"][0]]


def answer_of(operation: Schema) -> str | None:
    """The schema of what a route answers; None: it has none."""
    for status, one in operation["responses"].items():
        if status.startswith("2"):
            schema = one.get("content", {}).get("application/json", {}).get("schema", {})
            return str(schema["$ref"]).removeprefix(REF) if "$ref" in schema else None
    return None


def body_of(operation: Schema) -> str | None:
    """The schema of what a route is sent."""
    content = operation.get("requestBody", {}).get("content", {})
    if not content:
        return None
    return str(content["application/json"]["schema"]["$ref"]).removeprefix(REF)


def answers(schemas: Schemas, area: str) -> str:
    """The module with the answers of an area."""
    mine = [name for name, where in schemas.answers.items() if where == area]
    text = [f'"""Answers of the memory API: {area}. Written by `tools/client.py`."""\n\n', IMPORTS]
    others = dict.fromkeys(AREAS.values())
    for other in others:
        names = [name for name, where in schemas.answers.items() if where == other and other != area]
        inside = {ref for name in mine for one in fields(schemas, name).values() for ref in refs(one)}
        if needed := sorted(set(names) & inside):
            text.append(f"from echoic.client.written.{other}_answers import {', '.join(needed)}\n")
    text += [_dataclass(name, schemas.all[name]) for name in sorted(mine)]
    return "".join(text)


def bodies(schemas: Schemas) -> str:
    """The module with what stands inside bodies."""
    text = ['"""Parts of what the memory API is sent. Written by `tools/client.py`."""\n\n', IMPORTS]
    for name in sorted(schemas.parts):
        text.append(f"\n\nclass {name}(TypedDict, total=False):\n    {_docstring(schemas.all[name])}\n")
        text += [f"    {one}: {hint(schema)}\n" for one, schema in fields(schemas, name).items()]
    return "".join(text)


def fields(schemas: Schemas, name: str) -> dict[str, Schema]:
    """The fields of a schema."""
    found: dict[str, Schema] = schemas.all[name].get("properties", {})
    return found


def hint(schema: Schema, *, sent: bool = False) -> str:
    """A schema as a type; one that is sent may be any sort of sequence or mapping."""
    if "$ref" in schema:
        return str(schema["$ref"]).removeprefix(REF)
    if "anyOf" in schema:
        return " | ".join(dict.fromkeys(hint(one, sent=sent) for one in schema["anyOf"]))
    if "enum" in schema:
        return f"Literal[{', '.join(map(repr, schema['enum']))}]"
    if "const" in schema:
        return f"Literal[{schema['const']!r}]"
    match schema.get("type"):
        case "null":
            return "None"
        case "array":
            return f"{'Sequence' if sent else 'list'}[{hint(schema['items'], sent=sent)}]"
        case "object":
            values = schema.get("additionalProperties")
            inner = hint(values, sent=sent) if isinstance(values, dict) else "Any"
            return f"{'Mapping' if sent else 'dict'}[str, {inner}]"
        case "string":
            return FORMATS.get(schema.get("format", ""), "str")
        case None:
            return "Any"
        case kind:
            return PLAIN[kind]


def refs(schema: Any) -> Iterator[str]:
    """Names of the schemas in a schema."""
    if isinstance(schema, dict):
        if isinstance(schema.get("$ref"), str):
            yield schema["$ref"].removeprefix(REF)
        for one in schema.values():
            yield from refs(one)
    elif isinstance(schema, list):
        for one in schema:
            yield from refs(one)


def _dataclass(name: str, schema: Schema) -> str:
    lines = [
        f"\n\n@dataclass(frozen=True, slots=True, kw_only=True)\nclass {name}:\n    {_docstring(schema)}\n\n"
    ]
    needed = set(schema.get("required", ()))
    for field, one in schema.get("properties", {}).items():
        default = "" if field in needed else f" = {_default(one)}"
        kind = hint(one)
        if default == " = None" and "None" not in kind:
            kind += " | None"
        lines.append(f"    {field}: {kind}{default}\n")
        if says := one.get("description"):
            lines.append(f'    """{_sentence(says)}"""\n')
    return "".join(lines)


def _default(schema: Schema) -> str:
    default = schema.get("default")
    return repr(default) if isinstance(default, str | int | float | bool) else "None"


def _docstring(schema: Schema) -> str:
    return f'"""{_sentence(schema.get("description", "A part of an answer."))}"""'


def _sentence(text: str) -> str:
    return "\n    ".join(line.rstrip() for line in text.strip().splitlines())
