"""Callers whose language the local embedding models do not know: they are found by their words alone."""

from collections import Counter

import asyncpg

from echoic.memory.embedding.universal import LANGUAGES
from echoic.memory.text.language import language_of

_LATEST = """
    select user_id, coalesce(language, '') as language, string_agg(left(text, 300), ' ') as words
    from (select * from turns where role = 'user' order by ref desc limit 1000) as latest
        left join user_settings using (user_id)
    group by user_id, language
"""


async def languages_by_words(connection: asyncpg.Connection) -> dict[str, int]:
    """How many of the latest callers speak each such language, by their choice or else by their words."""
    rows = await connection.fetch(_LATEST)
    spoken = Counter(
        row["language"].partition("-")[0].lower() or language_of([row["words"]]).code for row in rows
    )
    return {code: callers for code, callers in spoken.items() if code and code not in LANGUAGES}
