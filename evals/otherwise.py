"""Is a name in other words than the caller's told from one that was made up? `python -m evals.otherwise`.

`data/otherwise.jsonl` holds what callers say and a name that a model wrote down for it, half of them made up.
Shares that are taken for said, at the cosine that is in use, beside the words' letters alone.
"""

import asyncio
import json
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from echoic.memory.embedding.embedder import LocalEmbedder
from echoic.memory.text.canonical import same, tokens
from echoic.memory.text.language import languages
from echoic.workers.evidence.otherwise import LEAST_ALIKE, nearest, words_of
from evals.learning.cases import Half, half_of

DATA = Path(__file__).parent / "data" / "otherwise.jsonl"


def main(half: Annotated[str, typer.Option(help="`open`, `sealed` or `all`.")] = "all") -> None:
    """Print the shares of both kinds, and what was taken wrongly."""
    if half not in get_args(Half):
        raise typer.BadParameter("One of open, sealed, all.", param_hint="--half")
    cases = [json.loads(line) for line in DATA.read_text(encoding="utf-8").splitlines()]
    cases = [case for case in cases if half in ("all", half_of(case["id"]))]
    taken = asyncio.run(_taken(cases))
    print(f"{'':8} {'n':>4} {'by letters':>11} {'by meaning too':>15}")
    for kind in ("meant", "made"):
        of_kind = [case["meant"] == (kind == "meant") for case in cases]
        number = sum(of_kind)
        by_letters = sum(_by_letters(case) for case, here in zip(cases, of_kind, strict=True) if here)
        by_meaning = sum(near for near, here in zip(taken, of_kind, strict=True) if here)
        print(f"{kind:8} {number:4} {by_letters / number:11.2f} {by_meaning / number:15.2f}")


async def _taken(cases: list[dict[str, Any]]) -> list[bool]:
    embedder = LocalEmbedder()
    try:
        found = []
        for case in cases:
            near = await nearest([case["name"]], words_of([case["said"]]), embedder)
            found.append(_by_letters(case) or bool(near[0] >= LEAST_ALIKE))
        return found
    finally:
        await embedder.close()


def _by_letters(case: dict[str, Any]) -> bool:
    language = languages()[case["id"][:2]]
    said = tokens(case["said"], language)
    return all(any(same(word, one, language) for one in said) for word in tokens(case["name"], language))


if __name__ == "__main__":
    typer.run(main)
