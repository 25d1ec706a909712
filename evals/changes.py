"""Of what has changed, does the new stand above the old? `python -m evals.changes [--half open]`

Two people in each of fifteen languages (evals/data/changes.jsonl) call six times in eighteen months. Five
things change in what they tell, mostly in other words and without a word that says so; three others only look
as if they had. Their authors had not seen the code. The turns are stored and asked as in evals/beam.py, and
what is read is the order in which a block takes what was found:

- asked how a thing is, the turn that tells the change has to stand above that which told it first;
- asked how it was, both have to be found;
- of two things that are both true, neither may push the other out, and the older one, where it alone was
  asked for, has to stand above.

A question is `open` or `sealed` by a hash of its id, as in evals/languages.py; what is reported is sealed.
"""

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer
from rich.console import Console

from echoic.local.servers.stores import open_stores
from evals.beam import FIRST, Answer, measure
from evals.beam_data import Chat, Probe
from evals.languages import split
from evals.locomo_data import Conversation, Said
from evals.machine import commit, hardware

DATA = Path(__file__).parent / "data" / "changes.jsonl"
KINDS = ("now", "before", "both", "old")
"""Asked for what is so now, what was so before, two things that are both true, and the older one of those."""


def main(
    half: Annotated[str, typer.Option(help="`open` or `sealed`.")] = "sealed",
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures to this file.")] = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Print each question that is not right.")
    ] = False,
) -> None:
    """Measure whether what is new stands above what is old, in fifteen languages."""
    chats = read(DATA, half)
    with TemporaryDirectory(prefix="echoic-changes-") as folder, open_stores(Path(folder) / "data") as stores:
        answers = asyncio.run(measure(stores, chats, Console()))
    if verbose:
        texts = {turn.dialog_id: turn.text for chat in chats for turn in chat.conversation.turns}
        for answer in answers:
            if not right(answer):
                print(answer.probe.ability, answer.probe.text)
                for name in ("updated", "original"):
                    for turn in getattr(answer.probe, name):
                        place = answer.ranking.index(turn) if turn in answer.ranking else None
                        print(f"  {name} {place}: {texts[turn]}")
    report = {
        "commit": commit(),
        "hardware": hardware(),
        "date": f"{datetime.now(UTC):%d %b %Y}",
        "half": half,
        **{kind: _shares([one for one in answers if one.probe.ability == kind]) for kind in KINDS},
    }
    print(json.dumps(report))
    if json_file:
        json_file.write_text(json.dumps(report, indent=1) + "\n")


def read(path: Path, half: str) -> list[Chat]:
    """The people of a file, each with the questions of one half; turns are named `call:turn`."""
    people = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [
        Chat(
            Conversation(person["id"], tuple(_turns(person["calls"])), (), (), 0),
            tuple(_probe(one) for one in person["questions"] if split(one["id"]) == half),
        )
        for person in people
    ]


def right(answer: Answer) -> bool:
    """Whether one question fared as it should."""
    probe = answer.probe
    if probe.ability in ("now", "old"):
        return answer.updated_above and answer.recall > 0
    return {*probe.updated, *probe.original} <= set(answer.ranking[:FIRST])


def _turns(calls: Sequence[dict[str, Any]]) -> list[Said]:
    return [
        Said(
            f"{session}:{position}",
            session,
            position,
            turn["text"],
            datetime.fromisoformat(call["at"]) + timedelta(seconds=10 * position),
            turn["role"] == "user",
        )
        for session, call in enumerate(calls)
        for position, turn in enumerate(call["turns"])
    ]


def _probe(question: dict[str, Any]) -> Probe:
    """What has to stand above is `updated`; of the old that alone was asked for, that is the old one."""
    kind = "old" if question.get("asks") == "old" else question["kind"]
    new, old = ("{}:{}".format(*question[name]) for name in ("new", "old"))
    others = [f"{call}:{turn}" for call, turn in question["others"]]
    above, below = (old, new) if kind == "old" else (new, old)
    evidence = {"now": [new, *others], "old": [old, *others], "before": [old, *others], "both": [new, old]}
    updated = [above, *others] if kind in ("now", "old") else [above]
    return Probe(kind, question["text"], frozenset(evidence[kind]), frozenset([below]), frozenset(updated))


def _shares(answers: Sequence[Answer]) -> dict[str, Any]:
    if not answers:
        return {"questions": 0}
    return {
        "questions": len(answers),
        "right": round(mean(right(one) for one in answers), 3),
        "found": round(mean(one.recall for one in answers), 3),
    }


if __name__ == "__main__":
    typer.run(main)
