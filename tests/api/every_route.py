"""Every route of the app, also those that its document leaves out: what is sent to each, and who may."""

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

CHARACTERS = "/channels/characters"
OPEN = {"/livez", "/readyz", "/v1/openapi.json", "/", f"{CHARACTERS}/memory/health"}
SIGNED = {"/channels/whatsapp"}
"""No key opens these."""
ANY_KEY = {"/v1/me", "/v1/models", "/v1/ping/"}
OVER_ALL = {"/v1/users", "/v1/statistics", "/v1/statistics/days", "/v1/events", "/metrics"}
OVER_OWN = {"/v1/entities/", "/v1/events/", "/entities"}
"""Over all, and for a person's key over that person."""
BY_REQUEST = ("/v1/chat/", *(f"{at}/memories" for at in ("", "/v1", "/v2", "/v3")), "/search")
BY_REQUEST += (
    "/v1/batch/",
    "/v1/feedback/",
    "/v1/event/",
    "/mcp",
    "/channels/dify/",
    f"{CHARACTERS}/firebase/",
)
"""Begin routes where a header, a body, a query or a memory's id says whose memory it is."""
ACCOUNT = {("delete", "/v1/users/{user_id}"), ("get", "/v1/users/{user_id}/export")}
ACCOUNT |= {
    ("delete", f"{at}/entities/{{kind}}/{{name}}{end}") for at, end in (("/v1", "/"), ("/v2", "/"), ("", ""))
}
NOT_OFFERED = ("/v1/exports/", "/v1/summary/", "/v2/entities/user/", "/v2/profiles/", "/api/v1/")
"""Begin routes of Mem0's platform that say to whoever has a key that they are not there."""

ANYBODYS = {"filters": {"user_id": "{user}"}}
BODIES: dict[tuple[str, str], Any] = {
    ("post", "/v1/users/{user_id}/facts"): {"text": "Has a dog."},
    ("patch", "/v1/users/{user_id}/facts/{fact_id}"): {"topic": "pets"},
    ("post", "/v1/users/{user_id}/search"): {"text": "What is my dog called?"},
    ("post", "/v1/users/{user_id}/context"): {},
    ("post", "/v1/users/{user_id}/profile"): {"topic": "pets", "values": ["Has a dog."]},
    ("post", "/v1/users/{user_id}/profile/needed"): {"said": [{"role": "user", "text": "My dog!"}]},
    ("put", "/v1/users/{user_id}/profile/{slot_id}"): {"values": ["Has a dog."]},
    ("patch", "/v1/users/{user_id}/episodes/{episode_id}"): {"summary": "A dog."},
    ("put", "/v1/profile/configuration"): {"text": ""},
    ("patch", "/v1/users/{user_id}/settings"): {"language": "de"},
    ("patch", "/v1/settings"): {"llm_model": "m"},
    ("post", "/v1/chat/completions"): {"messages": [{"role": "user", "content": "Hello!"}]},
    ("post", "/mcp"): {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": "get_user_profiles"},
    },
    ("post", "/channels/dify/retrieval"): {"knowledge_id": "{user}", "query": "dog"},
    ("post", f"{CHARACTERS}/firebase/message-created"): {
        "user_id": "{user}",
        "character_name": "Luna",
        "text": "I have a dog",
    },
    ("put", "/v1/batch/"): {"memories": [{"memory_id": "{fact}", "text": "Has two cats"}]},
    ("delete", "/v1/batch/"): {"memories": [{"memory_id": "{fact}"}]},
    ("post", "/v1/feedback/"): {"memory_id": "{fact}", "feedback": "POSITIVE"},
    **{
        ("post", path): {"messages": "I have a dog", "user_id": "{user}"}
        for path in ("/v3/memories/add/", "/v1/memories/", "/memories")
    },
    **{("post", f"/{version}/memories/"): ANYBODYS for version in ("v2", "v3")},
    **{
        ("post", path): ANYBODYS | {"query": "dog"}
        for path in ("/v3/memories/search/", "/v2/memories/search/", "/v1/memories/search/", "/search")
    },
    **{
        ("put", path): {"text": "Has two cats"}
        for path in ("/v1/memories/{memory_id}/", "/memories/{memory_id}")
    },
}


OWN_FORMS = ({"detail", "code"}, {"error_code", "error_msg"})
"""Of refusals to clients of Mem0, and to Dify."""


MEMOBASE = "/api/v1/"
MEM0S = ("/api/v1/orgs/", "/api/v1/webhooks/")


def operations(app: Any, *, memobase: bool = False) -> list[tuple[str, str]]:
    """Method and path of each, but for sockets (test_socket.py) and the page's files.

    Args:
        memobase: its routes, which refuse within a frame (tests/api/memobase/test_access.py), or the others.
    """
    return [
        (method.lower(), path)
        for path, route in _routes(app.routes)
        for method in getattr(route, "methods", None) or ()
        if method != "HEAD" and (path.startswith(MEMOBASE) and not path.startswith(MEM0S)) == memobase
    ]


def _routes(routes: list[Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Also those of routers that were included whole."""
    for route in routes:
        if (router := getattr(route, "original_router", None)) is not None:
            yield from _routes(router.routes, prefix + route.include_context.prefix)
        else:
            path = f"{prefix}{route.path}"
            yield path.replace(":id}", "}").replace(":path}", "}"), route


def request_to(method: str, path: str, user_id: str, fact_id: str) -> dict[str, Any]:
    """What httpx's `request` is given, to ask this route about this person and their fact."""
    url = path.format(
        **dict.fromkeys(("fact_id", "memory_id", "event_id"), fact_id),
        **dict.fromkeys(("batch_id", "turn_id", "slot_id", "episode_id"), uuid4()),
        **dict.fromkeys(("provider_id", "task_id", "key_id"), uuid4()),
        user_id=user_id,
        call_id="call",
        other_id="other",
        character_name="Luna",
        kind="user",
        name=user_id if "/entities/" in path else "none",
        rest="x/",
    )
    # a stream would not end: this id is refused after the guard has let in
    headers = {"Last-Event-ID": "none"} if path.endswith("/events") else {"Echoic-User": user_id}
    body = json.dumps(BODIES.get((method, path))).replace("{user}", user_id).replace("{fact}", fact_id)
    params = {"user_id": user_id} if path.rstrip("/") in ("/v1/memories", "/memories") else {}
    if path.startswith(f"{CHARACTERS}/memory/search/"):
        params = {"query": "dog"}
    if path == "/mcp":
        headers["Accept"] = "application/json, text/event-stream"
    return {"method": method, "url": url, "headers": headers, "json": json.loads(body), "params": params}


def may(role: str | None, owns: bool, method: str, path: str) -> bool:
    """The rule, written down once more and without the code's help.

    Args:
        owns: the key's person, or anybody for a key of another role, is the one that it is about.
    """
    if path in SIGNED:
        return False
    if path in OPEN or role == "admin":
        return True
    if role is None:
        return False
    if path in ANY_KEY or path.startswith(NOT_OFFERED):
        return True
    if (method, path) in ACCOUNT:
        return role == "user" and owns
    if path.endswith("/links/{other_id}"):  # nobody makes somebody else's memory theirs
        return role == "service"
    if path in OVER_OWN:
        return True
    if "{user_id}" in path or path.startswith(BY_REQUEST):
        return owns or role == "service"
    return role == "service" and path in OVER_ALL


def is_refusal(status: int, path: str) -> bool:
    """Somebody else's memory is unknown by its id, and a channel that is not set up is not there."""
    hidden = path in SIGNED or (path.startswith(BY_REQUEST) and not path.startswith("/v1/chat/"))
    return status in (401, 403) or (hidden and status == 404)
