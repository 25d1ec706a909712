"""The system on the page: models tried and set, providers, model files and keys; no change is lost."""

import hashlib

import pytest
from playwright.async_api import expect
from pydantic import SecretStr

from echoic.api.access.keys import add_key
from echoic.local.llm.shelf import Shelf
from echoic.memory.config import load_settings
from echoic.memory.settings.overrides import stored_in
from echoic.memory.settings.system import change_system, read_system
from echoic.memory.settings.vault import new_key
from tests.fakes import ScriptedModel
from tests.page.test_views import AXE, FINDINGS
from tests.web import Download, web_server

pytestmark = pytest.mark.timeout(180)
SECRET = "sk-very-secret-1234"
DATA = bytes(range(256)) * 20_000


@pytest.fixture
async def system(page, served):
    """The page's view of the system, where secrets can be kept."""
    served.app.state.environment = load_settings(settings_key=SecretStr(new_key()))
    await page.get_by_role("link", name="System").click()
    await expect(page.get_by_role("heading", name="System", exact=True)).to_be_visible()
    return page


def board(page, name):
    return page.get_by_role("region", name=name, exact=True)


async def stored(served):
    return await served.memory.db.run(stored_in)


async def test_a_model_is_tried_set_and_taken_back(system, served):
    """Before it is saved, in words; a key is never shown again."""
    learning = board(system, "Learning and replying")
    await expect(learning.get_by_label("Model", exact=True)).to_have_value("")
    with ScriptedModel("yes", name="tiny") as model:
        await learning.get_by_label("Address").fill(model.url)
        await learning.get_by_label("Model", exact=True).fill("tiny")
        await learning.get_by_role("button", name="Test").click()
        await expect(learning.get_by_role("status")).to_contain_text(
            f"It works: tiny at {model.url} answered."
        )
    await learning.get_by_role("button", name="Test").click()
    await expect(learning.get_by_role("status")).to_contain_text("It does not work:")
    await learning.get_by_label("Key").fill(SECRET)
    await learning.get_by_role("button", name="Save").click()
    await expect(learning).to_contain_text("There is one; it is not shown.")
    await expect(learning.get_by_label("Key")).to_have_value("")
    assert (await stored(served)).names == {"llm_url", "llm_model", "llm_api_key"}
    await learning.get_by_role("button", name="As the environment says").click()
    await expect(learning).to_contain_text("There is none.")
    assert not (await stored(served)).names


async def test_what_is_wrong_stays_to_be_corrected(system, served):
    """With a sentence, and nothing is set."""
    learning = board(system, "Learning and replying")
    await learning.get_by_label("Address").fill("no address")
    await learning.get_by_role("button", name="Save").click()
    await expect(system.locator(".toast")).to_contain_text("llm_url is wrong")
    await expect(learning.get_by_label("Address")).to_have_value("no address")
    assert not (await stored(served)).names


async def test_of_two_tabs_the_second_is_told(system, served):
    """And sees what stands."""
    learning = board(system, "Learning and replying")
    await learning.get_by_label("Model", exact=True).fill("mine")
    base = served.app.state.environment
    before = await read_system(served.memory.db, base)
    await change_system(served.memory.db, base, {"llm_model": "theirs"}, version=before.version)
    await learning.get_by_role("button", name="Save").click()
    await expect(system.locator(".toast")).to_contain_text("Somebody else changed this meanwhile.")
    await expect(learning.get_by_label("Model", exact=True)).to_have_value("theirs")
    assert (await stored(served)).values == {"llm_model": "theirs"}


async def test_another_embedder_says_what_it_costs(system, served):
    """In words, where it is set."""
    embedding = board(system, "Embedding")
    await expect(embedding).to_contain_text("must be embedded again")
    await embedding.get_by_label("Length of a vector").fill("96")
    await embedding.get_by_role("button", name="Save").click()
    await expect(embedding).to_contain_text("must be embedded again with minilm-use-e5:96")
    await embedding.get_by_role("button", name="Test").click()
    await expect(embedding.get_by_role("status")).to_contain_text(
        "It does not work: The local embedding model is"
    )


async def test_a_provider_is_added_used_edited_and_deleted(system, served):
    """Using one sets what the system uses, and the page shows it at once."""
    providers = board(system, "Providers")
    await providers.get_by_role("button", name="Add a provider").click()
    await providers.get_by_label("Which sort").select_option(label="graph: neo4j. Neo4j.")
    await providers.get_by_label("Name", exact=True).fill("our graph")
    await providers.get_by_label("url").fill("neo4j://graph:7687")
    await providers.get_by_label("password").fill(SECRET)
    await providers.get_by_role("button", name="Add", exact=True).click()
    card = providers.locator("li", has_text="our graph")
    await expect(card).to_contain_text("password is set")
    await card.get_by_role("button", name="Use").click()
    await expect(card).to_contain_text("in use")
    await expect(board(system, "Graph").get_by_label("Address of Neo4j")).to_have_value("neo4j://graph:7687")
    await card.get_by_role("button", name="Edit").click()
    await providers.get_by_label("user").fill("neo")
    await providers.get_by_role("button", name="Save").click()
    await expect(card).to_contain_text("user neo")
    await card.get_by_role("button", name="Turn off").click()
    await expect(card).to_contain_text("not in use")
    await card.get_by_role("button", name="Delete").click()
    await expect(providers).to_contain_text("None yet.")
    assert not (await stored(served)).names and SECRET not in await system.content()


async def test_a_model_file_is_fetched_with_progress_and_removed(page, served):
    """And says how much room that made."""
    with web_server(Download(DATA).handle) as address:
        env = {
            "ECHOIC_MODEL_URL": f"{address}/tiny%20model.gguf",
            "ECHOIC_MODEL_SHA256": hashlib.sha256(DATA).hexdigest(),
        }
        served.app.state.shelf = Shelf(served.memory.settings.data_dir, env)
        await page.get_by_role("link", name="System").click()
        tiny = board(page, "Model files").locator("li", has_text="tiny model")
        await expect(tiny).to_contain_text("not here")
        await tiny.get_by_role("button", name="Fetch").click()
        await expect(tiny).to_contain_text("present, 5.1 MB")
        await expect(tiny).to_contain_text("checksum right")
    await page.get_by_role("button", name="Check every file").click()
    await expect(page.locator("li", has_text="all-minilm-l6-v2")).to_contain_text("checksum right")
    await tiny.get_by_role("button", name="Remove").click()
    await expect(page.locator(".toast", has_text="Removed: 5.1 MB are free.")).to_be_visible()
    await expect(tiny).to_contain_text("not here")


async def test_a_key_is_made_shown_once_and_revoked(system, served):
    """Who closes it does not see it again."""
    keys = board(system, "Keys")
    await keys.get_by_label("Whose, or for what").fill("the shop")
    await keys.get_by_role("button", name="Make a key").click()
    made = await keys.get_by_label("The new key").input_value()
    async with served.without_key(Authorization=f"Bearer {made}") as client:
        assert (await client.get("/v1/me")).json()["name"] == "the shop"
        await keys.get_by_role("button", name="Done").click()
        assert made not in await system.content()
        card = keys.locator("li", has_text="the shop")
        await card.get_by_role("button", name="Revoke").click()
        await card.get_by_role("button", name="Revoke for good").click()
        await expect(card).to_have_count(0)
        assert (await client.get("/v1/me")).status_code == 401


async def test_who_may_not_is_not_offered_it(served, address, browser):
    """Nor shown it under its address."""
    key, _ = await add_key(served.memory.db, "Ana herself", "user", "ana")
    page = await browser.new_page(base_url=address)
    await page.goto("/#settings")
    await page.get_by_label("Key").fill(key)
    await page.keyboard.press("Enter")
    await page.get_by_text("Ana herself (user)").wait_for()
    await expect(page.get_by_role("link", name="System")).to_be_hidden()
    await expect(page.get_by_text("This key may not see this.")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_it_has_no_barriers(system, served, scheme):
    """Says axe, in dark and light; also on a phone nothing is cut off."""
    served.app.state.shelf = Shelf(served.memory.settings.data_dir, {})
    await system.emulate_media(color_scheme=scheme)
    await system.reload()
    await expect(board(system, "Model files").locator("li").first).to_be_visible()
    await board(system, "Providers").get_by_role("button", name="Add a provider").click()
    await system.evaluate(AXE.read_text())
    assert await system.evaluate(FINDINGS) == []
    await system.set_viewport_size({"width": 360, "height": 700})
    assert await system.evaluate("document.documentElement.scrollWidth") <= 360
