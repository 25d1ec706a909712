"""Writes docs/llms.txt (https://llmstxt.org): the pages of mkdocs.yml by title and first sentence.

Part of `make docs`; tests/unit/test_docs.py compares. The site serves it at its root, with the Markdown of
each page beside its HTML (`tools/docs_site.py`).
"""

import re
from pathlib import Path
from typing import Any

import yaml

from tools.settings_docs import ROOT

DOCS, CONFIG = ROOT / "docs", ROOT / "mkdocs.yml"
PAGE = DOCS / "llms.txt"
OPTIONAL = "Inside"
"""The section that a reader with little room may skip: llms.txt has a name for that."""
LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
SENTENCE = re.compile(r"[.!?](?=\s|$)")


def index() -> str:
    """The text of docs/llms.txt.

    Raises:
        ValueError: a page has no title, or no sentence after it.
    """
    home, *sections = _nav()
    title, about = title_and_sentence(DOCS / home)
    blocks = [f"# {title}", f"> {about}"]
    for section in sections:
        ((name, pages),) = section.items()
        heading = "Optional" if name == OPTIONAL else name
        blocks.append("\n".join([f"## {heading}", "", *(_line(page) for page in pages)]))
    return "\n\n".join(blocks) + "\n"


def main() -> None:
    PAGE.write_text(index())


def _nav() -> list[Any]:
    nav: list[Any] = yaml.safe_load(CONFIG.read_text())["nav"]
    return nav


def _line(page: str) -> str:
    title, says = title_and_sentence(DOCS / page)
    return f"- [{title}]({page}): {says}"


def title_and_sentence(path: Path) -> tuple[str, str]:
    """A page's title and its first sentence, without links.

    Raises:
        ValueError: there is none.
    """
    found = re.match(
        r"# (?P<title>[^\n]+)\n\n(?P<text>[^\n#|!<-].*?)\n\n", path.read_text() + "\n\n", re.DOTALL
    )
    if not found:
        raise ValueError(f"{path.name} does not begin with a title and a sentence")
    text = LINK.sub(r"\1", " ".join(found["text"].split()))
    end = SENTENCE.search(text)
    return found["title"], text[: end.end()] if end else text


if __name__ == "__main__":
    main()
