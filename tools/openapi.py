"""The API's description: written to a file, and compared with an older one for what would break a client.

`python -m tools.openapi FILE` writes it; the released one is tests/api/openapi-v1.json.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from echoic.api.app import make_app
from echoic.api.config import ApiSettings

Document = Mapping[str, Any]
METHODS = ("get", "post", "put", "patch", "delete")


def document() -> dict[str, Any]:
    """As `/v1/openapi.json` serves it."""
    return make_app(ApiSettings()).openapi()


def breaking(old: Document, new: Document) -> list[str]:
    """A sentence for each change that a client of the old document may trip over; additions are none."""
    return sorted({*_operations(old, new), *_schemas(old, new)})


def _operations(old: Document, new: Document) -> Iterator[str]:
    for path, methods in old["paths"].items():
        for method in METHODS & methods.keys():
            name, after = f"{method.upper()} {path}", new["paths"].get(path, {}).get(method)
            if after is None:
                yield f"{name} is gone"
                continue
            before = methods[method]
            yield from _parameters(name, before, after)
            if gone := _good(before) - _good(after):
                yield f"{name} no longer answers {', '.join(sorted(gone))}"
            if before.get("requestBody") and not after.get("requestBody"):
                yield f"{name} takes no body any more"


def _parameters(name: str, before: Document, after: Document) -> Iterator[str]:
    known = {one["name"]: one for one in before.get("parameters", ())}
    there = {one["name"]: one for one in after.get("parameters", ())}
    yield from (f"{name} lost the parameter {gone}" for gone in known.keys() - there.keys())
    for one, parameter in there.items():
        if parameter.get("required") and not known.get(one, {}).get("required"):
            yield f"{name} now needs the parameter {one}"
        if one in known:
            yield from _narrowed(f"{name}, {one}", known[one]["schema"], parameter["schema"])


def _schemas(old: Document, new: Document) -> Iterator[str]:
    there, asked = new["components"]["schemas"], _asked(new)
    for name, before in old["components"]["schemas"].items():
        after = there.get(name)
        if after is None:
            yield f"{name} is gone"
            continue
        fields = after.get("properties", {})
        for field, schema in before.get("properties", {}).items():
            if field not in fields:
                yield f"{name} lost {field}"
            else:
                yield from _narrowed(f"{name}.{field}", schema, fields[field])
        needed, was_needed = set(after.get("required", ())), set(before.get("required", ()))
        if name in asked:
            yield from (f"{name} now needs {field}" for field in needed - was_needed)
        else:
            yield from (f"{name} may lack {field} now" for field in was_needed - needed)


def _narrowed(where: str, before: Document, after: Document) -> Iterator[str]:
    """Another type, or fewer choices."""
    if _kinds(before) - _kinds(after):
        yield f"{where} is of another type"
    if lost := set(before.get("enum", ())) - set(after.get("enum", before.get("enum", ()))):
        yield f"{where} lost {', '.join(sorted(map(str, lost)))}"


def _kinds(schema: Document) -> set[str]:
    parts = schema.get("anyOf", [schema])
    return {str(part.get("$ref") or part.get("type") or "any") for part in parts}


def _good(operation: Document) -> set[str]:
    return {status for status in operation["responses"] if status.startswith("2")}


def _asked(new: Document) -> set[str]:
    """Schemas of bodies that clients send."""
    bodies = json.dumps(
        [
            one.get("requestBody")
            for methods in new["paths"].values()
            for one in methods.values()
            if isinstance(one, dict)
        ]
    )
    found = {name for name in new["components"]["schemas"] if f'/{name}"' in bodies}
    inner = json.dumps([new["components"]["schemas"][name] for name in found])
    return found | {name for name in new["components"]["schemas"] if f'/{name}"' in inner}


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(document(), indent=1, sort_keys=True) + "\n")
