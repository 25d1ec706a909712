"""The named queries of `sql/*.sql`, read once."""

import re
from functools import cache
from importlib.resources import files


@cache
def _queries() -> dict[str, str]:
    folder = files("echoic.memory.store") / "sql"
    text = "\n".join(file.read_text() for file in folder.iterdir() if file.name.endswith(".sql"))
    parts = re.split(r"^-- name: (\w+)$", text, flags=re.MULTILINE)
    return {name: body.strip() for name, body in zip(parts[1::2], parts[2::2], strict=True)}


def query(name: str) -> str:
    """The SQL that stands under `-- name: NAME`."""
    return _queries()[name]
