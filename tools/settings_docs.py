"""Writes the settings into docs/settings.md and .env.example, from their fields and the text under each.

`python -m tools.settings_docs` (part of `make docs`); tests/unit/test_settings_docs.py fails when the files
differ from the code.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from echoic.commands.variables import names_of, settings_kinds

ROOT = Path(__file__).resolve().parent.parent
PAGE, ENV_EXAMPLE = ROOT / "docs" / "settings.md", ROOT / ".env.example"
MARKS = ("<!-- settings: written by `make docs` -->\n", "<!-- settings end -->\n")
ENV_MARKS = ("# --- settings: written by `make docs` ---\n", "# --- settings end ---\n")


@dataclass(frozen=True, slots=True)
class Setting:
    """One environment variable: its names (the first wins), its default as one writes it, its meaning."""

    names: tuple[str, ...]
    default: str
    meaning: str


def settings() -> Iterator[Setting]:
    """Every setting, in the order of the code."""
    for owner in settings_kinds():
        for names, field in zip(names_of(owner), owner.model_fields.values(), strict=True):
            yield Setting(
                names,
                _default(field),
                f"{' '.join((field.description or '').split())}{_limits(field)}",
            )


def table() -> str:
    """The table of docs/settings.md."""
    lines = ["| Variable | Default | Meaning |", "|---|---|---|"]
    for setting in settings():
        names = " or ".join(f"`{name}`" for name in setting.names)
        default = f"`{setting.default}`" if setting.default else ""
        lines.append(f"| {names} | {default} | {setting.meaning.replace('|', chr(92) + '|')} |")
    return "\n".join(lines) + "\n"


def example() -> str:
    """The same for .env.example: every variable commented out, at its default."""
    blocks = []
    for setting in settings():
        blocks.append(f"# {setting.meaning}\n# {setting.names[0]}={setting.default}\n")
    return "\n".join(blocks)


def between(text: str, marks: tuple[str, str], block: str) -> str:
    """`text` with what stands between its two marks replaced by `block`.

    Raises:
        ValueError: a mark is missing.
    """
    begin, end = marks
    head, _, rest = text.partition(begin)
    _, found, tail = rest.partition(end)
    if not found:
        raise ValueError(f"the marks {begin.strip()!r} and {end.strip()!r} are missing")
    return f"{head}{begin}{block}{end}{tail}"


def main() -> None:
    PAGE.write_text(between(PAGE.read_text(), MARKS, table()))
    ENV_EXAMPLE.write_text(between(ENV_EXAMPLE.read_text(), ENV_MARKS, example()))


def _default(field: FieldInfo) -> str:
    value = field.default
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if value in (None, ()):
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return "" if "\n" in str(value) else str(value)  # a prompt of several lines is read in the code


def _limits(field: FieldInfo) -> str:
    least = next((limit.ge for limit in field.metadata if hasattr(limit, "ge")), None)
    most = next((limit.le for limit in field.metadata if hasattr(limit, "le")), None)
    if least is None:
        return ""
    return f" From {least} to {most}." if most is not None else f" At least {least}."


if __name__ == "__main__":
    main()
