"""Whether small talk and follow-ups are told from what stands alone. `python -m evals.talk [--half open]`.

Twenty texts in each of fifteen languages (evals/data/talk.jsonl), half of them neither, and hard: answers
that begin like small talk, short questions that name their thing. They were written before the word lists.
A text is `open` or `sealed` by a hash of its id; what is reported is sealed.
"""

import json
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from echoic.memory.text.words import is_follow_up, is_small_talk
from evals.learning.cases import Half, half_of

DATA = Path(__file__).parent / "data" / "talk.jsonl"
KINDS = ("small_talk", "follow_up")


def main(
    half: Annotated[str, typer.Option(help="`open`, `sealed` or `all`.")] = "sealed",
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures to this file.")] = None,
) -> None:
    """Print how many texts of each kind are found, and how many others are taken for it."""
    if half not in get_args(Half):
        raise typer.BadParameter("One of open, sealed, all.", param_hint="--half")
    report = measure(half)
    for kind in KINDS:
        row = report[kind]
        print(f"{kind:10}  {row['found']} of {row['texts']} found, {row['wrong']} of {row['others']} wrongly")
    for miss in report["misses"]:
        print(f"{miss['id']}  {miss['kind']}, taken for {miss['taken_for']}: {miss['text']}")
    if json_file:
        json_file.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def measure(half: str) -> dict[str, Any]:
    """The figures of a half, and each text that is taken for something else."""
    cases = [case | {"taken_for": kind_of(case["text"])} for case in read(DATA)]
    cases = [case for case in cases if half in ("all", half_of(case["id"]))]
    report: dict[str, Any] = {"half": half}
    for kind in KINDS:
        taken = [case["kind"] == kind for case in cases if case["taken_for"] == kind]
        texts = sum(case["kind"] == kind for case in cases)
        report[kind] = {"texts": texts, "found": sum(taken)}
        report[kind] |= {"others": len(cases) - texts, "wrong": len(taken) - sum(taken)}
    return report | {"misses": [case for case in cases if case["kind"] != case["taken_for"]]}


def read(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def kind_of(text: str) -> str:
    """What a text is taken for."""
    if is_small_talk(text):
        return "small_talk"
    return "follow_up" if is_follow_up(text) else "neither"


if __name__ == "__main__":
    typer.run(main)
