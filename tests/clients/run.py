"""Runs the suites of other people's clients: `python -m tests.clients.run [NAME …]`.

Each suite is a folder here, and runs in an environment of its own: Echoic, the pinned packages of that
client, and the rest as locks/dev.txt has it. Prints a table; ends with 1 if a suite failed.
"""

import argparse
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tools.ready import find_uv
from tools.settings_docs import ROOT

FOLDER = ROOT / ".tools" / "clients"
TESTED_WITH = ("pytest", "pytest-asyncio", "pytest-timeout")
SUMMARY = re.compile(r"^(?:=+ )?(\d+ (?:passed|failed).*?) in ", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Suite:
    """The tests of one client."""

    name: str
    """Of the folder beside this file."""
    packages: tuple[str, ...]
    """Pinned."""
    extras: str = "api,local,worker"
    """Of Echoic's: those that its conftest needs."""


SUITES = (
    Suite("mcp", ("mcp==2.3.0",), extras="api,local,mcp,worker"),
    Suite("mem0", ("mem0ai==2.2.1",)),
    Suite("pipecat", ("pipecat-ai==1.14.0",)),
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one suite came to."""

    suite: Suite
    summary: str
    passed: bool


def main() -> int:
    names = [suite.name for suite in SUITES]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(names)}; all by default")
    wanted = parser.parse_args().names or names
    if unknown := set(wanted) - set(names):
        parser.error(f"no such suite: {', '.join(sorted(unknown))}")
    outcomes = [_tried(suite) for suite in SUITES if suite.name in wanted]
    print(table(outcomes), end="")
    return 0 if all(outcome.passed for outcome in outcomes) else 1


def table(outcomes: list[Outcome]) -> str:
    """Markdown, one row a suite."""
    rows = [f"| {' '.join(one.suite.packages)} | {one.summary} |" for one in outcomes]
    return "\n".join(["| client | tests |", "|---|---|", *rows]) + "\n"


def _tried(suite: Suite) -> Outcome:
    started, python = time.monotonic(), _environment(suite)
    folder = f"tests/clients/{suite.name}"
    tests = ["-m", "pytest", "-q", folder, "-p", "no:cacheprovider", "--confcutdir", "tests"]
    where = ["-c", "tests/clients/pytest.ini", "--rootdir", str(ROOT)]
    done = subprocess.run([python, *tests, *where], cwd=ROOT, capture_output=True, text=True, timeout=1_800)
    found = SUMMARY.search(done.stdout)
    outcome = Outcome(suite, found[1] if found else "did not run", done.returncode == 0)
    seconds = time.monotonic() - started
    print(f"{suite.name}: {outcome.summary}, {seconds:.0f} s", file=sys.stderr, flush=True)
    if not outcome.passed:
        print(done.stdout[-6_000:], done.stderr[-2_000:], file=sys.stderr)
    return outcome


def _environment(suite: Suite) -> Path:
    """An environment for this suite; made once, and brought up to date with what it needs."""
    pins = ["--constraint", str(ROOT / "locks" / "dev.txt")]
    ours = [*TESTED_WITH, "--editable", f"{ROOT}[{suite.extras}]"]
    return environment_with(suite.name, *suite.packages, *ours, *pins)


def environment_with(name: str, *packages: str) -> Path:
    """The Python of the environment of this name, with these packages and what they need."""
    uv, folder = find_uv(), FOLDER / name
    if not folder.exists():
        subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(folder)], check=True)
    python = folder / "bin" / "python"
    subprocess.run([uv, "pip", "install", "--quiet", "--python", str(python), *packages], check=True)
    return python


if __name__ == "__main__":
    sys.exit(main())
