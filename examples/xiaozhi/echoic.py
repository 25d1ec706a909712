"""Echoic as the memory of a xiaozhi ESP32 server: this file is the whole provider, and needs httpx.

Copy it to `core/providers/memory/echoic/echoic.py` of the server, and choose it in `data/.config.yaml`:

    selected_module:
      Memory: echoic
    Memory:
      echoic:
        type: echoic
        url: http://127.0.0.1:8090   # of `echoic api`
        api_key: …                   # `echoic keys add xiaozhi --role service`
        agent_id: xiaozhi            # optional: whose memory; default: the device's agent, else the API's
        budget_ms: 300               # optional: longest an answer waits for memory
"""

import asyncio
import json
from datetime import datetime
from urllib.parse import quote

import httpx

from ..base import MemoryProviderBase, logger

TAG = __name__
BUDGET_MS, NETWORK_S = 300, 0.3
SAVE_S, SAVE_AGAIN_S = 10.0, (1.0, 3.0)
TURNS_A_REQUEST = 200
QUERY_CHARS, TURN_CHARS = 2_000, 20_000
NOT_NOW = (429, 502, 503, 504)


class MemoryProvider(MemoryProviderBase):
    """What a device's user says is remembered, and known in every other channel of the same user id.

    Nothing here raises or outlasts its limit: a memory that is away costs an answer 0.6 s at most. No client
    is kept, because the server saves in a thread with an event loop of its own; what reads the machine's
    certificates, 20 ms, is.
    """

    def __init__(self, config, summary_memory=None):
        super().__init__(config)
        self.url = str(config.get("url") or "http://127.0.0.1:8090").rstrip("/")
        self.api_key = str(config.get("api_key") or "")
        self.agent_id = config.get("agent_id") or None
        self.budget_ms = int(config.get("budget_ms") or BUDGET_MS)
        self.certificates = httpx.create_ssl_context(trust_env=False)

    async def query_memory(self, query: str) -> str:
        """Lines of what is remembered for these words, newest first; empty when there is nothing, or not in
        time."""
        words = _spoken(query)[-QUERY_CHARS:].strip()
        if not (words and self.role_id):
            return ""
        body = {"text": words, "budget_ms": self.budget_ms, **self._agent()}
        try:
            limit_s = self.budget_ms / 1000 + NETWORK_S
            found = await asyncio.wait_for(self._post("search", body, limit_s), limit_s)
            used = sorted(found["used"], key=lambda item: item["said_at"], reverse=True)
            return "\n".join(_line(item) for item in used)
        except Exception as exc:
            self._complain("recall", exc)
            return ""

    async def save_memory(self, msgs, context=None, session_id=None):
        """Store what was said in one connection; the same messages again are stored once.

        Args:
            context: the id of the session, or a dict that holds it; servers differ.
        """
        if isinstance(context, dict):
            session_id = context.get("session_id") or session_id
        elif context:
            session_id = context
        turns = [turn for message in msgs if (turn := _turn(message))]
        if not (turns and self.role_id):
            return
        about = {"call_id": f"xiaozhi.{session_id or turns[0]['id']}"[:200], **self._agent()}
        try:
            for start in range(0, len(turns), TURNS_A_REQUEST):
                part = turns[start : start + TURNS_A_REQUEST]
                ended = start + TURNS_A_REQUEST >= len(turns)
                await self._save({**about, "turns": part, "ended": ended})
        except Exception as exc:
            self._complain("save", exc)
        return

    async def _save(self, body):
        for wait_s in SAVE_AGAIN_S:
            try:
                return await self._post("turns", body, SAVE_S)
            except httpx.TransportError:
                await asyncio.sleep(wait_s)
            except httpx.HTTPStatusError as exc:
                if exc.response.status_code not in NOT_NOW:
                    raise
                await asyncio.sleep(wait_s)
        return await self._post("turns", body, SAVE_S)

    async def _post(self, what, body, timeout_s):
        address = f"{self.url}/v1/users/{quote(str(self.role_id), safe='')}/{what}"
        headers = {"Authorization": f"Bearer {self.api_key}"} if self.api_key else {}
        async with httpx.AsyncClient(verify=self.certificates, timeout=timeout_s, trust_env=False) as client:
            answer = await client.post(address, json=body, headers=headers)
            answer.raise_for_status()
            return answer.json()

    def _agent(self):
        return {"agent_id": str(self.agent_id)} if self.agent_id else {}

    def _complain(self, what, exc):
        """Never with what was said: an exception's own text may hold it."""
        status = exc.response.status_code if isinstance(exc, httpx.HTTPStatusError) else ""
        logger.bind(tag=TAG).error(f"echoic: {what} failed: {type(exc).__name__} {status}".rstrip())


def _turn(message):
    """A message as the API takes it; None for prompts, tools, examples of the server and silence."""
    if message.role not in ("user", "assistant") or getattr(message, "is_temporary", False):
        return None
    text = _spoken(message.content).strip()[:TURN_CHARS]
    return {"role": message.role, "text": text, "id": str(message.uniq_id)} if text else None


def _spoken(content):
    """The words alone: who spoke, and in which mood, stand around them as JSON."""
    if not isinstance(content, str):
        return ""
    if content.lstrip().startswith("{"):
        try:
            inside = json.loads(content)
        except ValueError:
            return content
        if isinstance(inside, dict) and isinstance(inside.get("content"), str):
            return inside["content"]
    return content


def _line(item):
    said = datetime.fromisoformat(item["said_at"].replace("Z", "+00:00")).astimezone()
    text = " ".join(item["text"].split())
    if item["kind"] == "turn":
        text = f"{item['role']}: {text}"
    if item["valid_until"]:
        text += f" (until {item['valid_until'][:10]})"
    return f"- [{said:%Y-%m-%d %H:%M:%S}] {text}"
