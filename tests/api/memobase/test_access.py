"""Every route for every role and owner, in the frame."""

from itertools import product
from typing import Any
from uuid import uuid4

import pytest

from tests.api.conftest import Served
from tests.api.every_route import operations

MINE, OTHERS = str(uuid4()), str(uuid4())
SAID = {"role": "user", "content": "Hello"}
BODIES: dict[tuple[str, str], Any] = {
    ("post", "/project/profile_config"): {"profile_config": None},
    ("put", "/users/{user_id}"): {},
    ("post", "/blobs/insert/{user_id}"): {"blob_type": "chat", "blob_data": {"messages": [SAID]}},
    ("post", "/users/profile/{user_id}"): {"content": "x", "attributes": {"topic": "a", "sub_topic": "b"}},
    ("put", "/users/event/{user_id}/{event_id}"): {"event_tip": "x"},
    ("post", "/users/profile/import/{user_id}"): {"context": "x"},
    ("post", "/users/roleplay/proactive/{user_id}"): {"messages": [SAID]},
}
BODIES["put", "/users/profile/{user_id}/{profile_id}"] = BODIES["post", "/users/profile/{user_id}"]


def may(role: str, owns: bool, method: str, path: str) -> bool:
    """The rule, written down once more and without the code's help."""
    if role == "admin":
        return True
    if path == "/api/v1/project/profile_config":
        return False
    if (method, path) == ("delete", "/api/v1/users/{user_id}"):
        return role == "user" and owns
    return role == "service" or ("{user_id}" in path + (path == "/api/v1/users") * "{user_id}" and owns)


@pytest.mark.parametrize(
    ("role", "owns"), [*product(("admin", "service", "user"), (True, False)), (None, False)]
)
async def test_every_route_for_every_role_and_owner(
    served: Served, role: str | None, owns: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who may not is told 403 within the frame, and 401 without a key; who may gets an answer."""
    monkeypatch.setattr("echoic.api.memobase.learning.SYNC_S", 0.1)
    user_id = MINE if owns else OTHERS
    every = operations(served.app, memobase=True)
    assert len(every) == 29
    for method, path in every:
        if path == "/api/v1/healthcheck":
            continue
        url = path.format(
            user_id=user_id, kind="chat", **dict.fromkeys(("blob_id", "event_id", "profile_id"), uuid4())
        )
        body = BODIES.get((method, path.removeprefix("/api/v1")), {"id": user_id})
        client = (
            served.without_key() if role is None else served.client(role, MINE if role == "user" else None)
        )
        async with client as http:
            answer = await http.request(method, url, json=body, params={"query": "x"})
        if role is None:
            assert (answer.status_code, answer.json()["errno"]) == (401, 401), path
            continue
        assert answer.status_code == 200, (path, answer.text)
        assert (answer.json()["errno"] != 403) == may(role, owns, method, path), (method, path, answer.text)
