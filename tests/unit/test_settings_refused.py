"""A setting that cannot work is refused when it is read, with a sentence that names the variable."""

import random
from pathlib import Path

import pytest

from echoic.agent.config import AgentSettings, load_agent_settings
from echoic.local.paths import data_dir
from echoic.memory.config import MemorySettings, load_settings
from echoic.memory.embedding.embedder import open_embedder
from echoic.memory.errors import ConfigInvalid, MemoryFault
from echoic.memory.service import open_memory
from echoic.memory.store.database import Database
from echoic.memory.store.jobs import JobQueue

REFUSED = {
    "DATABASE_URL": [
        "mysql://h/db", "postgresql://h:port/db", "postgresql://h:99999/db", "postgresql://[::1/db", "h:5432",
        "postgresql://a\nb/db", "http://h/db", f"postgresql://{'a' * 70}/db",
    ],
    "REDIS_URL": [
        "localhost:6379", "redis://h:port", "redis://h:70000/0", "redis://", "redis://h/0?db=first",
        "redis://h?colour=red", "http://h:6379", "redis://h:0",
    ],
    "FALKORDB_URL": ["falkor://h", "redis://h:x", "redis://h?a=b"],
    "NEO4J_URL": ["h:7687", "http://h:7474", "bolt://h:x", "neo4j+tls://h", "bolt://"],
    "LLM_URL": ["api.example.com/v1", "ftp://h/v1", "http://", "http://h:x/v1", "https://h:99999"],
    "EMBEDDING_URL": ["localhost:8080", "file:///etc/passwd", "http://[::1", f"http://{'x' * 64}.de"],
    "LLM_API_KEY": ["sk clé", "two words", "tab\tkey"],
    "EMBEDDING_API_KEY": ["ключ"],
    "AGENT_ID": ["x" * 201, "caf\udce9", "half \udc80"],
    "TIMEZONE": ["Mars", "../etc/passwd", "Europe", "\udc80"],
    "DATA_DIR": ["/tmp/caf\udce9"],
    "NEO4J_USER": ["\udcff"],
    "BREAKER_FAILURES": ["0", "1" + "0" * 30, "-1", "many", "1e400", "nan"],
    "LEARN_IDLE_S": ["0", "1e9", "99999999999999999999"],
    "LEARN_TOKENS": ["99", "1" + "0" * 20],
    "MODEL_TIMEOUT_S": ["0", "1" + "0" * 20, "inf"],
    "METRICS_PORT": ["-1", "65536", "http"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, some in REFUSED.items() for value in some]
)
def test_a_value_that_cannot_work_names_its_variable(name, value, monkeypatch):
    """And is not repeated: an address may hold a password."""
    monkeypatch.setenv(f"ECHOIC_{name}", value)
    with pytest.raises(ConfigInvalid, match=f"ECHOIC_{name} is wrong") as refused:
        load_settings()
    assert name in ("TIMEZONE",) or len(value) < 9 or value not in str(refused.value)


@pytest.mark.parametrize("region", ["XX", "ZZ", "QQ", "EU"])
def test_a_region_exists(region, monkeypatch):
    """Two letters alone make no country with telephone numbers."""
    monkeypatch.setenv("ECHOIC_PHONE_REGION", region)
    with pytest.raises(ConfigInvalid, match="ECHOIC_PHONE_REGION is wrong"):
        load_agent_settings()
    assert load_agent_settings(phone_region="DE").phone_region == "DE"


TAKEN = [
    {"database_url": "postgresql:///echoic?host=/run/postgres"},
    {"database_url": "postgres://u:p%40ss@h1:5432,h2:5433/db?sslmode=require"},
    {"database_url": "postgresql://u@[::1]:5432/db"},
    {"redis_url": "unix:///run/redis.sock?db=3"},
    {"redis_url": "rediss://:secret@h:6380/2"},
    {"neo4j_url": "neo4j+s://h:7687"},
    {"llm_url": "http://[::1]:8080/v1"},
    {"llm_url": "https://api.openai.com/v1", "llm_api_key": "sk-A_b.c~1"},
    {"agent_id": "café ☕"},
]


@pytest.mark.parametrize("given", TAKEN, ids=lambda given: ",".join(given))
def test_what_drivers_take_is_taken(given):
    """Sockets, several hosts, IPv6, options."""
    load_settings(**given)


@pytest.mark.parametrize("name", ["~nobody-of-this-name/data", "/tmp/caf\udce9", "/tmp/a\0b"])
def test_a_folder_that_cannot_be_named_is_a_sentence(name):
    """Before anything is made."""
    with pytest.raises(ConfigInvalid, match="choose another folder"):
        data_dir(Path(name))


ODD = ["", " ", "\udc80", "a b", "x" * 5_000, "%%%", "://", "redis://", "postgresql://h?sslmode=odd", "postgresql://@:0",
       "http://user:p@ss@h:1/", "-1", "1e9", "🦊", "unix://", "bolt://h:1/x?y#z", "postgresql://h/db?port=x",
       "redis://h/0?socket_timeout=x", "redis://h/0?max_connections=-1", "postgresql:///?host=/nowhere&port=0",
       "postgresql://127.0.0.1:1/db?sslmode=verify-full&sslrootcert=/nowhere", "/dev/null/x"]  # fmt: skip


@pytest.mark.parametrize("number", range(60))
async def test_no_value_of_a_setting_reaches_a_fault_that_is_not_known(number, monkeypatch, tmp_path):
    """Whatever is in the environment: it works, or it is a sentence."""
    chance, told = random.Random(number), "It works."
    monkeypatch.setenv("ECHOIC_DATA_DIR", str(tmp_path))
    for name in chance.sample(sorted(MemorySettings.model_fields | AgentSettings.model_fields), 2):
        if name not in ("metrics_host", "metrics_port", "worker_metrics_port"):
            monkeypatch.setenv(
                f"ECHOIC_{name.upper()}", chance.choice([one for one in ODD if "\0" not in one])
            )
    try:
        load_agent_settings()
        settings = load_settings()
        if not settings.database_url.get_secret_value():
            settings = load_settings(database_url="postgresql://127.0.0.1:1/db")
        data_dir(settings.data_dir)
        async with open_memory(settings, need_stores=False) as memory:
            await memory.jobs.depth()
            await memory.db.ping()
    except MemoryFault as exc:
        told = str(exc)
    assert told.endswith((".", ")", "`"))


async def ask_postgres(url):
    db = Database(load_settings(database_url=url).database_url.get_secret_value(), timeout_s=1)
    try:
        await db.ping()
    finally:
        await db.close()


async def ask_redis(url):
    jobs = JobQueue(load_settings(redis_url=url).redis_url.get_secret_value())
    try:
        await jobs.depth()
    finally:
        await jobs.close()


@pytest.mark.parametrize("url", [one for one in ODD if one.startswith(("postgres", "://", "%"))])
async def test_an_address_of_postgres_that_is_none_is_refused_or_unreachable(url):
    """Read or used."""
    with pytest.raises(MemoryFault):
        await ask_postgres(url)


@pytest.mark.parametrize("url", [one for one in ODD if one.startswith(("redis", "unix"))])
async def test_an_address_of_redis_that_is_none_is_refused_or_unreachable(url):
    """Read or used."""
    with pytest.raises(MemoryFault):
        await ask_redis(url)


async def test_an_embedder_elsewhere_is_a_sentence_too():
    """Nobody answers there."""
    embedder = open_embedder(load_settings(embedding_url="http://127.0.0.1:1/v1"))
    with pytest.raises(MemoryFault):
        await embedder.embed("words")
    await embedder.close()
