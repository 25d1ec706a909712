"""Graphiti is imported here and nowhere before: that reads the environment, and takes 100 MB and a second.

Telemetry is off, its vectors have our length, no `.env` file is read on the way, and it logs nothing: its
messages hold names and facts.
"""

import importlib
import logging
import os
import warnings
from types import ModuleType

_BEFORE_IMPORT = {"GRAPHITI_TELEMETRY_ENABLED": "false", "PYTHON_DOTENV_DISABLED": "1"}


def load(module: str, dimensions: int) -> ModuleType:
    """A module of ours that imports Graphiti, e.g. `echoic.workers.graph.graphiti_store`."""
    before = {name: os.environ.get(name) for name in (*_BEFORE_IMPORT, "EMBEDDING_DIM")}
    os.environ.update(_BEFORE_IMPORT, EMBEDDING_DIM=str(dimensions))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # its own, about pydantic
            loaded = importlib.import_module(module)
    finally:
        for name, value in before.items():
            if name == "GRAPHITI_TELEMETRY_ENABLED":
                continue  # asked again at each event
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
    logging.getLogger("graphiti_core").setLevel(logging.CRITICAL + 1)
    return loaded
