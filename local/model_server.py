"""A model file behind an OpenAI-compatible address on this machine, shared by the processes of one data folder.

The same keeper as that of the stores starts, restarts and stops it; the group is named after the file, so two files can be served.
"""

import hashlib
import http.client
import json
import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path

from local.keeper import Server, serve
from local.paths import open_data_dir, private_folder
from local.ports import LOOPBACK, are_free, free_ports
from local.sharing import joined
from memory.errors import ConfigInvalid, MemoryFault, ModelUnavailable, StoreUnavailable

LOAD_S = 180.0  # a large file from a slow disk; 1.1 GB takes 2-4 s
ANSWER_S = 0.5
MAGIC = b"GGUF"


@dataclass(frozen=True, slots=True)
class Address:
    """A port, and a key without which other users of this machine are turned away. Kept in a file, the same after a restart."""

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
    run_dir = private_folder(open_data_dir(data_dir) / "run")
    group = f"model-{hashlib.sha256(os.fsencode(file)).hexdigest()[:8]}"
    keeper = ["local.model_server", str(run_dir), group, str(file), name]
    with ExitStack() as stack:
        try:
            state = stack.enter_context(joined(run_dir, group, keeper, start_s=LOAD_S))
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
        self.command = [sys.executable, "-P", "-m", "local.model_process", str(file), name, str(self._address_file)]

    def prepare(self) -> None:
        if find_spec("xllamacpp") is None:
            raise ConfigInvalid("Nothing here can serve a model file: `pip install 'echoic[local]'`, or set OPENAI_API_KEY.")
        try:
            with self._file.open("rb") as file:
                is_model = file.read(len(MAGIC)) == MAGIC
        except OSError as exc:
            raise ConfigInvalid(f"The model file {self._file} cannot be read ({exc.strerror}).") from exc
        if not is_model:
            raise ConfigInvalid(f"{self._file} is not a GGUF model file.")
        self._choose_address()

    def is_ready(self, pid: int) -> bool:
        """Its health page needs no key and says when the model is loaded."""
        connection = http.client.HTTPConnection(LOOPBACK, Address.read(self._address_file).port, timeout=ANSWER_S)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False  # not listening yet
        finally:
            connection.close()

    def explain(self, output: str) -> MemoryFault:
        lines = [line for line in output.splitlines() if line.strip()]
        return ConfigInvalid(f"llama.cpp cannot serve {self._file}: {lines[-1] if lines else 'it said nothing'}")

    def _choose_address(self) -> None:
        """The one it had, so that clients find it again after a restart; another one if somebody else took its port."""
        if self._address_file.exists() and are_free([Address.read(self._address_file).port]):
            return
        new = self._address_file.with_suffix(".new")
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(asdict(Address(free_ports(1)[0], secrets.token_urlsafe(24))), file)
        new.replace(self._address_file)


def main(run_dir: Path, group: str, file: Path, name: str) -> None:
    """Keep the file served until nobody uses it."""
    serve(run_dir, group, lambda: [ModelServer(run_dir, group, file, name)])


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), sys.argv[4])
