"""The project: its configuration, what was used, its keys; and the server's health."""

from datetime import UTC, datetime

import httpx
import memobase
import pytest
from memobase.error import ServerError

from tests.clients.memobase.said import tell

STRICT = """
language: en
profile_strict_mode: true
overwrite_user_profiles:
  - topic: pets
    description: animals of the household
    sub_topics: [{name: dog, description: its name}, cat]
event_theme_requirement: What is said of animals.
event_tags: [emotion, {name: goal, description: what they want}]
"""


def test_it_is_there(client):
    """Also for whoever has no key."""
    assert client.ping()
    answer = httpx.get(f"{client.base_url}/healthcheck")
    assert answer.json() == {"data": None, "errno": 0, "errmsg": ""}


def test_an_address_with_or_without_a_slash(house):
    for address in (house.address, f"{house.address}/"):
        assert memobase.Memobase(project_url=address, api_key="any").ping()


@pytest.mark.parametrize("key", ["wrong", "echoic_" + "a" * 43, "x" * 5_000, "sk-project-secret"])
def test_a_key_that_is_none(house, key):
    """401 for everything but the health."""
    stranger = house.client(key)
    assert stranger.ping()
    for ask in (stranger.get_usage, stranger.get_config, stranger.add_user, stranger.get_all_users):
        with pytest.raises(httpx.HTTPStatusError, match="401"):
            ask()
    answer = stranger.client.get("/project/users")
    assert answer.json()["errno"] == 401 and set(answer.json()) == {"data", "errno", "errmsg"}


def test_the_configuration_is_kept_as_it_was_written(own_house):
    """Empty before and after; what is wrong is refused, and the last one stays."""
    admin = own_house.client()
    assert admin.get_config() == ""
    assert admin.update_config(STRICT) and admin.get_config() == STRICT
    wrong = ("a: [", "event_tags: 7", "profile_strict_mode: perhaps", "- a list", "x" * 65_536)
    for one in wrong:
        with pytest.raises(ServerError):
            admin.update_config(one)
    assert admin.get_config() == STRICT
    assert admin.update_config(None) and admin.get_config() == ""


def test_the_configuration_steers_what_is_asked_of_the_model(own_house, model):
    """Slots, descriptions, tags and themes."""
    admin = own_house.client()
    admin.update_config(STRICT)
    user = admin.get_user(admin.add_user(), no_get=True)
    tell(user, "My dog is called Biscuit.")
    user.flush(sync=True)
    asked = str(model.requests)
    for words in ("animals of the household", "its name", "What is said of animals", "emotion"):
        assert words in asked
    assert [(one.topic, one.sub_topic) for one in user.profile()] == [("pets", "dog")]
    user.add_profile("Acme", "work", "company")
    assert [one.topic for one in user.profile()] == ["pets"]


def test_what_was_used(own_house):
    """Today first; what it may cost is not limited."""
    client = own_house.client()
    user = client.get_user(client.add_user(), no_get=True)
    tell(user, "My dog is called Biscuit.")
    tell(user, "I live in Porto.")
    user.flush(sync=True)
    today, *_ = client.get_daily_usage(days=2)
    assert today["date"] == datetime.now(UTC).date().isoformat()
    assert today["total_insert"] == 2 and today["total_success_insert"] <= 2
    assert today["total_input_token"] >= 0 and today["total_output_token"] >= 0
    billing = client.get_usage()
    assert billing["token_left"] is None and {"next_refill_at", "project_token_cost_month"} <= set(billing)


def test_parameters_of_another_type(client):
    """422, without an envelope."""
    for path in ("/project/users?order_by=name", "/project/users?limit=many", "/project/usage?last_days=x"):
        answer = client.client.get(path)
        assert answer.status_code == 422 and "detail" in answer.json(), path


def test_a_route_that_is_none(client):
    """An error of HTTP, that both clients raise."""
    with pytest.raises(httpx.HTTPStatusError):
        client.client.get("/nothing").raise_for_status()
