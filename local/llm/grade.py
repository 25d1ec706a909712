"""How far the chosen model is trusted to learn facts, in one sentence for `doctor` and `talk`."""

import asyncpg

from echoic.memory.config import MemorySettings
from echoic.memory.model_verdict import SENTENCES, Verdict, verdict_on

CONNECT_S = 5.0


async def grade_sentence(settings: MemorySettings, url: str, model: str) -> str:
    """As the setting says, or as the model fared when it was tried. Raises no fault: a talk begins anyway."""
    if settings.llm_grade:
        return f"ECHOIC_LLM_GRADE={settings.llm_grade}: {SENTENCES[settings.llm_grade]}."
    address = settings.database_url.get_secret_value()
    try:
        verdict = await _kept(address, url, model) if address else None
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        address = ""
    if not address:
        return "How far it is trusted is not known: the database does not say."
    if verdict is None:
        return "It is tried before it learns; `echoic model try` shows how it fares."
    return f"As tried, {verdict.sentence}."


async def _kept(address: str, url: str, model: str) -> Verdict | None:
    connection = await asyncpg.connect(address, timeout=CONNECT_S)
    try:
        return await verdict_on(connection, url, model)
    finally:
        connection.terminate()
