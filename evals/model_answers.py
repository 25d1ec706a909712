"""Whether what models really send is read. `python -m evals.model_answers [--half open]`.

150 answers as models and gateways give them where no schema holds them (evals/data/model_answers.jsonl): with
their thinking, in fences, between prose, cut off, in Python's quotes, with keys of their own. Their author
had not seen the code. An answer is right when its operations come out as they should (kind, known fact, text,
turns, quote), when an empty one teaches nothing, and when what holds no operations is a failure, which is
asked again. An answer is `open` or `sealed` by a hash of its id; what is reported is sealed.
"""

import json
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from echoic.memory.errors import ModelAnswerInvalid
from echoic.workers.evidence.operations import Operation
from echoic.workers.evidence.reading import read_answer
from echoic.workers.model.answer import parse
from evals.languages import split

DATA = Path(__file__).parent / "data" / "model_answers.jsonl"


def main(
    half: Annotated[str, typer.Option(help="`open` or `sealed`.")] = "sealed",
    verbose: Annotated[bool, typer.Option("--verbose", help="Print each answer that is not right.")] = False,
) -> None:
    """Print how many answers are read rightly, by what they hold."""
    count: Counter[tuple[str, str]] = Counter()
    for case in map(json.loads, DATA.read_text(encoding="utf-8").splitlines()):
        if split(case["id"]) == half:
            outcome, read = outcome_of(case)
            verdict = judged(case, outcome, read)
            count[case["outcome"], verdict] += 1
            if verbose and verdict != "right":
                print(f"{case['id']} ({case['kind']}), {verdict}: {outcome} {[_plain(one) for one in read]}")
    for wanted, words in (
        ("ok", "with operations"),
        ("nothing", "that teach nothing"),
        ("failure", "without an answer"),
    ):
        whole = sum(number for (one, _), number in count.items() if one == wanted)
        told = ", ".join(f"{count[wanted, one]} {one}" for one in ("right", "partly", "failed", "wrong"))
        print(f"{whole} answers {words}: {told}")


def outcome_of(case: dict[str, Any]) -> tuple[str, tuple[Operation, ...]]:
    """`ok`, `nothing` or `failure`, and the operations."""
    try:
        parsed = parse(case["content"])
        read = read_answer(parsed.value, case["turns"], case["known"]).operations
    except ModelAnswerInvalid:
        return "failure", ()
    return "ok" if read else "nothing" if parsed.complete else "failure", read


def judged(case: dict[str, Any], outcome: str, read: tuple[Operation, ...]) -> str:
    """`partly`: some operations are right; `failed`: it is asked again in vain; `wrong`: all else."""
    wanted = [
        (one["op"], one["known"], _spaced(one["fact"]), one["turns"], _spaced(one["quote"]))
        for one in case["expect"]
    ]
    told = [_plain(one) for one in read]
    if outcome == case["outcome"] and told == wanted:
        return "right"
    if any(one[:3] in [other[:3] for other in wanted] for one in told):
        return "partly"
    return "failed" if outcome == "failure" else "wrong"


def _spaced(text: str) -> str:
    return " ".join(text.split())


def _plain(one: Operation) -> tuple[str, int | None, str, list[int], str]:
    known = None if one.known is None else one.known + 1
    return one.kind, known, one.text, [turn + 1 for turn in one.turns], one.quote


if __name__ == "__main__":
    typer.run(main)
