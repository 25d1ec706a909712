"""A newcomer with a stopwatch: from an empty environment to the first recalled fact in an agent that exists.

`python -m tools.newcomer` builds the wheel, writes a project laid out as LiveKit's starter, runs the commands
that the README names, and prints how long each took. Only the model is scripted, and the package index is the
one that is set for pip or uv. Nothing is taken from a cache, unless `--warm` allows it.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.inference_gateway import Gateway
from tests.package.project import write_project
from tools.ready import find_uv
from tools.wheel import build_wheel

AIM_S, AIM_COMMANDS = 300, 4
TOLD, QUESTION, FACT = "My dog is called Biscuit.", "What is my dog called?", "Biscuit"
KEPT = ("HOME", "LANG", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR")
"""What a newcomer's shell has; beside it, whatever names an index."""


@dataclass(frozen=True, slots=True)
class Step:
    """One command, as the newcomer types it."""

    typed: str
    seconds: float
    said: str


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--warm", action="store_true", help="let uv use what it has loaded before")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Gateway() as gateway:
        place = Path(folder)
        wheel = build_wheel(place)
        cache = {} if options.warm else {"UV_CACHE_DIR": str(place / "cache")}
        steps = list(
            newcomer(write_project(place / "project"), wheel, _shell(place) | cache | gateway.environment)
        )
    recalled = FACT in steps[-1].said
    print(table(steps), end="")
    return 0 if recalled and sum(step.seconds for step in steps) <= AIM_S else 1


def newcomer(project: Path, wheel: Path, shell: dict[str, str]) -> Iterator[Step]:
    """The commands, in order; each is run as it is told, but that the index has no `echoic` yet."""
    uv = find_uv()
    yield _timed("uv venv", [uv, "venv", "--quiet", "--python", sys.executable, ".venv"], project, shell)
    install = [uv, "pip", "install", "--quiet", f"echoic[local] @ {wheel.as_uri()}"]
    yield _timed("uv pip install 'echoic[local]'", install, project, shell)
    for words in (TOLD, QUESTION):
        command = ["echoic", "run", "--", "python", "src/ask.py", words]
        yield _timed(f'echoic run -- python src/ask.py "{words}"', command, project, shell)


def table(steps: list[Step]) -> str:
    """Markdown: one row a command, and what it comes to beside the aim."""
    rows = [f"| `{step.typed}` | {step.seconds:.1f} |" for step in steps]
    total = (
        f"{len(steps)} commands (aim: {AIM_COMMANDS}), and the model is told: {steps[-1].said or 'nothing'}"
    )
    seconds = sum(step.seconds for step in steps)
    rows.append(f"| {total} | {seconds:.1f} (aim: {AIM_S}) |")
    return "\n".join(["| command | seconds |", "|---|---|", *rows]) + "\n"


def _timed(typed: str, command: list[str], project: Path, shell: dict[str, str]) -> Step:
    began = time.monotonic()
    done = subprocess.run(command, cwd=project, env=shell, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{typed}\n{done.stderr[-2_000:]}")
    return Step(typed, time.monotonic() - began, done.stdout.strip())


def _shell(place: Path) -> dict[str, str]:
    """As after `source .venv/bin/activate`, with a data folder of its own."""
    venv = place / "project" / ".venv"
    kept = {
        name: value for name, value in os.environ.items() if name in KEPT or name.startswith(("UV_", "PIP_"))
    }
    path = os.pathsep.join([str(venv / "bin"), os.environ["PATH"]])
    return {**kept, "PATH": path, "VIRTUAL_ENV": str(venv), "ECHOIC_DATA_DIR": str(place / "data")}


if __name__ == "__main__":
    sys.exit(main())
