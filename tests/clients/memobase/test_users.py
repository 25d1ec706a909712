"""Users of Memobase's client: made, looked up, changed, listed, erased; and what is no user."""

from uuid import UUID, uuid4, uuid5

import httpx
import pytest
from memobase.error import ServerError

from tests.clients.memobase.said import tell


def test_a_user_is_made_and_read(client):
    """With an id of the server's, or of the program's."""
    made = client.add_user(data={"name": "Gus"})
    assert UUID(made).version in (4, 5)
    assert client.get_user(made).fields["data"] == {"name": "Gus"}
    ours = str(uuid5(uuid4(), "gus"))
    assert client.add_user(id=ours) == ours
    assert client.get_user(ours).fields["data"] in (None, {})


def test_an_id_that_is_taken_is_refused(client, user):
    """Nobody is made twice, and the first keeps what is known of them."""
    with pytest.raises(ServerError):
        client.add_user(data={"name": "Bo"}, id=user.user_id)
    assert client.get_user(user.user_id).fields["data"] in (None, {})


def test_an_unknown_user_is_an_error_that_can_be_caught(client):
    """`get_or_create_user` rests on it."""
    nobody = str(uuid4())
    with pytest.raises(ServerError):
        client.get_user(nobody)
    assert client.get_or_create_user(nobody).user_id == nobody
    assert client.get_or_create_user(nobody).fields["data"] in (None, {})


def test_a_user_is_changed(client, user):
    """What Python sends is kept as it came."""
    assert client.update_user(user.user_id, {"plan": "gold"}) == user.user_id
    assert client.get_user(user.user_id).fields["data"] == {"data": {"plan": "gold"}}


def test_a_user_is_erased(client, user, house):
    """With all that was said, learned and kept of them: by an admin's key, as everywhere."""
    tell(user, "My dog is called Biscuit.")
    user.flush(sync=True)
    with pytest.raises(ServerError, match="service"):
        house.client(house.key("service")).delete_user(user.user_id)
    assert client.delete_user(user.user_id)
    with pytest.raises(ServerError):
        client.get_user(user.user_id)
    with pytest.raises(ServerError):
        client.delete_user(user.user_id)
    assert user.profile() == []
    assert house.run(house.memory.turns.list, user.user_id) == []
    assert house.run(house.memory.facts.list, user.user_id) == []


def test_the_project_lists_its_users(own_house):
    """A page at a time, by text of the id, in either order, with what there is of each."""
    client = own_house.client()
    ids = [client.add_user() for _ in range(3)]
    busy = client.get_user(ids[1])
    busy.add_profile("Acme", "work", "company")
    busy.add_profile("Cook", "work", "title")
    rows = client.get_all_users(order_by="profile_count", order_desc=True, limit=2)
    assert len(rows) == 2 and (rows[0]["id"], rows[0]["profile_count"]) == (ids[1], 2)
    (found,) = client.get_all_users(search=ids[2][:18])
    assert found["id"] == ids[2] and found["event_count"] == 0
    pages = [client.get_all_users(limit=1, offset=at)[0]["id"] for at in range(3)]
    assert sorted(pages) == sorted(ids)
    assert client.get_all_users(limit=1, offset=3) == []


@pytest.mark.parametrize("wrong", ["gus", "1", "0190163d-8694-7396-8c6d-d5a3f4a1e3f5"])
def test_an_id_that_is_no_uuid_of_theirs_is_refused(client, wrong):
    """As parameters are: 422, which is not the error of an unknown user."""
    with pytest.raises(httpx.HTTPStatusError) as refused:
        client.get_user(wrong)
    assert refused.value.response.status_code == 422


def test_two_users_apart(house, client):
    """A key of one person opens that person's memory and no other."""
    ana, bo = client.add_user(), client.add_user()
    client.get_user(bo).add_profile("Acme", "work", "company")
    (slot,) = client.get_user(bo).profile()
    mine = house.client(house.key("user", ana))
    mine.get_user(ana).add_profile("Cook", "work", "title")
    theirs = mine.get_user(bo, no_get=True)
    for ask in (
        lambda: mine.get_user(bo),
        lambda: theirs.profile(),
        lambda: theirs.context(),
        lambda: theirs.event(),
        lambda: theirs.delete_profile(slot.id),
        lambda: mine.get_user(ana).delete_profile(slot.id),
        lambda: mine.delete_user(bo),
    ):
        with pytest.raises((ServerError, httpx.HTTPStatusError)):
            ask()
    assert [one.content for one in client.get_user(bo).profile()] == ["Acme"]
