"""Calls, nights and purges of the archive in any order, and some of them undone in any order: what is known
then is what is known where those were never made.

Only the model is scripted.
"""

import json
import random
import re
from itertools import count

import pytest

from echoic.memory.privacy.forget import forget
from echoic.memory.privacy.maintenance import maintain, purge_archive
from echoic.memory.privacy.undo import undo_batch, undo_call
from echoic.memory.types import ForgetRequest
from echoic.workers.learn.known_facts import known_facts
from tests.boats import fetch
from tests.fakes import operation
from tests.remembered import caller, say

SAID = re.compile(r"^(\d+) caller: (?:(\w+): )?.*?(own|sold) boat (\d+)", re.MULTILINE)
FACTS = """select payload::text, valid_until, (select count(*) from postings where ref = facts.ref) as words,
    array(select turn_id::text from turns where ref = any(sources)) as sources
    from facts where user_id = $1"""


def boats(request):
    """A perfect model; what is said loudly is spelled otherwise, so that a night has something to do."""
    known, _, said = request["messages"][-1]["content"].partition("\n\n")
    places = {text.rstrip("."): number for number, text in re.findall(r"^(\d+)\. (.+)", known, re.MULTILINE)}
    told = []
    for turn, how, verb, boat in SAID.findall(said):
        place = places.get(f"Owns boat {boat}")
        if verb == "own":
            op = f"confirm {place}" if place and how == "Again" else "add"
            text = f"Owns boat {boat}" + ("." if how == "Loud" else "")
            told.append(operation(text, turn=int(turn), op=op, topic="Things" if how == "Loud" else "things"))
        elif place and verb == "sold":
            told.append(operation("", turn=int(turn), op=f"end {place}", topic="things"))
    return {"operations": told}


class World:
    """A person to whom things happen."""

    def __init__(self, memory, learner, user_id):
        self._memory, self._learner, self._user_id = memory, learner, user_id
        self._runs, self._turns = {}, {}

    async def do(self, name, what, *args):
        await getattr(self, what)(name, *args)

    async def call(self, name, *texts):
        turns = await say(self._memory, *texts, user_id=self._user_id, call_id=f"{self._user_id} {name}")
        self._turns[name] = [turn.turn_id for turn in turns]
        assert (await self._learner.learn(self._user_id)).turns == len(texts)

    async def night(self, name):
        self._runs[name] = (await maintain(self._memory, self._user_id)).run_id

    async def purge(self, name):
        """Of this person alone."""
        sql = "update archived_facts set archived_at = now() - interval '{} days' where user_id {} $1"
        for days, whose in ((0, "<>"), (31, "=")):
            await self._memory.db.run(
                lambda c, days=days, whose=whose: c.execute(sql.format(days, whose), self._user_id)
            )
        await purge_archive(self._memory)

    async def forget(self, name, of, place):
        if of in self._turns:
            call = await self._memory.open_call(caller(self._user_id))
            await forget(call, ForgetRequest(lone_turn_ids=frozenset({self._turns[of][place]})))

    async def link(self, name):
        """To another of their ids, or no longer."""
        ids = self._user_id, f"{self._user_id} too"
        if not await self._memory.links.remove(*ids):
            await self._memory.links.add(*ids, made_by="test")

    async def undo(self, name):
        if name in self._turns:
            await undo_call(self._memory, f"{self._user_id} {name}", self._user_id)
        elif self._runs[name] is not None:
            await undo_batch(self._memory, self._runs[name], self._user_id)

    async def known(self):
        """Of each thing that is known to be so: the words that say so."""
        rows = await fetch(
            self._memory, "select turn_id::text, text from turns where user_id = $1", self._user_id
        )
        words, found = {row["turn_id"]: row["text"] for row in rows}, {}
        rows = await fetch(self._memory, FACTS, self._user_id)
        for row in rows:
            assert row["words"], row["payload"]
            payload = json.loads(row["payload"])
            assert sorted(row["sources"]) == sorted(one for one in payload["turn_ids"] if one in words)
            if row["valid_until"] is None:
                of = found.setdefault(payload["data"].rstrip("."), set())
                of |= {words.get(one) for one in payload["turn_ids"]} - {None}
                of |= {one["quote"] for one in payload["evidence"]}
        return found


def history(chance):
    """What happens, by name; it begins with calls and a night."""
    number, said, sold, done = count(1), count(1), set(), {}
    begins = ["call", "call", "call", "night"]
    kinds = chance.choices(("call", "night", "purge", "forget", "link", "undo"), (6, 3, 3, 0.3, 0.5, 5), k=12)
    for what in begins + kinds:
        name = f"n{next(number)}"
        if what == "call":
            texts = []
            for boat in chance.sample(range(2), chance.choice((1, 1, 2))):
                how, tag = chance.choice(("Again", "Loud", "Plain")), f"({next(said)})"
                if boat not in sold and chance.random() < 0.1:
                    sold.add(boat)
                    texts.append(f"{how}: I sold boat {boat} {tag}.")
                elif boat not in sold:
                    texts.append(f"{how}: I own boat {boat} {tag}.")
            if texts:
                done[name] = ("call", *texts)
        elif what == "undo":
            names = list(done)
            purged = max((at for at, one in enumerate(names) if done[one][0] == "purge"), default=-1)
            left = [
                one
                for at, one in enumerate(names)
                if (done[one][0] == "call" or (done[one][0] == "night" and at > purged))
                and ("undo", one) not in done.values()
            ]
            if left:
                done[name] = ("undo", chance.choice(left))
        elif what == "forget":
            calls = [one for one, (kind, *_) in done.items() if kind == "call"]
            if calls:
                done[name] = ("forget", chance.choice(calls), 0)
        else:
            done[name] = (what,)
    return done


@pytest.fixture(autouse=True)
def forgetful(memory, monkeypatch):
    """What is said loudly is learned as if nothing were known: so a night has something to merge."""
    is_loud = []

    async def known(memory, turns):
        is_loud[:] = [any(turn.text.startswith("Loud") for turn in turns)]
        return [] if is_loud[0] else await known_facts(memory, turns)

    similar = memory.facts.similar

    async def near(*args, **options):
        return [] if is_loud == [True] else await similar(*args, **options)

    monkeypatch.setattr("echoic.workers.learn.learner.known_facts", known)
    monkeypatch.setattr(memory.facts, "similar", near)


@pytest.mark.parametrize("seed", range(105, 111))
async def test_undone_in_any_order_is_never_made(memory, learner, model, seed):
    """With a link made and taken back between them, and words that are forgotten."""
    model.otherwise = boats
    done = history(random.Random(seed))
    undone = {args[0] for what, *args in done.values() if what == "undo"}
    one, other = World(memory, learner, f"one{seed}"), World(memory, learner, f"other{seed}")
    for name, (what, *args) in done.items():
        if what == "undo":
            await one.undo(args[0])
        else:
            await one.do(name, what, *args)
            if name not in undone:
                await other.do(name, what, *args)
    assert await one.known() == await other.known(), done
