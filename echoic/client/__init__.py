"""A typed client for the memory API, for programs of one's own: it needs httpx, and none of the rest.

```python
from echoic.client import MemoryClient

with MemoryClient("http://127.0.0.1:8090", key="echoic_…") as memory:
    fact = memory.add_fact("maya", text="Has a dog called Biscuit.", topic="pets")
    memory.change_fact("maya", fact.fact_id, version=fact.version, importance=0.9)
    for fact in memory.list_facts("maya", topic="pets"):
        print(fact.text)
```

`AsyncMemoryClient` has the same methods: each is named as the route's `operationId`. What is left out of an
edit stays, None takes it away. A refusal is raised as `Refused`, a server that cannot be reached as
`Unreachable`. The folder `written` is made from the OpenAPI document by `tools/client.py`.
"""

from echoic.client.asynchronous import AsyncMemoryClient
from echoic.client.errors import AnswerUnreadable, ClientFault, Refused, Unreachable
from echoic.client.events import Event
from echoic.client.synchronous import MemoryClient

__all__ = [
    "AnswerUnreadable",
    "AsyncMemoryClient",
    "ClientFault",
    "Event",
    "MemoryClient",
    "Refused",
    "Unreachable",
]
