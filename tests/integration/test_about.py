"""A fact of somebody else that names them only in `about`: shown with whom it is about, and found by them."""

from dataclasses import replace

import pytest

from echoic.api.mcp import reading
from echoic.api.mem0.memo import facts_of
from echoic.api.schemas.recall import RecallAnswer
from echoic.memory.graph.types import Relation, item_of
from echoic.memory.profile.context import Shape, compile_context
from echoic.memory.review.corrections import create_fact, edit_fact
from echoic.memory.review.facts import fact as stored_fact
from echoic.memory.service import open_memory
from echoic.memory.store.database import Database
from echoic.memory.store.reembed import reembed
from echoic.memory.types import About
from echoic.workers.choose_extractor import make_extractor
from echoic.workers.graph.triplets import triplets_of
from echoic.workers.learn.learner import Learner
from tests.embedders import WordEmbedder
from tests.fakes import ScriptedModel, operation
from tests.remembered import caller, fact, say

MOTHER = About("Mutter")


@pytest.fixture
def model():
    with ScriptedModel(otherwise={"operations": []}) as model:
        yield model


@pytest.fixture
def settings(memory_settings, model):
    named = {"llm_url": model.url, "llm_model": "scripted", "extractor": "echoic"}
    return memory_settings.model_copy(update=named)


@pytest.fixture
async def memory(settings):
    async with open_memory(settings, embedder=WordEmbedder()) as memory:
        yield memory


async def asked(memory, question):
    """The block of another call."""
    call = await memory.open_call(caller())
    found = await call.recall(question)
    await call.end()
    return found


async def test_what_is_learned_of_somebody_is_never_shown_as_the_callers(memory, settings, model):
    """It is found by who they are; its own words are stored as the model gave them."""
    turns = await say(memory, "Meine Mutter ist 73 und kerngesund.")
    model.answers.append({"operations": [operation("Ist 73, kerngesund", about="Mutter")]})
    extractor, _ = make_extractor(settings)
    await Learner(memory, extractor).learn("ana")
    await extractor.close()
    (known,) = await memory.facts.list("ana")
    assert (known.text, known.about, known.turn_ids) == ("Ist 73, kerngesund", MOTHER, (turns[0].turn_id,))
    found = await asked(memory, "Wie alt ist meine Mutter?")
    assert "- [Mutter] Ist 73, kerngesund (" in found.block
    assert any(item.kind == "fact" for item in found.tiers["facts"].items)
    context = await compile_context(memory, caller(), Shape())
    assert context.block.count("Ist 73") == context.block.count("[Mutter] Ist 73") > 0


async def test_found_by_whom_it_is_about_before_and_after_an_edit(memory):
    """By the word alone: nothing else of the question stands in it."""
    made = await create_fact(memory, fact("Ist 73", about=MOTHER), by_whom="hand")
    await create_fact(memory, fact("Ist 40", about=About("Bruder")), by_whom="hand")
    assert "- [Mutter] Ist 73 (" in (await asked(memory, "meine Mutter")).block.splitlines()[3]
    changed = {"about": About("Onkel")}
    await edit_fact(memory, "ana", made.fact.fact_id, changed, version=made.version, by_whom="hand")
    found = (await asked(memory, "mein Onkel")).tiers["facts"].items
    assert [(item.text, item.about) for item in found][:1] == [("Ist 73", About("Onkel"))]
    known = await stored_fact(memory.db, "ana", made.fact.fact_id)
    assert known.fact == replace(made.fact, about=About("Onkel"))


async def test_embedded_anew_it_is_still_found_by_whom_it_is_about(settings):
    """What another model embeds is what is shown."""
    old, new = WordEmbedder("old"), WordEmbedder("new")
    async with open_memory(settings, embedder=old) as memory:
        await create_fact(memory, fact("Ist 73", about=MOTHER), by_whom="hand")
        before = await memory.facts.similar("ana", "echoic", await old.embed("[Mutter] Ist 73"), 1)
    db = Database(settings.database_url.get_secret_value())
    assert await reembed(db, new) == 1
    await db.close()
    async with open_memory(settings, embedder=new) as memory:
        after = await memory.facts.similar("ana", "echoic", await new.embed("[Mutter] Ist 73"), 1)
    assert [round(away, 3) for away, _ in (*before, *after)] == [-1, -1]


async def test_whoever_reads_it_reads_whom_it_is_about(memory):
    """A model by MCP, a program by an API that has no field for it, and a graph; once each."""
    made = await create_fact(memory, fact("Ist 73", about=MOTHER), by_whom="hand")
    _, results = await reading.search(memory, "ana", "Mutter", None, max_tokens=400, max_items=8)
    assert [one["memory"] for one in results] == ["[Mutter] Ist 73"]
    assert await reading.profile_text(memory, "ana") == "- t: Mutter - Ist 73"
    answer = RecallAnswer.of(await asked(memory, "Wie alt ist meine Mutter?"))
    assert [one.text for one in answer.used] == ["[Mutter] Ist 73"]
    assert [one.text for one in await facts_of(memory, "ana")] == ["[Mutter] Ist 73"]
    triplets = triplets_of("g", [made.fact])
    (edge,) = triplets.edges.values()
    told = Relation(
        edge.edge_id, made.fact.text, "", triplets.nodes[edge.source].name, "t", made.fact.said_at
    )
    assert item_of(told).about == MOTHER
