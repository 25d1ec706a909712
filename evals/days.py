"""Whether what a question says about time becomes the right days. `python -m evals.days [--part open]`.

Ten questions in each of six languages (evals/data/days), asked on one Friday; right is
one whose days, months and years are looked up, and no others. A question is `open` or `sealed` by a hash of
its id, as in evals/languages.py; what is reported is sealed.
"""

import json
from datetime import UTC, datetime
from pathlib import Path
from time import process_time
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from echoic.memory.text.days import asked_days
from evals.languages import split

DATA = Path(__file__).parent / "data" / "days"
NOW, ZONE = datetime(2026, 11, 27, 11, tzinfo=UTC), ZoneInfo("UTC")


def main(
    part: Annotated[str, typer.Option(help="`open` or `sealed`.")] = "sealed",
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Print each question that is not right.")
    ] = False,
) -> None:
    """Print the share of questions whose days are right, by language."""
    right = total = 0
    took = 0.0
    for path in sorted(DATA.glob("*.json")):
        cases = {
            name: case
            for name, case in json.loads(path.read_text(encoding="utf-8")).items()
            if split(name) == part
        }
        good = 0
        for case in cases.values():  # as a process that runs has read every language's words
            asked_days(case["text"], NOW, ZONE)
        for name, case in cases.items():
            began = process_time()
            asked = asked_days(case["text"], NOW, ZONE)
            took += process_time() - began
            good += set(asked) == set(case["days"])
            if verbose and set(asked) != set(case["days"]):
                print(f"{name}: {case['text']} {sorted(case['days'])}, but asked {sorted(asked)}")
        print(f"{path.stem}  {good} of {len(cases)}")
        right, total = right + good, total + len(cases)
    print(f"{right} of {total} right ({right / total:.2f}), {part}, {took / total * 1e6:.0f} us a question")


if __name__ == "__main__":
    typer.run(main)
