"""Whether what a question says about time becomes the right days. `python -m evals.days [--half open]`.

Thirty texts in each of fifteen languages (evals/data/days.jsonl), asked on one Friday: 24 name a time, 6 only
sound so. A text is right when each of its days is looked up, as finely as it was named (days of a span of up
to two weeks, months of up to half a year, else years), and nothing else is. Their authors had not seen the
code. A text is `open` or `sealed` by a hash of its id, as in evals/languages.py; what is reported is sealed.
"""

import json
from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from time import process_time
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer

from echoic.memory.text.dates.days import asked_days, day_terms
from evals.languages import split

DATA = Path(__file__).parent / "data" / "days.jsonl"
NOW, ZONE = datetime(2026, 11, 27, 11, tzinfo=UTC), ZoneInfo("UTC")
DAYS, MONTHS = 14, 185
"""The longest span whose days, and whose months, must be looked up."""


def main(
    half: Annotated[str, typer.Option(help="`open` or `sealed`.")] = "sealed",
    verbose: Annotated[bool, typer.Option("--verbose", help="Print each text that is not right.")] = False,
) -> None:
    """Print how many texts are right, by language."""
    read = [json.loads(line) for line in DATA.read_text(encoding="utf-8").splitlines()]
    cases = [case for case in read if split(case["id"]) == half]
    for case in cases:  # as a process that runs has read every language's words
        asked_days(case["text"], NOW, ZONE)
    began = process_time()
    asked = [asked_days(case["text"], NOW, ZONE) for case in cases]
    took = (process_time() - began) / len(cases)
    count: Counter[tuple[str, bool, str]] = Counter()
    for case, terms in zip(cases, asked, strict=True):
        outcome = judged(case, terms)
        count[case["language"], case["from"] is None, outcome] += 1
        if verbose and outcome != "right":
            print(f"{case['id']}: {case['text']} ({case['from']} to {case['to']}), {outcome}: {terms}")
    for language in sorted({language for language, _, _ in count}):
        print(f"{language}  {_line(count, [language])}")
    print(f"all {_line(count, [language for language, _, _ in count])}, {half}; {took * 1e6:.0f} us a text")


def judged(case: dict[str, Any], terms: list[str]) -> str:
    """`right`, `missed` (a day of the span is not looked up), or `stray` (something else is)."""
    if case["from"] is None:
        return "stray" if terms else "right"
    first, last = date.fromisoformat(case["from"]), date.fromisoformat(case["to"])
    span = [first + timedelta(days=after) for after in range((last - first).days + 1)]
    of_days = [day_terms(datetime.combine(day, time(12), UTC)) for day in span]
    if set(terms) - {term for day in of_days for term in day}:
        return "stray"
    year, month, day = range(3)
    fine = (day,) if len(span) <= DAYS else (month, day) if len(span) <= MONTHS else (year, month, day)
    is_found = all(any(of_day[place] in terms for place in fine) for of_day in of_days)
    return "right" if is_found else "missed"


def _line(count: Counter[tuple[str, bool, str]], languages: list[str]) -> str:
    def of(lookalike: bool, outcome: str) -> int:
        return sum(count[language, lookalike, outcome] for language in set(languages))

    def whole(lookalike: bool) -> int:
        return sum(of(lookalike, outcome) for outcome in ("right", "missed", "stray"))

    return (
        f"{of(False, 'right')} of {whole(False)} that name a time right, {of(False, 'missed')} missed; "
        f"{of(True, 'right')} of {whole(True)} others left alone"
    )


if __name__ == "__main__":
    typer.run(main)
