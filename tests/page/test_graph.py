"""The graph on the page, from a real FalkorDB: a picture and the same as a list, on any day."""

from datetime import timedelta
from uuid import uuid4

import pytest
import redis.asyncio
from playwright.async_api import expect
from pydantic import SecretStr

from echoic.memory.graph.groups import group_of
from echoic.memory.service import open_memory
from echoic.memory.store.queries import query
from tests.embedders import WordEmbedder
from tests.page.test_views import AXE, FINDINGS, chosen
from tests.remembered import NOW, fact, learn

pytestmark = pytest.mark.timeout(180)
AGO = timedelta(days=100)
HOSTILE = "<img src=x onerror=\"document.title='taken'\">"
NODES = (("Ana", "Person"), ("Maria", "Person"), ("Porto", "Place"), ("Rome", "Place"), (HOSTILE, "Pet"))
EDGES = (
    ("Ana", "LIVES_IN", "Porto", "Ana lived in Porto", NOW - 2 * AGO, NOW - AGO),
    ("Ana", "LIVES_IN", "Rome", "Ana lives in Rome", NOW - AGO, None),
    ("Ana", "HAS_SISTER", "Maria", "Ana has a sister Maria", NOW - 2 * AGO, None),
    ("Maria", "HAS_PET", HOSTILE, f"Maria has a dog called {HOSTILE}", NOW - AGO, None),
)
CREATE = """
MERGE (s:Entity {name: $source}) SET s.uuid = coalesce(s.uuid, $source_id)
MERGE (t:Entity {name: $target}) SET t.uuid = coalesce(t.uuid, $target_id)
CREATE (s)-[:RELATES_TO {uuid: $id, name: $name, fact: $text, created_at: $since, valid_at: $since,
                         invalid_at: $until}]->(t)
"""


@pytest.fixture
async def memory(memory_settings, falkordb_url):
    settings = memory_settings.model_copy(update={"graph": "on", "falkordb_url": SecretStr(falkordb_url)})
    async with open_memory(settings, embedder=WordEmbedder()) as memory:
        yield memory


@pytest.fixture
async def known(memory, falkordb_url):
    """What a graph worker would have learned of Ana: where she lived, lives, and whom she has."""
    group = group_of("ana", "echoic")
    await learn(memory, fact("Lives in Rome"))
    await memory.db.run(
        lambda connection: connection.execute(query("add_graph_group"), "ana", "echoic", group)
    )
    async with redis.asyncio.Redis.from_url(falkordb_url) as client:
        for source, name, target, text, since, until in EDGES:
            values = {"source": source, "target": target, "name": name, "text": text}
            values |= {"id": str(uuid4()), "source_id": str(uuid4()), "target_id": str(uuid4())}
            values |= {"since": since.isoformat(), "until": until and until.isoformat()}
            await client.execute_command("GRAPH.QUERY", group, f"CYPHER {_header(values)} {CREATE}")
        for name, label in NODES:
            await client.execute_command(
                "GRAPH.QUERY",
                group,
                f"CYPHER {_header({'name': name})} MATCH (n {{name: $name}}) SET n:{label}",
            )
        yield
        await client.execute_command("GRAPH.DELETE", group)


async def opened(page):
    await chosen(page)
    await page.get_by_role("link", name="Graph").click()
    await expect(page.get_by_role("heading", name="Graph of ana")).to_be_visible()


async def test_what_belongs_to_a_person_is_drawn_and_listed(page, known):
    """Nodes with their kinds, and each relation in words with its validity; markup stays text."""
    await opened(page)
    listed = page.locator(".relations button")
    await expect(listed).to_have_count(3)
    await expect(listed.filter(has_text="Ana lives in Rome")).to_contain_text("lives in · since")
    await expect(page.locator(".picture canvas").first).to_be_visible()
    await expect(page.locator(".legend")).to_contain_text("Person")
    assert "Echoic" in await page.title() and await page.locator("#view img").count() == 0


async def test_the_slider_shows_how_it_was(page, known):
    """By keyboard: the first day has what was so then, the last what is so now."""
    await opened(page)
    slider = page.get_by_role("slider")
    await expect(slider).to_have_attribute("aria-valuetext", "today")
    await slider.focus()
    await page.keyboard.press("Home")
    await expect(page.locator(".relations")).to_contain_text("Ana lived in Porto")
    await expect(page.locator(".relations")).not_to_contain_text("Rome")
    await page.keyboard.press("End")
    await expect(page.locator(".relations")).to_contain_text("Ana lives in Rome")
    await expect(page.locator(".relations")).not_to_contain_text("Porto")


async def test_a_relation_is_pointed_out_by_keyboard(page, known):
    """Pressed, it is marked in list and picture; the picture can be zoomed without a wheel."""
    await opened(page)
    first, second = (page.locator(".relations button").nth(place) for place in (0, 1))
    before = await page.locator(".picture").screenshot()
    await first.focus()
    await page.keyboard.press("Enter")
    await expect(first).to_have_attribute("aria-pressed", "true")
    assert await page.locator(".picture").screenshot() != before
    await second.press("Enter")
    await expect(first).to_have_attribute("aria-pressed", "false")
    for name in ("Closer", "Further", "All of it"):
        await page.get_by_role("button", name=name).click()


async def test_somebody_without_a_graph(page, served):
    """Says so, and draws nothing."""
    await learn(served.memory, fact("Has a dog", user_id="bo"))
    await chosen(page, "bo")
    await page.get_by_role("link", name="Graph").click()
    await expect(
        page.get_by_text("Nobody and nothing is known to belong to this person yet.")
    ).to_be_visible()
    await expect(page.locator(".picture")).to_be_hidden()


async def test_a_graph_that_is_off_says_so(page, served):
    """With what turns it on."""
    await learn(served.memory, fact("Has a dog"))
    with pytest.MonkeyPatch.context() as patch:  # undone before the memory closes its graph
        patch.setattr(served.memory, "graph", None)
        await opened(page)
        await expect(page.get_by_text("The graph is off")).to_be_visible()
        await expect(page.get_by_role("slider")).to_be_hidden()


async def test_nobody_chosen(page, known):
    """The view asks for somebody, and shows them once they are chosen."""
    await page.reload()  # the list was read before she was known
    await page.get_by_role("link", name="Graph").click()
    await expect(page.get_by_role("heading", name="Choose somebody")).to_be_visible()
    await page.locator("#people-list button", has_text="ana").click()
    await expect(page.locator(".relations button")).to_have_count(3)


@pytest.mark.parametrize("scheme", ["dark", "light"])
async def test_the_graph_is_without_barriers(page, known, scheme):
    """axe finds nothing serious, in dark and light, also as wide as a phone."""
    await page.emulate_media(color_scheme=scheme)
    await opened(page)
    await expect(page.locator(".relations button")).to_have_count(3)
    await page.evaluate(AXE.read_text())
    for width in (1200, 360):
        await page.set_viewport_size({"width": width, "height": 800})
        assert await page.evaluate(FINDINGS) == []
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), width


def _header(values):
    """As FalkorDB takes values: text in quotes, of which none ends it early."""
    quoted = {
        name: "null" if one is None else "'" + one.replace("'", "\\'") + "'" for name, one in values.items()
    }
    return " ".join(f"{name}={one}" for name, one in quoted.items())
