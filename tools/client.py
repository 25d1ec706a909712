"""Writes `echoic/client/written` from the OpenAPI document: a type for each answer, a method for each route.

`python -m tools.client` writes it; tests/api/test_client.py fails when it is not what the document says.
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tools.client_routes import routes
from tools.client_types import AREAS, Schemas, answers, bodies
from tools.openapi import document

FOLDER = Path(__file__).resolve().parent.parent / "echoic" / "client" / "written"
DOOR = '''"""Types and routes of the memory API, written from its OpenAPI document by `tools/client.py`.

Imported by `echoic.client`.
"""
'''


def files(found: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Name and text of each module, as ruff formats it."""
    yield "__init__.py", DOOR
    schemas = Schemas(found)
    yield "bodies.py", formatted(bodies(schemas))
    for area in dict.fromkeys(AREAS.values()):
        yield f"{area}_answers.py", formatted(answers(schemas, area))
    for area in dict.fromkeys(AREAS.values()):
        for waits in (True, False):
            yield f"{area}{'' if waits else '_async'}.py", formatted(routes(schemas, area, waits=waits))


def formatted(text: str) -> str:
    """Sorted imports, no unused ones, and lines as everywhere."""
    for command in (["check", "--fix-only", "--select", "F401,I,UP"], ["format"]):
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "ruff",
                *command,
                "--quiet",
                "--stdin-filename",
                "echoic/client/one.py",
                "-",
            ],
            input=text,
            capture_output=True,
            text=True,
            check=True,
            cwd=FOLDER.parents[2],
        )
        text = done.stdout
    return text


def main() -> None:
    for name, text in files(document()):
        (FOLDER / name).write_text(text)


if __name__ == "__main__":
    main()
