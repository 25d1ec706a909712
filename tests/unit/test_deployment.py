"""docker-compose.yml and the Dockerfile, read as Docker would read them, without an engine."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from arq.constants import health_check_key_suffix

from echoic.memory.store.jobs import QUEUE

ROOT = Path(__file__).resolve().parents[2]
SERVICES: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
ONE_SHOT = {"migrate"}
VARIABLE = re.compile(r"(?<!\$)\$\{(?P<name>[A-Z_0-9]+)(?P<rest>[^}]*)\}")
SECRET = re.compile(r"PASSWORD|SECRET|API_KEY|PHONE_KEY")


def strings(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for one in value.values() for text in strings(one)]
    if isinstance(value, list):
        return [text for one in value for text in strings(one)]
    return [str(value)]


def test_there_is_everything_a_deployment_needs() -> None:
    """The stores, the room server, and our four processes."""
    assert set(SERVICES) == {"postgres", "redis", "neo4j", "livekit", "migrate", "agent", "worker", "api"}
    assert SERVICES["neo4j"]["profiles"] == ["graph"]
    assert "--appendonly yes" in SERVICES["redis"]["command"][-1]


@pytest.mark.parametrize("name", SERVICES)
def test_image_has_an_exact_tag(name: str) -> None:
    """The same file starts the same versions next year: a tag with at least two numbers, never `latest`."""
    assert re.search(r":v?\d+\.\d+(\.\d+)?([-.\w]+)?$", SERVICES[name]["image"])


@pytest.mark.parametrize("name", SERVICES)
def test_health_is_checked(name: str) -> None:
    """Whoever waits for a service waits until it answers; what runs once is waited for until it succeeded."""
    if name in ONE_SHOT:
        assert SERVICES[name]["restart"] == "no"
    else:
        assert SERVICES[name]["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")
    for other, condition in (SERVICES[name].get("depends_on") or {}).items():
        expected = "service_completed_successfully" if other in ONE_SHOT else "service_healthy"
        assert condition["condition"] == expected


def test_worker_is_asked_for_the_sign_of_life_that_it_gives() -> None:
    """arq's key, under the name of our queue."""
    assert f"'{QUEUE}{health_check_key_suffix}'" in SERVICES["worker"]["healthcheck"]["test"][-1]


def test_agent_is_restarted_only_when_it_does_not_run() -> None:
    """`/` is 503 while Postgres is away: a restart for that would end calls that go on without it."""
    assert "127.0.0.1:8081/live'" in SERVICES["agent"]["healthcheck"]["test"][-1]


@pytest.mark.parametrize(
    ("name", "variable"), [("agent", "ECHOIC_METRICS_PORT"), ("worker", "ECHOIC_WORKER_METRICS_PORT")]
)
def test_metrics_reach_this_machine(name: str, variable: str) -> None:
    """Served on the container's own address, at the published port, by the process that has them."""
    environment = SERVICES[name]["environment"]
    assert environment["ECHOIC_METRICS_HOST"] == "0.0.0.0"
    assert [port.rpartition(":")[2] for port in SERVICES[name]["ports"]] == [environment[variable]]


def test_agent_and_worker_read_the_settings_of_the_operator() -> None:
    """Keys come from .env; nothing here overrides them, not even by an empty text."""
    ours = {"ECHOIC_IDENTITY_SECRET", "ECHOIC_PHONE_KEY", "DEEPGRAM_API_KEY", "OPENAI_API_KEY"}
    for name in ("agent", "worker"):
        assert SERVICES[name]["env_file"] == [{"path": ".env", "required": False}]
        assert not ours & set(SERVICES[name]["environment"])


def test_no_password_has_a_default() -> None:
    """A secret is a variable that must be set, with a sentence saying so, or one that Neo4j refuses empty."""
    asked = set()
    for text in strings(SERVICES):
        for found in VARIABLE.finditer(text):
            if SECRET.search(found["name"]):
                assert re.match(r"^(:\?.{8,}|:-|)$", found["rest"]), found[0]
                if found["rest"].startswith(":?"):
                    asked.add(found["name"])
    assert asked == {"POSTGRES_PASSWORD", "REDIS_PASSWORD", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET"}
    for service in SERVICES.values():
        for variable, value in (service.get("environment") or {}).items():
            if SECRET.search(variable):
                assert value.startswith("${"), variable


def test_ports_stay_on_this_machine() -> None:
    """Every port is bound to loopback unless the operator says otherwise; only LiveKit's can be opened."""
    for name, service in SERVICES.items():
        for port in service.get("ports", []):
            bound = "${LIVEKIT_BIND_ADDRESS:-127.0.0.1}:" if name == "livekit" else "127.0.0.1:"
            assert port.startswith(bound), port


def test_what_must_survive_is_in_a_volume() -> None:
    """Rows, the queue, the graph and the spool outlive their containers."""
    mounts = {name: service["volumes"][0] for name, service in SERVICES.items() if service.get("volumes")}
    # the place where the image of Postgres 18 keeps its data
    assert mounts["postgres"] == "postgres:/var/lib/postgresql"
    assert mounts["redis"].endswith(":/data")
    assert mounts["neo4j"].endswith(":/data")
    assert (
        mounts["agent"] == mounts["worker"] == f"spool:{SERVICES['agent']['environment']['ECHOIC_DATA_DIR']}"
    )


def test_example_names_every_variable_that_compose_reads() -> None:
    """.env.example tells of each of them, and the development file sets each that is required."""
    example, development = (ROOT / ".env.example").read_text(), (ROOT / ".env.development").read_text()
    for text in strings(SERVICES):
        for found in VARIABLE.finditer(text):
            assert re.search(rf"^#? ?{found['name']}=", example, re.MULTILINE), found["name"]
            if found["rest"].startswith(":?"):
                assert re.search(rf"^{found['name']}=\S+$", development, re.MULTILINE), found["name"]


def test_image_is_not_root_and_installs_by_hash() -> None:
    """The last stage ends as an ordinary user; nothing is installed that the locks do not name."""
    dockerfile = (ROOT / "Dockerfile").read_text()
    stages = dockerfile.split("\nFROM ")
    assert re.findall(r"^USER (\S+)", stages[-1], re.MULTILINE) == ["echoic"]
    for command in re.findall(r"pip install ([^&]*?)(?:\\\n\s+&&|\n[A-Z]|$)", dockerfile, re.DOTALL):
        assert "--require-hashes" in command or "--no-deps" in command


def test_graph_needs_one_setting_beside_the_profile() -> None:
    """Agent and worker know Neo4j's address and password; whether the graph is on stays with .env."""
    for name in ("agent", "worker", "migrate"):
        environment = SERVICES[name]["environment"]
        assert (
            environment["ECHOIC_NEO4J_URL"].endswith("-bolt://neo4j:7687}")
            and "ECHOIC_GRAPH" not in environment
        )
        assert environment["ECHOIC_NEO4J_PASSWORD"] == "${NEO4J_PASSWORD:-}"
        assert "neo4j" not in SERVICES[name]["depends_on"]  # replies go on without it
    assert SERVICES["neo4j"]["environment"]["NEO4J_db_logs_query_enabled"] == "OFF"
