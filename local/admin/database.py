"""What `echoic doctor` asks Postgres."""

import time
from collections import Counter

import asyncpg

from echoic.local.admin.finding import ANSWER_S, Finding
from echoic.memory.config import MemorySettings
from echoic.memory.embedding import e5
from echoic.memory.embedding.universal import LANGUAGES
from echoic.memory.text.language import language_of

_LATEST = """
    select user_id, coalesce(language, '') as language, string_agg(left(text, 300), ' ') as words
    from (select * from turns where role = 'user' order by ref desc limit 1000) as latest
        left join user_settings using (user_id)
    group by user_id, language
"""


async def postgres(settings: MemorySettings) -> Finding:
    """Whether it answers, and can hold vectors."""
    connection = await asyncpg.connect(settings.database_url.get_secret_value(), timeout=ANSWER_S)
    try:
        began = time.perf_counter()
        number = await connection.fetchval("show server_version")
        elapsed_ms = (time.perf_counter() - began) * 1000
        vectors = await connection.fetchval("select extversion from pg_extension where extname = 'vector'")
    finally:
        connection.terminate()
    if vectors is None:
        return Finding(
            "Postgres", "broken", f"{number} without pgvector", "Install pgvector, then run `echoic migrate`."
        )
    return Finding("Postgres", "ok", f"{number} with pgvector {vectors}, answers in {elapsed_ms:.1f} ms")


async def schema(settings: MemorySettings) -> Finding:
    """Whether it fits this version and its embedding model, and what is still to be embedded."""
    from echoic.memory.store.migrate import check_schema, migrations
    from echoic.memory.store.reembed import left_to_refill

    connection = await asyncpg.connect(settings.database_url.get_secret_value(), timeout=ANSWER_S)
    try:
        await check_schema(connection)
        stored = await connection.fetchval("select value from settings where key = 'embedding'")
        turns, facts = await connection.fetchrow(
            "select (select count(*) from turns), (select count(*) from facts)"
        )
        left = await left_to_refill(connection)
    finally:
        connection.terminate()
    wanted = f"{settings.embedding_model}:{settings.embedding_dimensions}"
    says = f"number {max(migrations())}, {turns} turns, {facts} facts, vectors of {stored or 'no model yet'}"
    if stored not in (None, wanted):
        return Finding(
            "Schema",
            "broken",
            f"{says}, but the settings say {wanted}",
            "Run `echoic reembed`, or set the embedding model back.",
        )
    if left:
        return Finding(
            "Schema",
            "note",
            f"{says}; {left} are not yet embedded by all of it, and found as before or by their words",
            "Nothing: the worker embeds them anew (`echoic worker`).",
        )
    return Finding("Schema", "ok", says)


async def languages(settings: MemorySettings) -> Finding:
    """Whether the local models know the languages of the latest callers."""
    if e5.installed():
        return Finding("Languages", "ok", "the embedding models know a hundred")
    connection = await asyncpg.connect(settings.database_url.get_secret_value(), timeout=ANSWER_S)
    try:
        by_words = await _languages_by_words(connection)
    finally:
        connection.terminate()
    if not by_words:
        return Finding("Languages", "ok", "the embedding models know those of the latest callers")
    listed = ", ".join(f"{code} ({callers})" for code, callers in sorted(by_words.items()))
    return Finding(
        "Languages",
        "note",
        f"found by their words alone, not by meaning: callers who speak {listed}",
        "For meaning too: pip install 'echoic[languages]', or ECHOIC_EMBEDDING_URL.",
    )


async def _languages_by_words(connection: asyncpg.Connection) -> dict[str, int]:
    """How many of the latest callers speak each such language, by their choice or else by their words."""
    rows = await connection.fetch(_LATEST)
    spoken = Counter(
        row["language"].partition("-")[0].lower() or language_of([row["words"]]).code for row in rows
    )
    return {code: callers for code, callers in spoken.items() if code and code not in LANGUAGES}
