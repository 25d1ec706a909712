"""`echoic api`, a worker and the client as three processes would run them: nobody calls anything of ours."""

import memobase
import pytest

from tests.api.test_command import echoic, served
from tests.clients.memobase.said import tell
from tests.processes import environment
from tests.worker_process import ADDRESSES, worker_process

pytestmark = pytest.mark.timeout(180)  # each process imports for two seconds, ten on a busy machine


def test_from_nothing_to_a_context(memory_settings):
    """A key is made, an address and a key are changed, and the client's memory works."""
    variables = environment(
        {f"ECHOIC_{name.upper()}": _text(getattr(memory_settings, name)) for name in ADDRESSES}
    )
    key = echoic(variables, "keys", "add", "my program", "--role", "service").strip()
    with worker_process(memory_settings), served(variables) as (address, _):
        client = memobase.MemoBaseClient(project_url=address, api_key=key)
        assert client.ping()
        user = client.get_user(client.add_user())
        tell(user, "I am called Gus.")
        user.flush(sync=True)  # however long the worker takes to start
        assert user.event() == []
        tell(user, "My dog is called Biscuit.")
        user.flush()
        assert len(user.event()) == 1
        assert "Biscuit" in user.context(chats=[{"role": "user", "content": "What is my dog called?"}])


def _text(value):
    return value.get_secret_value() if hasattr(value, "get_secret_value") else str(value)
