"""Runs the contract on several livekit-agents: `python -m tests.livekits.run`.

Each environment holds Echoic's base install and that version, nothing else. Prints a table; ends with 1 if a
version failed. `--newest` takes the newest two only, `--write` puts the table into docs/livekit.md.
"""

import argparse
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tools.ready import find_uv
from tools.settings_docs import ROOT, between

VERSIONS = ("1.5.17", "1.6.10", "1.7.1", "1.8.9", "2.0.0b1")
FOLDER = ROOT / ".tools" / "livekits"
PAGE = ROOT / "docs" / "livekit.md"
MARKS = ("<!-- versions: written by `make test-livekits` -->\n", "<!-- versions end -->\n")
TESTED_WITH = ("pytest>=8.4", "pytest-asyncio>=1.2", "pytest-timeout>=2.4")
SUMMARY = re.compile(r"^(?:=+ )?(\d+ (?:passed|failed).*?) in ", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one version came to."""

    version: str
    summary: str
    seconds: float
    passed: bool


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--newest", action="store_true", help="the newest two versions only")
    parser.add_argument("--write", action="store_true", help="put the table into docs/livekit.md")
    options = parser.parse_args()
    outcomes = [_tried(version) for version in (VERSIONS[-2:] if options.newest else VERSIONS)]
    print(table(outcomes), end="")
    if options.write:
        PAGE.write_text(between(PAGE.read_text(), MARKS, table(outcomes)))
    return 0 if all(outcome.passed for outcome in outcomes) else 1


def table(outcomes: list[Outcome]) -> str:
    """Markdown, one row a version."""
    rows = [f"| {one.version} | {one.summary} |" for one in outcomes]
    return "\n".join(["| livekit-agents | contract |", "|---|---|", *rows]) + "\n"


def _tried(version: str) -> Outcome:
    started = time.monotonic()
    python = _environment(version)
    tests = ["-m", "pytest", "-q", "tests/livekits", "-p", "no:cacheprovider"]
    where = ["--confcutdir", "tests/livekits", "-c", "tests/livekits/pytest.ini", "--rootdir", str(ROOT)]
    done = subprocess.run([python, *tests, *where], cwd=ROOT, capture_output=True, text=True, timeout=600)
    found = SUMMARY.search(done.stdout)
    outcome = Outcome(
        version, found[1] if found else "did not run", time.monotonic() - started, done.returncode == 0
    )
    print(
        f"livekit-agents {version}: {outcome.summary}, {outcome.seconds:.0f} s", file=sys.stderr, flush=True
    )
    if not outcome.passed:
        print(done.stdout[-6_000:], done.stderr[-2_000:], file=sys.stderr)
    return outcome


def _environment(version: str) -> Path:
    """An environment with this version; made once, and brought up to date with what Echoic needs."""
    uv, folder = find_uv(), FOLDER / version
    if not folder.exists():
        subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(folder)], check=True)
    python = folder / "bin" / "python"
    needed = [f"livekit-agents=={version}", *TESTED_WITH, "--editable", str(ROOT)]
    subprocess.run([uv, "pip", "install", "--quiet", "--python", str(python), *needed], check=True)
    return python


if __name__ == "__main__":
    sys.exit(main())
