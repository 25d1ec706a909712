"""`echoic doctor`: what is in use, whether it answers, and what to do if not.

Each part is asked on its own, briefly.
"""

import asyncio
import os
import platform
import shutil
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import ExitStack
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from echoic.local.admin import database
from echoic.local.admin.finding import ANSWER_S, Finding, State
from echoic.local.command_resources import folder_of, opened_model, opened_stores, with_model
from echoic.local.llm.grade import grade_sentence
from echoic.memory.config import LOCAL_EMBEDDING_MODEL, MemorySettings, load_settings
from echoic.memory.errors import MemoryFault
from echoic.memory.store.jobs import JobQueue

LOW_DISK_BYTES = 500_000_000
ROOM_VARIABLES = {
    "LIVEKIT_URL": "",
    "LIVEKIT_API_KEY": "",
    "LIVEKIT_API_SECRET": "",
    "DEEPGRAM_API_KEY": "ECHOIC_DEEPGRAM_URL",
    "OPENAI_API_KEY": "ECHOIC_TTS_URL",
}
"""What a call needs, and what does instead of it."""
GRAPH_ADVICE = (
    "Check the address and the password of the graph server; embedded: run/graph.log in its folder. Replies "
    "go on without it."
)
PACKAGES = ("livekit-agents", "mem0ai", "arq", "asyncpg", "onnxruntime")

MARKS: dict[State, str] = {"ok": "✓", "note": "·", "broken": "✗"}


async def examine(
    settings: MemorySettings, model_label: str, model_url: str, env: Mapping[str, str] = os.environ
) -> AsyncIterator[Finding]:
    """Each part's finding, as soon as it is known.

    Args:
        settings: with the addresses of the stores that are in use.
        model_label, model_url: the chosen language model, and where it answers (empty: at OpenAI, or there is
            none).
    """
    yield _python()
    yield _folder(settings)
    if settings.database_url.get_secret_value():
        yield await _asked(
            "Postgres",
            lambda: database.postgres(settings),
            "Check ECHOIC_DATABASE_URL; embedded: run/postgres.log in its folder.",
        )
        yield await _asked(
            "Schema",
            lambda: database.schema(settings),
            "Run `echoic migrate`; for another embedding model, `echoic reembed`.",
        )
        if _is_local(settings):
            yield await _asked("Languages", lambda: database.languages(settings), "Run `echoic migrate`.")
        yield await _asked("Learning", lambda: _learning(settings), "See `echoic jobs`.")
    if settings.redis_url.get_secret_value():
        yield await _asked(
            "Redis",
            lambda: _redis(settings),
            "Check ECHOIC_REDIS_URL. Replies and turns do not need Redis, learning does.",
        )
    yield await _asked("Graph", lambda: _graph(settings), GRAPH_ADVICE)
    yield await _asked(
        "Embeddings", lambda: _embedding(settings), "Install Echoic again, or check ECHOIC_EMBEDDING_URL."
    )
    yield await _asked(
        "Language model",
        lambda: _model(settings, model_label, model_url),
        "Check ECHOIC_LLM_URL and its key.",
    )
    yield await _asked("Spool", lambda: _spool(settings), "Check the permissions of the spool's folder.")
    yield _rooms(env)


def run_doctor(data_dir: Path | None, say: Callable[[str], None]) -> bool:
    """Open what can be opened, and say of each part how it is; whether all is well."""
    folder = folder_of(data_dir)
    settings, label, url = load_settings(data_dir=folder), "none", ""
    broken: list[Finding] = []
    with ExitStack() as stack:
        try:
            settings = stack.enter_context(opened_stores(folder, "doctor"))
        except MemoryFault as exc:
            broken.append(Finding("Stores", "broken", str(exc)))
        try:
            choice = stack.enter_context(opened_model(settings))
            settings, label, url = with_model(settings, choice), choice.label, choice.url
        except MemoryFault as exc:
            broken.append(Finding("Language model", "broken", str(exc)))
        return asyncio.run(report(examine(settings, label, url), broken, say))


async def report(findings: AsyncIterator[Finding], broken: list[Finding], say: Callable[[str], None]) -> bool:
    """Say each finding as it comes, with what to do; True when nothing is broken.

    Args:
        broken: what was found before; parts of the same name are not said twice.
    """
    known = {finding.part for finding in broken}
    well = not broken
    for finding in broken:
        _say(finding, say)
    async for finding in findings:
        if finding.part not in known:
            _say(finding, say)
            well = well and finding.state != "broken"
    return well


def _say(finding: Finding, say: Callable[[str], None]) -> None:
    say(f"{MARKS[finding.state]} {finding.part}: {finding.says}")
    if finding.advice and finding.state != "ok":
        say(f"    {finding.advice}")


def _python() -> Finding:
    found = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}; " + ", ".join(
        map(_package, PACKAGES)
    )
    if not (3, 11) <= sys.version_info[:2] < (3, 14):
        return Finding("Python", "broken", found, "Use Python 3.11, 3.12 or 3.13.")
    return Finding("Python", "ok", found)


def _package(name: str) -> str:
    try:
        return f"{name} {version(name)}"
    except PackageNotFoundError:
        return f"no {name}"


def _folder(settings: MemorySettings) -> Finding:
    folder = settings.data_dir
    if folder is None or not folder.is_dir():
        return Finding("Data folder", "note", f"{folder} is not there yet; it is made when it is needed")
    free = shutil.disk_usage(folder).free
    says = f"{folder}, {free / 1e9:.1f} GB free"
    if not os.access(folder, os.W_OK | os.X_OK):
        return Finding(
            "Data folder",
            "broken",
            f"{folder} cannot be written",
            "Choose another with --data-dir, or change its permissions.",
        )
    if free < LOW_DISK_BYTES:
        return Finding(
            "Data folder",
            "broken",
            says,
            "Free some disk space: turns that cannot be stored are lost when the process ends.",
        )
    return Finding("Data folder", "ok", says)


async def _asked(part: str, ask: Callable[[], Awaitable[Finding]], advice: str) -> Finding:
    try:
        async with asyncio.timeout(ANSWER_S):
            return await ask()
    except TimeoutError:
        return Finding(part, "broken", f"no answer within {ANSWER_S:g} s", advice)
    except MemoryFault as exc:
        return Finding(part, "broken", str(exc), advice)
    except Exception as exc:  # any driver's own error: the part is broken, the others are still to be asked
        return Finding(part, "broken", f"failed ({type(exc).__name__})", advice)


async def _redis(settings: MemorySettings) -> Finding:
    import redis.asyncio

    async with redis.asyncio.Redis.from_url(
        settings.redis_url.get_secret_value(), socket_timeout=ANSWER_S
    ) as client:
        server, disk = await client.info("server"), await client.info("persistence")
    says = f"{server['redis_version']}"
    if not disk.get("aof_enabled"):
        advice = (
            "Set `appendonly yes`: without it a restart forgets queued jobs (the sweeper finds the turns "
            "again, later)."
        )
        return Finding("Redis", "note", f"{says}, nothing survives its restart", advice)
    return Finding("Redis", "ok", f"{says} with an append-only file")


async def _graph(settings: MemorySettings) -> Finding:
    from echoic.memory.graph.backend import open_backend

    backend = open_backend(settings)
    if backend is None:
        return Finding("Graph", "note", "off; ECHOIC_GRAPH=on turns it on")
    try:
        began = time.perf_counter()
        says = await backend.ping()
        elapsed_ms = (time.perf_counter() - began) * 1000
    finally:
        await backend.close()
    says = f"{says}, answers in {elapsed_ms:.1f} ms"
    if settings.extractor == "off" or not (settings.llm_url or settings.llm_api_key.get_secret_value()):
        return Finding(
            "Graph", "note", f"{says}; nothing new is entered, because no language model learns facts"
        )
    return Finding("Graph", "ok", says)


def _is_local(settings: MemorySettings) -> bool:
    """Whether the local models embed."""
    return settings.embedding_model == LOCAL_EMBEDDING_MODEL and not settings.embedding_url


async def _embedding(settings: MemorySettings) -> Finding:
    from echoic.memory.embedding.embedder import open_embedder

    embedder = await asyncio.to_thread(open_embedder, settings)
    try:
        began = time.perf_counter()
        await embedder.embed("Where did I leave my keys?")
        elapsed_ms = (time.perf_counter() - began) * 1000
    finally:
        await embedder.close()
    url = settings.embedding_url
    where = f"at {url}" if url else "on this machine, checksums verified"
    return Finding(
        "Embeddings",
        "ok",
        f"{embedder.name}, {embedder.dimensions} numbers, {where}, {elapsed_ms:.0f} ms a question",
    )


async def _learning(settings: MemorySettings) -> Finding:
    import asyncpg

    from echoic.memory.store.queries import query

    connection = await asyncpg.connect(settings.database_url.get_secret_value(), timeout=ANSWER_S)
    try:
        states = dict(await connection.fetch("select state, count(*) from turns group by state"))
        dead = await connection.fetchval("select count(*) from batches where state = 'dead'")
        refused = sum(row["texts"] for row in await connection.fetch(query("texts_refused"), None))
        stuck = len(await connection.fetch(query("void_graphs_that_fail")))
    finally:
        connection.terminate()
    waiting = states.get("open", 0) + states.get("learning", 0)
    says = f"{waiting} turns wait, {states.get('learned', 0)} are learned"
    failed = {
        "batches failed for good": dead,
        "turns cannot be embedded": refused,
        "graphs of erased people cannot be removed": stuck,
    }
    if any(failed.values()):
        told = ", ".join(f"{count} {what}" for what, count in failed.items() if count)
        return Finding(
            "Learning", "broken", f"{says}, {told}", "See `echoic jobs`, and `echoic jobs --rerun ID`."
        )
    has_model = bool(settings.llm_url or settings.llm_api_key.get_secret_value())
    if waiting and has_model and not await _are_jobs_taken(settings):
        advice = "Start a worker: `echoic worker`. `echoic flush --user ID --wait` learns one person's here."
        return Finding("Learning", "note", f"{says}; no worker takes jobs", advice)
    return Finding("Learning", "ok", says)


async def _are_jobs_taken(settings: MemorySettings) -> bool:
    jobs = JobQueue(settings.redis_url.get_secret_value())
    try:
        return await jobs.are_taken()
    finally:
        await jobs.close()


async def _model(settings: MemorySettings, label: str, url: str) -> Finding:
    name = "Language model"
    label = label.removeprefix(f"{name}: ")
    if not url:
        return Finding(name, "note", label)
    import httpx

    key = settings.llm_api_key.get_secret_value()
    async with httpx.AsyncClient(timeout=ANSWER_S) as client:
        answer = await client.get(
            f"{url.rstrip('/')}/models", headers={"Authorization": f"Bearer {key or 'none'}"}
        )
    if answer.status_code in (401, 403):
        refused = f"{label}: the key was refused ({answer.status_code})"
        return Finding(name, "broken", refused, "Check OPENAI_API_KEY.")
    if answer.status_code >= 400:
        return Finding(name, "note", f"{label}: answers, but does not list its models ({answer.status_code})")
    return Finding(name, "ok", f"{label} {await grade_sentence(settings, url, settings.llm_model)}")


async def _spool(settings: MemorySettings) -> Finding:
    from echoic.memory.service import spool_folder
    from echoic.memory.store.spool import Spool

    folder = spool_folder(settings)
    spool = Spool(folder)
    found = await spool.inspect()
    await spool.close()
    if found.set_aside or found.odd or found.damaged:
        told = {
            "damaged lines not set aside (is `aside` in it a folder of yours, with room?)": found.damaged,
            "lines set aside, damaged or refused by the database": found.set_aside,
            "files there are none that Echoic can read": found.odd,
            "turns wait": found.waiting,
        }
        says = ", ".join(f"{count} {what}" for what, count in told.items() if count)
        advice = (
            "See `echoic jobs` for the reasons, and `echoic jobs --rerun ID`. Nothing else waits for them."
        )
        return Finding("Spool", "broken", f"{says} ({folder})", advice)
    if found.waiting:
        return Finding(
            "Spool",
            "note",
            f"{found.waiting} turns wait in {folder} for the database; any `echoic` command takes them there",
        )
    return Finding("Spool", "ok", f"empty ({folder})")


def _rooms(env: Mapping[str, str]) -> Finding:
    missing = [name for name, instead in ROOM_VARIABLES.items() if not env.get(name) and not env.get(instead)]
    if missing:
        return Finding(
            "LiveKit rooms",
            "note",
            f"not set up: {', '.join(missing)} missing; `echoic dev` needs none of them",
        )
    return Finding("LiveKit rooms", "ok", f"{env['LIVEKIT_URL']}, with who hears and who speaks")
