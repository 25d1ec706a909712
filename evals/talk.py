"""Whether small talk, follow-ups and wishes about memory are told from what stands alone.
`python -m evals.talk [--half open]`.

Twenty texts in each of fifteen languages (evals/data/talk.jsonl), half of them neither, and hard: answers
that begin like small talk, short questions that name their thing. They were written before the word lists.
Wishes (evals/data/wishes.jsonl) are 22 in each of eleven languages, as people say them in passing: with
reasons, fillers and corrections around, half of them none. A text is `open` or `sealed` by a hash of its id,
a wish by one of its words, as in tests/unit/wishes; what is reported is sealed.
"""

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from echoic.agent.commands.memory_commands import parse_memory_command, speaks_of_forgetting
from echoic.memory.text.words import is_follow_up, is_small_talk
from evals.learning.cases import Half, half_of

DATA, WISHES = (Path(__file__).parent / "data" / name for name in ("talk.jsonl", "wishes.jsonl"))
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
    wish = report["wish"]
    print(
        f"wish        {wish['found']} of {wish['texts']} done without a model, {wish['wrong']} of "
        f"{wish['others']} wrongly; at {wish['noted']} more the model is told that nothing was done"
    )
    for miss in report["misses"]:
        print(f"{miss['id']}  {miss['kind']}, taken for {miss['taken_for']}: {miss['text']}")
    if json_file:
        json_file.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def measure(half: str) -> dict[str, Any]:
    """The figures of a half, and each text that is taken for something else."""
    cases = [case | {"taken_for": kind_of(case["text"])} for case in read(DATA)]
    cases = [case for case in cases if half in ("all", half_of(case["id"]))]
    report: dict[str, Any] = {"half": half, "wish": wishes(half)}
    for kind in KINDS:
        taken = [case["kind"] == kind for case in cases if case["taken_for"] == kind]
        texts = sum(case["kind"] == kind for case in cases)
        report[kind] = {"texts": texts, "found": sum(taken)}
        report[kind] |= {"others": len(cases) - texts, "wrong": len(taken) - sum(taken)}
    return report | {"misses": [case for case in cases if case["kind"] != case["taken_for"]]}


def read(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def half_of_wish(text: str) -> Half:
    """`open`: what was read to see which are missed."""
    return "sealed" if hashlib.sha256(text.encode()).digest()[0] % 2 else "open"


def wishes(half: str) -> dict[str, Any]:
    """How many are carried out at once, of how many others the model is told that nothing was done, and how
    many sentences that wish nothing do something at once."""
    cases = [case for case in read(WISHES) if half in ("all", half_of_wish(case["text"]))]
    told = [(case, parse_memory_command(case["text"])) for case in cases]
    at_once = [
        (case["wish"], found.wish if found and not found.perhaps else "nothing", case["text"])
        for case, found in told
    ]
    asked = [one for one in at_once if one[0] != "nothing"]
    return {
        "texts": len(asked),
        "found": sum(wish == found for wish, found, _ in asked),
        "noted": sum(found == "nothing" and speaks_of_forgetting(text) for _, found, text in asked),
        "others": len(at_once) - len(asked),
        "wrong": sum(wish == "nothing" != found for wish, found, _ in at_once),
    }


def kind_of(text: str) -> str:
    """What a text is taken for."""
    if is_small_talk(text):
        return "small_talk"
    return "follow_up" if is_follow_up(text) else "neither"


if __name__ == "__main__":
    typer.run(main)
