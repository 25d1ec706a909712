"""Whether a yes to "Shall I forget this?", and to "May I remember this?", is told from a no and from what is
neither, as callers say it. `python -m evals.answers [--half open] [--train]`.

`data/answers.jsonl` and `data/consent.jsonl` hold twenty answers to each in fifteen languages, `open` or
`sealed` by a hash of their id. What is no plain answer and by its meaning most likely a yes
(`agent/commands/likely.py`) is asked about again; `--train` makes the weights for that anew, from the open
halves and the files of the same names that end in `-learned`.
"""

import json
from pathlib import Path
from typing import Annotated, get_args

import numpy as np
import typer

from echoic.agent.commands.likely import ANSWERS, likelihoods, likely_answer, weights_of
from echoic.agent.commands.memory_commands import Asked, parse_memory_command
from echoic.memory.embedding import e5
from evals.learning.cases import Half, half_of
from evals.wishes import WEIGHTS, fitted, vectors_of

DATA = Path(__file__).parent / "data"
FILES: dict[Asked, str] = {"may_forget": "answers", "may_remember": "consent"}


def main(
    half: Annotated[str, typer.Option(help="`open`, `sealed` or `all`.")] = "sealed",
    train: Annotated[bool, typer.Option("--train", help="Make the weights anew, and write them.")] = False,
) -> None:
    """Print how many answers of each kind are a plain yes, and how many are asked about again."""
    if half not in get_args(Half):
        raise typer.BadParameter("One of open, sealed, all.", param_hint="--half")
    model = e5.load_e5(e5.e5_file())
    for asked in FILES:
        if train:
            texts = [*_read(f"{FILES[asked]}-learned"), *of_half("open", asked)]
            vectors = vectors_of(model, [text for _, text in texts])
            weights = fitted(vectors, [kind for kind, _ in texts], ANSWERS)
            np.save(WEIGHTS.with_name(f"{asked}.npy"), weights.astype(np.float16))
        print(asked)
        for kind, (count, plain, again) in measure(half, asked, model).items():
            print(f"  {kind:7} {count:3}, of which {plain:2} are a plain yes, and {again:2} are asked again")


def measure(half: str, asked: Asked, model: e5.E5) -> dict[str, tuple[int, int, int]]:
    """By kind: how many there are, how many of them are a plain yes, and how many most likely are one."""
    cases = of_half(half, asked)
    likely = likelihoods(vectors_of(model, [text for _, text in cases]), weights_of(asked))
    found = dict.fromkeys(reversed(ANSWERS), (0, 0, 0))
    for (kind, text), each in zip(cases, likely, strict=True):
        answer = parse_memory_command(text, asked=asked)
        plain = answer is not None and answer.wish in ("confirm_forgetting", "remember_again")
        meant = answer is None and likely_answer(each) == "yes"
        count, before, again = found[kind]
        found[kind] = count + 1, before + plain, again + meant
    return found


def of_half(half: str, asked: Asked) -> list[tuple[str, str]]:
    """Kind and text."""
    return _read(FILES[asked], half)


def _read(name: str, half: str = "all") -> list[tuple[str, str]]:
    lines = (DATA / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    cases = [json.loads(line) for line in lines]
    return [(case["kind"], case["text"]) for case in cases if half == "all" or half_of(case["id"]) == half]


if __name__ == "__main__":
    typer.run(main)
