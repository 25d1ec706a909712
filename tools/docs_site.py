"""Builds the site of docs/ into build/site: strict, links and anchors checked, no network.

`python -m tools.docs_site [FOLDER]`, the last step of `make docs`. Beside each page lies its Markdown, which
llms.txt links to.
"""

import logging
import os
import re
import shutil
import sys
from pathlib import Path

from tools.settings_docs import ROOT

CONFIG, DOCS, SITE = ROOT / "mkdocs.yml", ROOT / "docs", ROOT / "build" / "site"
REMOTE = re.compile(
    r"""<(?:script|img|iframe)[^>]*\ssrc=["']?https?:|<link[^>]*\shref=["']?https?:|@import|url\(https?:"""
)
"""What a browser would fetch from elsewhere; a link that a reader may follow is none."""


def build(folder: Path) -> None:
    """Build the site into `folder`.

    Raises:
        SystemExit: mkdocs warns of something (a broken link, a page that is not in the navigation), or a page
            would load something from the network.
    """
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    os.environ.setdefault("NO_MKDOCS_2_WARNING", "1")  # an announcement, on every build
    from mkdocs.commands.build import build as mkdocs_build
    from mkdocs.config import load_config

    config = load_config(str(CONFIG), strict=True, site_dir=str(folder))
    config.plugins.on_startup(command="build", dirty=False)
    mkdocs_build(config)
    for page in DOCS.glob("*.md"):
        shutil.copy(page, folder)
    if remote := _remote(folder):
        sys.exit(f"These would load something from the network: {', '.join(remote)}")


def _remote(folder: Path) -> list[str]:
    pages = [path for pattern in ("*.html", "*.css") for path in folder.rglob(pattern)]
    return sorted(str(path.relative_to(folder)) for path in pages if REMOTE.search(path.read_text()))


def main() -> None:
    folder = Path(sys.argv[1]).absolute() if len(sys.argv) > 1 else SITE
    build(folder)
    shown = folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder
    print(f"The site is in {shown}: open index.html, or `python -m http.server -d {shown}` to search it too.")


if __name__ == "__main__":
    main()
