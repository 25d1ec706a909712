"""The language model of a reply, and a sentence for each way it can fail."""

from dataclasses import dataclass, field
from typing import Literal, Protocol

from livekit.agents import (
    NOT_GIVEN,
    APIConnectionError,
    APIConnectOptions,
    APIStatusError,
    APITimeoutError,
    llm,
)
from livekit.agents.voice.agent_session import SessionConnectOptions

from echoic.agent.config import AgentSettings
from echoic.agent.terminal.quote import QuoteLLM
from echoic.memory import model_verdict
from echoic.memory.config import OPENAI_MODEL, QUOTE, MemorySettings
from echoic.memory.errors import ConfigInvalid
from echoic.memory.service import Memory


class ModelAddress(Protocol):
    """Where a model answers: what `echoic.local.llm.models` chose for a laptop, or what the settings say for
    a server."""

    @property
    def kind(self) -> str:
        """`quote` for none at all; else it speaks OpenAI's protocol."""
        ...

    @property
    def url(self) -> str: ...
    @property
    def api_key(self) -> str: ...
    @property
    def model(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Address:
    """A model as the settings name it."""

    kind: str
    url: str
    api_key: str = field(repr=False)
    model: str


def address_of(settings: MemorySettings) -> Address:
    """The model that the settings name; nothing on this machine is looked for.

    Raises:
        ConfigInvalid: none is named, or an address without its model.
    """
    key, model = settings.llm_api_key.get_secret_value(), settings.llm_model
    if model == QUOTE:
        return Address(QUOTE, "", "", QUOTE)
    if settings.llm_url and not model:
        raise ConfigInvalid(
            "ECHOIC_LLM_MODEL is not set: name the model that ECHOIC_LLM_URL (or OPENAI_BASE_URL) serves."
        )
    if not settings.llm_url and not key:
        raise ConfigInvalid(
            "No language model is set: OPENAI_API_KEY, or ECHOIC_LLM_URL and ECHOIC_LLM_MODEL."
        )
    return Address(
        "compatible" if settings.llm_url else "openai", settings.llm_url, key, model or OPENAI_MODEL
    )


def open_llm(address: ModelAddress) -> llm.LLM:
    """The model at an address, as LiveKit takes it; nothing is asked of it yet."""
    if address.kind == QUOTE:
        return QuoteLLM()
    from livekit.plugins import openai  # 1 s, which those who only quote need not wait

    return openai.LLM(
        model=address.model, base_url=address.url or NOT_GIVEN, api_key=address.api_key or "none"
    )


def connect_options(settings: AgentSettings) -> SessionConnectOptions:
    """LiveKit's own limits are 10 s, too short for a cold local model, and the end of the session after four
    failed replies."""
    patience = APIConnectOptions(
        timeout=settings.reply_timeout_s, max_retry=settings.reply_retries, retry_interval=1.0
    )
    return SessionConnectOptions(llm_conn_options=patience, max_unrecoverable_errors=10**9)


def explain(fault: BaseException, address: ModelAddress, settings: AgentSettings) -> str:
    """Why there is no reply, in a sentence without the provider's own text, which may quote the caller."""
    cause = _root(fault)
    where = address.url or "OpenAI"
    if isinstance(cause, APIStatusError):
        return _explain_status(cause.status_code, address.model, where)
    if isinstance(cause, APITimeoutError):
        return (
            f"The model at {where} did not answer within {settings.reply_timeout_s} s "
            "(ECHOIC_REPLY_TIMEOUT_S)."
        )
    if isinstance(cause, OSError) or type(cause).__name__ in ("ConnectError", "APIConnectionError"):
        return f"The model at {where} cannot be reached: is it running, and is its address right?"
    return f"The model at {where} answered something that is not a reply ({type(cause).__name__})."


def _explain_status(status: int, model: str, where: str) -> str:
    if status in (401, 403):
        return f"The model at {where} refused the key ({status}): check OPENAI_API_KEY."
    if status == 404:
        return f"There is no model {model!r} at {where} (404): check ECHOIC_LLM_MODEL and the address."
    if status == 429:
        return f"The model at {where} is over its quota or too busy (429): try again later."
    if status in (400, 413, 422):
        return (
            f"The model at {where} refused this request ({status}): it may be too long for it; a lower "
            "ECHOIC_CONTEXT_TOKENS helps."
        )
    return f"The model at {where} failed ({status}): try again."


def _root(fault: BaseException) -> BaseException:
    """The provider's own failure, behind LiveKit's "failed after 2 attempts"."""
    while (
        isinstance(fault, APIConnectionError)
        and not isinstance(fault, APITimeoutError)
        and fault.__cause__ is not None
    ):
        fault = fault.__cause__
    return fault


async def calls_tools(memory: Memory, address: ModelAddress, setting: Literal["auto", "on", "off"]) -> bool:
    """Whether the model is shown the tools: those at OpenAI, and those that our probes found able.

    A small local one calls them unasked, or cannot read its own prompt any more.
    """
    if setting != "auto" or address.kind in (QUOTE, "openai"):
        return setting == "on" or (setting == "auto" and address.kind == "openai")
    return await model_verdict.calls_tools(memory.db, address.url, address.model)
