"""Is a name in other words than the caller's told from one that was made up? `python -m evals.otherwise`.

`data/otherwise.jsonl` holds what callers say and a name that a model wrote down for it, half of them made up.
How many are taken for said, at the cosine that is in use, beside the words' letters alone.
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
from evals.machine import commit, hardware

DATA = Path(__file__).parent / "data" / "otherwise.jsonl"


def main(
    half: Annotated[str, typer.Option(help="`open`, `sealed` or `all`.")] = "all",
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures to this file.")] = None,
) -> None:
    """Print which share of both kinds is taken for said."""
    if half not in get_args(Half):
        raise typer.BadParameter("One of open, sealed, all.", param_hint="--half")
    cases = [json.loads(line) for line in DATA.read_text(encoding="utf-8").splitlines()]
    cases = [case for case in cases if half in ("all", half_of(case["id"]))]
    near = asyncio.run(_near(cases))
    found: dict[str, Any] = {"half": half, "commit": commit(), "hardware": hardware()}
    print(f"{'':8} {'n':>4} {'by letters':>11} {'by meaning too':>15}")
    for kind in ("meant", "made"):
        of_kind = [at for at, case in enumerate(cases) if case["meant"] == (kind == "meant")]
        by_letters = sum(_by_letters(cases[at]) for at in of_kind)
        taken = sum(near[at] >= LEAST_ALIKE or _by_letters(cases[at]) for at in of_kind)
        found[kind] = {"n": len(of_kind), "by_letters": by_letters, "taken": taken}
        print(f"{kind:8} {len(of_kind):4} {by_letters:11} {taken:15}")
    if json_file:
        json_file.write_text(json.dumps(found, indent=1) + "\n")


async def _near(cases: list[dict[str, Any]]) -> list[float]:
    embedder = LocalEmbedder()
    try:
        return [
            float((await nearest([case["name"]], words_of([case["said"]]), embedder))[0]) for case in cases
        ]
    finally:
        await embedder.close()


def _by_letters(case: dict[str, Any]) -> bool:
    language = languages()[case["id"][:2]]
    said = tokens(case["said"], language)
    return all(any(same(word, one, language) for one in said) for word in tokens(case["name"], language))


if __name__ == "__main__":
    typer.run(main)
