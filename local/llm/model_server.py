"""A model file behind an OpenAI-compatible address on this machine, shared by the processes of one data
folder.

A daemon starts, restarts and stops it, as it does the stores; the group is named after the file, so two files
can be served.
"""

import hashlib
import json
import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path

from echoic.local.paths import run_folder
from echoic.local.ports import LOOPBACK, are_free, free_ports, is_ok
from echoic.memory.errors import ConfigInvalid, MemoryFault, ModelUnavailable, StoreUnavailable
from echoic.memory.hosting.daemon import Server, serve
from echoic.memory.hosting.daemon_client import join_servers
from echoic.memory.hosting.files import write_private

LOAD_S = 180.0  # a large file from a slow disk; 1.1 GB takes 2-4 s
MAGIC = b"GGUF"


@dataclass(frozen=True, slots=True)
class Address:
    """A port, and a key without which other users of this machine are turned away.

    Kept in a file, the same after a restart.
    """

    port: int
    key: str

    @classmethod
    def read(cls, file: Path) -> "Address":
        return cls(**json.loads(file.read_text()))


@contextmanager
def served(file: Path, name: str, data_dir: Path) -> Iterator[tuple[str, str]]:
    """Share a server of `file`, which calls itself `name`, until the block ends: its address and key.

    Raises:
        ConfigInvalid: it is no model, or the wheel that serves it is missing.
        ModelUnavailable: it did not start.
    """
    run_dir = run_folder(data_dir)
    group = f"model-{hashlib.sha256(os.fsencode(file)).hexdigest()[:8]}"
    daemon = ["echoic.local.llm.model_server", str(run_dir), group, str(file), name]
    with ExitStack() as stack:
        try:
            state = stack.enter_context(join_servers(run_dir, group, daemon, start_s=LOAD_S))
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
        self._choose_address()

    def is_ready(self, pid: int, output: str) -> bool:
        """Its health page needs no key and says when the model is loaded."""
        return is_ok(Address.read(self._address_file).port, "/health")

    def explain(self, output: str) -> MemoryFault:
        lines = [line for line in output.splitlines() if line.strip()]
        return ConfigInvalid(
            f"llama.cpp cannot serve {self._file}: {lines[-1] if lines else 'it said nothing'}"
        )

    def _choose_address(self) -> None:
        """The one it had, so that clients find it again after a restart; another one if somebody else took
        its port."""
        if not self._address_file.exists() or not are_free([Address.read(self._address_file).port]):
            write_private(self._address_file, asdict(Address(free_ports(1)[0], secrets.token_urlsafe(24))))


def main(run_dir: Path, group: str, file: Path, name: str) -> None:
    """Keep the file served until nobody uses it."""
    serve(run_dir, group, lambda: [ModelServer(run_dir, group, file, name)])


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), sys.argv[4])
