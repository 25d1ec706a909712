"""The named queries of `sql/*.sql`, read once."""

import re
from functools import cache
from importlib.resources import files


@cache
def _queries() -> dict[str, str]:
    folder = files("echoic.memory.store") / "sql"
    text = "\n".join(
        file.read_text(encoding="utf-8") for file in folder.iterdir() if file.name.endswith(".sql")
    )
    parts = re.split(r"^-- name: (\w+)$", text, flags=re.MULTILINE)
    names = parts[1::2]
    if len(set(names)) < len(names):
        raise ValueError(f"Two queries have one name: {sorted(one for one in names if names.count(one) > 1)}")
    return {name: body.strip() for name, body in zip(names, parts[2::2], strict=True)}


def query(name: str) -> str:
    """The SQL that stands under `-- name: NAME`."""
    return _queries()[name]
