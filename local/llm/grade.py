"""How far the chosen model is trusted to learn facts, in one sentence for `doctor` and `talk`."""

import asyncpg

from echoic.memory.config import MemorySettings
from echoic.memory.model_verdict import SENTENCES, verdict_on

CONNECT_S = 5.0


async def grade_sentence(settings: MemorySettings, url: str, model: str) -> str:
    """As the setting says, or as the model fared when it was tried.

    Raises:
        OSError, asyncpg.PostgresError, TimeoutError: Postgres does not say.
    """
    if settings.llm_grade:
        return f"ECHOIC_LLM_GRADE={settings.llm_grade}: {SENTENCES[settings.llm_grade]}."
    connection = await asyncpg.connect(settings.database_url.get_secret_value(), timeout=CONNECT_S)
    try:
        verdict = await verdict_on(connection, url, model)
    finally:
        connection.terminate()
    if verdict is None:
        return "It is tried before it learns; `echoic model try` shows how it fares."
    return f"As tried, {verdict.sentence}."
