"""Each operator of Mem0's filters, asked through the client; and filters that are wrong."""

from datetime import timedelta

import pytest

from tests.remembered import NOW, fact, learn

DAY = timedelta(days=1)
TODAY, YESTERDAY, TOMORROW = (when.date().isoformat() for when in (NOW, NOW - DAY, NOW + DAY))


def metadata(**held):
    return {"metadata": held}


@pytest.fixture
async def known(memory):
    """Four memories of Ana, one of Bo, and one of an agent without a user."""
    facts = {
        "dog": fact("Has a Dog", topic="pets", labels=metadata(plan="gold", age=3, tags=["a", "b"])),
        "tea": fact("Likes tea", topic="food", said_at=NOW - 10 * DAY, labels=metadata(plan="free", age=5)),
        "short": fact("Wants short answers", topic="style", scope="agent", agent_id="butler"),
        "run": fact("Is in Porto", topic="place", labels={"run_id": "tuesday", "app_id": "shop"}),
        "bo": fact("Has a dog, too", "bo", topic="pets", labels={"run_id": "tuesday"}, agent_id="butler"),
        "agent": fact("Tells jokes", "mem0.agent:butler", topic="style", agent_id="butler"),
    }
    await learn(memory, *facts.values())
    return {str(one.fact_id): name for name, one in facts.items()}


ANA = {"user_id": "ana"}
ALL = {"dog", "tea", "short", "run"}


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        (ANA, ALL),
        ({"user_id": {"in": ["ana", "bo"]}}, ALL | {"bo"}),
        ({"user_id": ["ana", "bo"]}, ALL | {"bo"}),
        ({"user_id": "*"}, ALL | {"bo"}),
        ({"AND": [{"user_id": "*"}, {"user_id": {"ne": "ana"}}]}, {"bo"}),
        ({"AND": [{"user_id": "*"}, {"agent_id": "butler"}]}, {"short", "bo"}),
        ({"user_id": "nobody"}, set()),
        ({"agent_id": "butler"}, {"agent"}),
        ({**ANA, "agent_id": "butler"}, {"short"}),
        ({"AND": [ANA, {"agent_id": "*"}]}, {"short"}),
        ({"AND": [ANA, {"agent_id": {"ne": "*"}}]}, ALL - {"short"}),
        ({"AND": [ANA, {"NOT": {"agent_id": "butler"}}]}, ALL - {"short"}),
        ({"AND": [ANA, {"NOT": [{"agent_id": "butler"}, {"categories": "pets"}]}]}, {"tea", "run"}),
        ({"OR": [ANA, {"agent_id": "butler"}, {"run_id": "tuesday"}]}, ALL | {"agent"}),
        ({"OR": [ANA, {"user_id": "bo"}]}, ALL | {"bo"}),
        ({**ANA, "run_id": "tuesday"}, {"run"}),
        ({**ANA, "app_id": "shop"}, {"run"}),
        ({**ANA, "app_id": {"in": ["x", "shop"]}}, {"run"}),
        ({**ANA, "categories": "pets"}, {"dog"}),
        ({**ANA, "categories": ["pets", "food"]}, {"dog", "tea"}),
        ({**ANA, "categories": {"in": ["PETS"]}}, {"dog"}),
        ({**ANA, "categories": {"contains": "food"}}, {"tea"}),
        ({**ANA, "categories": {"ne": "food"}}, ALL - {"tea"}),
        ({**ANA, "created_at": {"gte": TODAY}}, ALL - {"tea"}),
        ({**ANA, "created_at": {"gt": TODAY}}, set()),
        ({**ANA, "created_at": {"lt": TODAY}}, {"tea"}),
        ({**ANA, "created_at": {"lte": TODAY}}, ALL),
        ({**ANA, "created_at": {"gte": (NOW - 11 * DAY).timestamp(), "lt": YESTERDAY}}, {"tea"}),
        ({**ANA, "created_at": TODAY}, ALL - {"tea"}),
        ({**ANA, "created_at": {"ne": TODAY}}, {"tea"}),
        ({**ANA, "timestamp": {"in": [TODAY, YESTERDAY]}}, ALL - {"tea"}),
        ({**ANA, "updated_at": {"gte": (NOW - DAY).isoformat()}}, ALL),
        ({**ANA, "expiration_date": {"lte": TOMORROW}}, set()),
        ({**ANA, "metadata": {"plan": "gold"}}, {"dog"}),
        ({**ANA, "metadata": {"plan": {"eq": "gold"}, "age": 3}}, {"dog"}),
        ({**ANA, "metadata": {"plan": {"ne": "gold"}}}, ALL - {"dog"}),
        ({**ANA, "metadata": {"plan": {"contains": "re"}}}, {"tea"}),
        ({**ANA, "metadata": {"tags": {"contains": "b"}}}, {"dog"}),
        ({**ANA, "metadata": {"plan": {"in": ["gold", "free"]}}}, {"dog", "tea"}),
        ({**ANA, "metadata": {"age": {"gt": 3}}}, {"tea"}),
        ({**ANA, "metadata": {"age": {"gte": 3, "lt": 5}}}, {"dog"}),
        ({**ANA, "metadata": {"age": {"lte": 3}}}, {"dog"}),
        ({**ANA, "metadata": {"plan": {"gt": 3}}}, set()),
        ({**ANA, "metadata": {"plan": "*"}}, {"dog", "tea"}),
        ({**ANA, "text": {"contains": "Dog"}}, {"dog"}),
        ({**ANA, "text": {"contains": "dog"}}, set()),
        ({**ANA, "keywords": {"icontains": "dog"}}, {"dog"}),
        ({**ANA, "keywords_search": "TEA"}, {"tea"}),
        ({"AND": [ANA, {"OR": [{"categories": "pets"}, {"AND": [{"text": "tea"}]}]}]}, {"dog", "tea"}),
    ],
)
async def test_each_operator(client, known, filters, names):
    """In a list and in a search: the same memories fit."""
    rows = (await client.get_all(filters=filters))["results"]
    assert {known[row["id"]] for row in rows} == names
    found = (
        await client.search("dog tea short answers Porto jokes", filters=filters, threshold=0, top_k=50)
    )["results"]
    assert {known[row["id"]] for row in found} == names


async def test_ids_and_what_stands_beside_filters(client, known):
    """Options of `get_all` narrow the list down as a filter does."""
    by_name = {name: one for one, name in known.items()}
    for ids in ([by_name["dog"], by_name["bo"]], {"in": [by_name["dog"]]}):
        rows = (await client.get_all(filters={**ANA, "memory_ids": ids}))["results"]
        assert [known[row["id"]] for row in rows] == ["dog"]
    narrow = {"start_date": TODAY, "end_date": TODAY, "categories": ["pets", "place"]}
    rows = (await client.get_all(filters=ANA, **narrow))["results"]
    assert {known[row["id"]] for row in rows} == {"dog", "run"}
    found = (await client.search("dog", filters=ANA, metadata={"plan": "gold"}))["results"]
    assert [known[row["id"]] for row in found] == ["dog"]


async def test_what_was_true_at_another_day(client, memory):
    """`reference_date` asks as of then."""
    await learn(memory, fact("Lives in Leeds", valid_from=NOW - 9 * DAY, valid_until=NOW - 5 * DAY))
    for when, count in (
        (TODAY, 0),
        ((NOW - 7 * DAY).date().isoformat(), 1),
        ((NOW - 20 * DAY).timestamp(), 0),
    ):
        found = (await client.search("Leeds", filters=ANA, reference_date=when))["results"]
        assert len(found) == count, when


DEEP = ANA
for _ in range(30):
    DEEP = {"AND": [DEEP]}


@pytest.mark.parametrize(
    "filters",
    [
        None,
        {},
        {"categories": "pets"},
        {"NOT": ANA},
        {"user_id": {"ne": "ana"}},
        {"user": "ana"},
        {**ANA, "mood": "good"},
        {**ANA, "created_at": {"after": TODAY}},
        {**ANA, "created_at": {"gte": "32637-01-01"}},
        {**ANA, "created_at": {"gte": "yesterday"}},
        {**ANA, "created_at": {"gte": 1e30}},
        {**ANA, "created_at": {"gte": True}},
        {**ANA, "created_at": {"in": TODAY}},
        {**ANA, "created_at": {}},
        {**ANA, "metadata": "gold"},
        {**ANA, "metadata": {}},
        {**ANA, "text": 3},
        {**ANA, "AND": []},
        {**ANA, "OR": "x"},
        {**ANA, "AND": ["x"]},
        {"user_id": {"in": "ana"}},
        {"user_id": ["a" * 3] * 501},
        {"user_id": [f"user {number}" for number in range(300)]},
        {"user_id": True},
        {"user_id": {"a": 1}},
        {"user_id": "x" * 201},
        {"user_id": "mem0.agent:butler"},
        {"user_id": "a\0b"},
        DEEP,
        {"AND": [ANA] * 600},
    ],
)
async def test_a_filter_that_is_wrong_is_refused(client, known, fault, filters):
    """With Mem0's own error, and never taken for no filter."""
    for ask in (client.get_all(filters=filters), client.search("dog", filters=filters)):
        with pytest.raises(fault.ValidationError):
            await ask
