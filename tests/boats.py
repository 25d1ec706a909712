"""Callers who tell of boats and towns, a perfect model that learns of them, and what is known then."""

import json
import re
from contextlib import asynccontextmanager

from echoic.memory.review.corrections import edit_within
from echoic.workers.choose_extractor import make_extractor
from echoic.workers.learn.learner import Learner
from tests.fakes import operation
from tests.remembered import say

BOAT = re.compile(r"own boat (\w+)")
SAID = re.compile(r"^(\d+) caller: .*?(own|sold|still have|will paint|painted) boat (\d+)", re.MULTILINE)
SWAPPED = re.compile(r"^(\d+) caller: .*?swapped boat (\d+) for boat (\d+)", re.MULTILINE)
STATE = """select id, payload - 'updated_at' as payload, sources, valid_until, about, evidence
    from facts order by ref"""


def boats(request):
    """What a perfect model makes of sentences about boats."""
    known, _, said = request["messages"][-1]["content"].partition("\n\n")
    places = {text: number for number, text in re.findall(r"^(\d+)\. (.+)", known, re.MULTILINE)}
    told = []
    for turn, verb, boat in SAID.findall(said):
        fact, topic = f"Owns boat {boat}", "things"
        if "paint" in verb:
            fact, topic = f"Will paint boat {boat}", "promises"
        kind = {"sold": "end", "painted": "end", "still have": "confirm"}.get(verb, "add")
        if kind == "add" or fact in places:
            op = "add" if kind == "add" else f"{kind} {places[fact]}"
            told.append(operation(fact, turn=int(turn), op=op, topic=topic))
    for turn, old, boat in SWAPPED.findall(said):
        if place := places.get(f"Owns boat {old}"):
            told.append(operation(f"Owns boat {boat}", turn=int(turn), op=f"replace {place}", topic="things"))
    return {"operations": told}


async def call(memory, learner, call_id, *texts):
    turns = await say(memory, *texts, call_id=call_id)
    assert (await learner.learn("ana")).turns == len(texts)
    return turns


async def fetch(memory, sql, *args):
    return await memory.db.run(lambda connection: connection.fetch(sql, *args))


async def state(memory):
    """All facts as they stand in Postgres, but for when they were written; by id."""
    rows = [dict(row) for row in await fetch(memory, STATE)]
    found = {row.pop("id"): row for row in rows}
    for row in found.values():
        row["payload"] = json.loads(row["payload"])
        row["sources"] = sorted(row["sources"])
    return found


async def edited(memory, fact_id, text):
    """A person's own hand."""
    (vector,) = await memory.embedder.embed_batch([text])
    await memory.db.transaction(
        lambda connection: edit_within(
            connection, user_id="ana", fact_id=fact_id, fields={"text": text}, by_whom="ana", vector=vector
        )
    )


async def texts(memory, closed=False):
    """What is known of Ana, in alphabetical order."""
    return sorted(one.text for one in await memory.facts.list("ana", include_closed=closed))


def towns(request):
    """A perfect model: who lives in a town lives in no other."""

    known, _, said = request["messages"][-1]["content"].partition("\n\n")
    places = {text: number for number, text in re.findall(r"^(\d+)\. (.+)", known, re.MULTILINE)}
    told = []
    for turn, town in re.findall(r"^(\d+) caller: .*?live in (\w+)", said, re.MULTILINE):
        text = f"Lives in {town}"
        if text in places:
            op = f"confirm {places[text]}"
        elif others := [number for one, number in places.items() if one.startswith("Lives in")]:
            op = f"replace {others[0]}"
        else:
            op = "add"
        told.append(operation(text, turn=int(turn), op=op, topic="home"))
    return {"operations": told}


def noting_boats(request):
    """Writes down each boat that it is shown, in new turns and in those before them."""
    told = []
    for line in request["messages"][-1]["content"].splitlines():
        if shown := re.match(r"(\d+) caller: (.*)", line):
            for boat in BOAT.findall(shown[2]):
                told.append(operation(f"Owns boat {boat}", turn=int(shown[1]), quote=f"own boat {boat}"))
    return {"operations": told}


@asynccontextmanager
async def learning(memory):
    extractor, _ = make_extractor(memory.settings)
    try:
        yield Learner(memory, extractor)
    finally:
        await extractor.close()
