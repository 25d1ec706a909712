"""A model file behind an OpenAI-compatible address on this machine, shared by the processes of one data
folder.

A daemon starts, restarts and stops it, as it does the stores; the group is named after the file, so two files
can be served.
"""

import hashlib
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path

from echoic.local.paths import run_folder
from echoic.local.ports import LOOPBACK, Address, is_ok
from echoic.memory.errors import ConfigInvalid, MemoryFault, ModelUnavailable, StoreUnavailable
from echoic.memory.hosting.daemon import Server
from echoic.memory.hosting.daemon_client import join_servers
from echoic.memory.hosting.runner import last_line

LOAD_S = 180.0  # a large file from a slow disk; 1.1 GB takes 2-4 s
MAGIC = b"GGUF"


@contextmanager
def served(file: Path, name: str, data_dir: Path) -> Iterator[tuple[str, str]]:
    """Share a server of `file`, which calls itself `name`, until the block ends: its address and key.

    Raises:
        ConfigInvalid: it is no model, or the wheel that serves it is missing.
        ModelUnavailable: it did not start.
    """
    run_dir = run_folder(data_dir)
    group = f"model-{hashlib.sha256(os.fsencode(file)).hexdigest()[:8]}"
    servers = ["echoic.local.llm.model_server", str(run_dir), group, str(file), name]
    with ExitStack() as stack:
        try:
            state = stack.enter_context(join_servers(run_dir, group, servers, start_s=LOAD_S))
        except StoreUnavailable as exc:
            raise ModelUnavailable(str(exc)) from exc
        address = Address.read(Path(state.addresses[group]))
        yield f"http://{LOOPBACK}:{address.port}/v1", address.key


class ModelServer(Server):
    """llama.cpp serving one file."""

    ready_s = LOAD_S

    def __init__(self, run_dir: Path, group: str, file: Path, name: str) -> None:
        self.name, self.folder = group, run_dir
        self._file, self._address_file = file, run_dir / f"{group}.address"
        self.address = str(self._address_file)
        self.command = [
            sys.executable,
            "-P",
            "-m",
            "echoic.local.llm.model_process",
            str(file),
            name,
            str(self._address_file),
        ]

    def prepare(self) -> None:
        if find_spec("xllamacpp") is None:
            raise ConfigInvalid(
                "Nothing here can serve a model file: `pip install 'echoic[local]'`, or set OPENAI_API_KEY."
            )
        try:
            with self._file.open("rb") as file:
                is_model = file.read(len(MAGIC)) == MAGIC
        except OSError as exc:
            raise ConfigInvalid(f"The model file {self._file} cannot be read ({exc.strerror}).") from exc
        if not is_model:
            raise ConfigInvalid(f"{self._file} is not a GGUF model file.")
        Address.keep(self._address_file)

    def is_ready(self, pid: int, output: str) -> bool:
        """Its health page needs no key and says when the model is loaded."""
        return is_ok(Address.read(self._address_file).port, "/health")

    def explain(self, output: str) -> MemoryFault:
        return ConfigInvalid(f"llama.cpp cannot serve {self._file}: {last_line(output)}")


def servers(run_dir: str, group: str, file: str, name: str) -> list[ModelServer]:
    """The server, for its daemon."""
    return [ModelServer(Path(run_dir), group, Path(file), name)]
