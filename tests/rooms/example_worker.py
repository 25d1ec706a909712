"""An example as a user runs it, `echoic run -- python examples/NAME.py dev`, with a real LiveKit server."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from echoic.local.dev.livekit_server import LiveKitServer
from tests.processes import PATIENT, ROOT
from tests.rooms.worker import REGISTERED, AgentWorker

BIN = Path(sys.executable).parent
OUTPUT_CHARS = 8_000


@contextmanager
def example_worker(
    name: str, livekit: LiveKitServer, data_dir: Path, log: Path, env: Mapping[str, str]
) -> Iterator[AgentWorker]:
    """One example, registered when the block begins and gone when it ends.

    Args:
        env: beside LiveKit's address: where the models are, and what the example says is to be set.
    """
    kept = {one: os.environ[one] for one in ("HOME", "TMPDIR", "LANG") if one in os.environ}
    path = os.pathsep.join([str(BIN), os.environ["PATH"]])
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                *("echoic", "run", "--data-dir", str(data_dir), "--"),
                *("python", f"examples/{name}", "dev", "--no-reload"),
            ],
            cwd=ROOT,
            env={**kept, "PATH": path, **PATIENT, **livekit.environment, **env},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    worker = AgentWorker(process, log)
    try:
        worker.wait_said(REGISTERED)
        yield worker
    except BaseException:
        print(worker.output()[-OUTPUT_CHARS:])  # pytest shows it with the failure
        raise
    finally:
        worker.stop()
