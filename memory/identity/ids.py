"""Names of users, agents and calls, as every store, index and notice can hold them."""

from hashlib import sha256

from echoic.memory.errors import ConfigInvalid
from echoic.memory.text.words import clean

MAX_ID_CHARS = 200


def check_user_id(user_id: str) -> None:
    """Raises ConfigInvalid unless the id is 1 to 200 characters of text that every store can hold."""
    _check("A user id", user_id)


def check_agent_id(agent_id: str) -> None:
    """The same for the name of an agent."""
    _check("An agent id", agent_id)


def storable(call_id: str) -> str:
    """A call's id as every store can hold it: rooms may be called anything."""
    is_storable = call_id and len(call_id) <= MAX_ID_CHARS and clean(call_id) == call_id
    return call_id if is_storable else sha256(call_id.encode(errors="surrogatepass")).hexdigest()


def _check(what: str, name: str) -> None:
    if not name.strip() or len(name) > MAX_ID_CHARS or clean(name) != name:
        raise ConfigInvalid(
            f"{what} is 1 to {MAX_ID_CHARS} characters of text, without NUL; got {len(name)} characters."
        )
