"""Whether what must never be kept is masked, and all else stays. `python -m evals.secrets [--half open]`.

Fifty-two things that callers say in each of fifteen languages (`data/secrets.jsonl`), half of them with a
PIN, a password, a card's number or code, or a one-time code, half with numbers and words that only look like
it. They were written without the code in view. A text is `open` or `sealed` by a hash of its id.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from time import thread_time
from typing import Annotated, Any, get_args

import typer

from echoic.memory.text.secrets import hide_in_turn, hide_secrets
from echoic.memory.types import Role
from evals import locomo_data
from evals.learning.cases import Half, half_of

DATA = Path(__file__).parent / "data" / "secrets.jsonl"


def main(
    half: Annotated[str, typer.Option(help="`open`, `sealed` or `all`.")] = "sealed",
    show: Annotated[bool, typer.Option("--show", help="Show the open texts that came out wrong.")] = False,
    data: Annotated[
        Path | None, typer.Option(help="Conversations in LoCoMo's format: how long does a turn take?")
    ] = None,
) -> None:
    """Print how many secrets are masked whole, and how many other words are lost."""
    if half not in get_args(Half):
        raise typer.BadParameter("One of open, sealed, all.", param_hint="--half")
    rows = [json.loads(line) for line in DATA.read_text(encoding="utf-8").splitlines()]
    told = [
        (row, hide_secrets(row["text"], row["asked"])) for row in rows if half in ("all", half_of(row["id"]))
    ]
    secret = [one for one in told if one[0]["gone"]]
    plain = [one for one in told if not one[0]["gone"]]
    beside = [one for one in secret if one[0]["stays"]]
    masked, whole = (
        sum(not _left(*one) for one in secret),
        sum(row["text"] == hidden for row, hidden in plain),
    )
    print(
        f"{half}: {masked} of {len(secret)} secrets are masked; {whole} of {len(plain)} other texts stay "
        f"whole, and {sum(not _lost(*one) for one in beside)} of {len(beside)} times what is said beside one."
    )
    if data:
        took = [took_ms for one in locomo_data.read(data) for took_ms in _times(one)]
        print(f"Of {len(took)} turns of {data.name} one takes {median(took):.1f} ms (median).")
    for row, hidden in told if show else ():
        if half_of(row["id"]) == "open" and (_left(row, hidden) or _lost(row, hidden)):
            print(f"{row['id']}  left {_left(row, hidden)}, lost {_lost(row, hidden)}")
            print(f"   {row['text']}\n   {hidden}")


def _times(conversation: locomo_data.Conversation) -> Iterator[float]:
    """Milliseconds of this thread for each turn, after the one before it."""
    last_said: dict[Role, str] = {}
    for turn in conversation.turns:
        began = thread_time()
        hide_in_turn("user" if turn.by_first_speaker else "assistant", turn.text, last_said)
        yield (thread_time() - began) * 1000


def _left(row: dict[str, Any], hidden: str) -> list[str]:
    """Of a secret, what can still be read."""
    return [secret for secret in row["gone"] if secret in hidden]


def _lost(row: dict[str, Any], hidden: str) -> list[str]:
    return [words for words in row["stays"] if words not in hidden]


if __name__ == "__main__":
    typer.run(main)
