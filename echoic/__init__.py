"""Memory for LiveKit voice agents: what a caller said is recalled before each reply, within one deadline.

```python
import echoic

session = AgentSession(stt=…, llm=…, tts=…)
await echoic.remember(session, ctx)  # any Agent, unchanged
await session.start(agent=Assistant(), room=ctx.room)
```

Everything named here is public and follows semantic versioning; `echoic.agent`, `echoic.memory`, … below it
may change with any version. Importing this opens nothing and loads nothing heavy.
"""

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from echoic.agent.assistant import Remembers as Remembers
    from echoic.agent.openai_client.client import openai_memory as openai_memory
    from echoic.agent.remember import Remembered as Remembered
    from echoic.agent.remember import memory_of as memory_of
    from echoic.agent.remember import remember as remember
    from echoic.memory.config import MemorySettings as Settings
    from echoic.memory.direct import Memories as Memories
    from echoic.memory.direct import OpenMemory as OpenMemory
    from echoic.memory.direct import open_direct as open
    from echoic.memory.errors import ConfigInvalid as ConfigInvalid
    from echoic.memory.errors import MemoryFault as MemoryFault
    from echoic.memory.errors import ModelUnavailable as ModelUnavailable
    from echoic.memory.errors import SchemaMismatch as SchemaMismatch
    from echoic.memory.errors import StoreUnavailable as StoreUnavailable
    from echoic.memory.types import Caller as Caller
    from echoic.memory.types import Fact as Fact
    from echoic.memory.types import Item as Item
    from echoic.memory.types import Recall as Recall
    from echoic.memory.types import Turn as Turn

__version__ = "0.1.0"

_DOOR = {
    "remember": "agent.remember",
    "Remembered": "agent.remember",
    "memory_of": "agent.remember",
    "Remembers": "agent.assistant",
    "openai_memory": "agent.openai_client.client",
    "open": "memory.direct:open_direct",
    "OpenMemory": "memory.direct",
    "Memories": "memory.direct",
    "Settings": "memory.config:MemorySettings",
    "Caller": "memory.types",
    "Fact": "memory.types",
    "Item": "memory.types",
    "Recall": "memory.types",
    "Turn": "memory.types",
    "ConfigInvalid": "memory.errors",
    "MemoryFault": "memory.errors",
    "ModelUnavailable": "memory.errors",
    "SchemaMismatch": "memory.errors",
    "StoreUnavailable": "memory.errors",
}
"""Public name -> where it is: loaded when it is first used."""

__all__ = [
    "Caller",
    "ConfigInvalid",
    "Fact",
    "Item",
    "Memories",
    "MemoryFault",
    "ModelUnavailable",
    "OpenMemory",
    "Recall",
    "Remembered",
    "Remembers",
    "SchemaMismatch",
    "Settings",
    "StoreUnavailable",
    "Turn",
    "__version__",
    "memory_of",
    "open",
    "openai_memory",
    "remember",
]

if os.path.isfile(os.path.join(os.path.dirname(__file__), "memory")):
    sys.exit(
        "This copy of Echoic was unpacked without its links (echoic/memory is a file): clone it with git on "
        "a file system that has links, or install the wheel: pip install echoic."
    )


def __getattr__(name: str) -> Any:
    if name not in _DOOR:
        raise AttributeError(f"module 'echoic' has no attribute {name!r}")
    module, _, other = _DOOR[name].partition(":")
    value = globals()[name] = getattr(import_module(f"echoic.{module}"), other or name)
    return value


def __dir__() -> list[str]:
    return __all__
