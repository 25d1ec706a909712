"""Which speech is taken, and the sentence when a key is missing or wrong."""

from collections.abc import Callable

import httpx
import pytest

from echoic.agent import speech as ears
from echoic.agent.config import load_agent_settings
from echoic.agent.speech import check_speech, choose_speech, turn_handling
from echoic.memory.errors import ConfigInvalid

BOTH = {"DEEPGRAM_API_KEY": "d", "OPENAI_API_KEY": "o"}


@pytest.fixture
def without_local(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ears, "_local_is_installed", lambda: False)


@pytest.fixture
def with_local(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ears, "_local_is_installed", lambda: True)


def answering(statuses: dict[str, int]) -> httpx.AsyncClient:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.host not in statuses:
            raise httpx.ConnectError("no network")
        return httpx.Response(statuses[request.url.host])

    return httpx.AsyncClient(transport=httpx.MockTransport(answer))


@pytest.mark.parametrize(
    ("speech", "env", "taken"),
    [
        ("auto", BOTH, "cloud"),
        ("auto", {}, "local"),
        ("auto", {"OPENAI_API_KEY": "for the language model"}, "local"),
        ("local", BOTH, "local"),
        ("cloud", BOTH, "cloud"),
    ],
)
@pytest.mark.usefixtures("with_local")
def test_keys_decide_unless_a_setting_does(speech: str, env: dict[str, str], taken: str) -> None:
    """Both keys: the cloud. A key for the language model alone does not send a voice anywhere."""
    assert choose_speech(load_agent_settings(speech=speech), env) == taken


@pytest.mark.parametrize(
    ("speech", "env", "named"),
    [
        ("auto", {"DEEPGRAM_API_KEY": "d"}, "OPENAI_API_KEY"),
        ("cloud", {}, "DEEPGRAM_API_KEY, OPENAI_API_KEY"),
        ("cloud", {"OPENAI_API_KEY": "o"}, "DEEPGRAM_API_KEY"),
        ("auto", {}, "DEEPGRAM_API_KEY, OPENAI_API_KEY"),
    ],
)
@pytest.mark.usefixtures("without_local")
def test_a_missing_key_is_named(speech: str, env: dict[str, str], named: str) -> None:
    """A sentence at start, with the way to do without keys."""
    with pytest.raises(ConfigInvalid, match=rf"^Not set: {named}\. .*ECHOIC_SPEECH=local"):
        choose_speech(load_agent_settings(speech=speech), env)


@pytest.mark.parametrize(
    ("statuses", "named"),
    [
        ({"api.deepgram.com": 401, "api.openai.com": 200}, "DEEPGRAM_API_KEY is refused"),
        ({"api.deepgram.com": 200, "api.openai.com": 401}, "OPENAI_API_KEY is refused"),
    ],
)
async def test_a_wrong_key_stops_the_start(statuses: dict[str, int], named: str) -> None:
    """Better a sentence than a room in which nobody is heard; the key itself is not in it."""
    with pytest.raises(ConfigInvalid, match=named):
        await check_speech(load_agent_settings(), BOTH, client=answering(statuses))


async def test_right_keys_and_no_network() -> None:
    """Right keys say nothing; without a network the worker starts, and says what it could not ask."""
    settings = load_agent_settings()
    assert (
        await check_speech(settings, BOTH, client=answering({"api.deepgram.com": 200, "api.openai.com": 200}))
        == ""
    )
    unsure = await check_speech(settings, BOTH, client=answering({}))
    assert "https://api.deepgram.com/v1 and https://api.openai.com/v1 cannot be reached" in unsure


async def test_keys_go_to_the_address_that_is_set() -> None:
    """Whoever sets OPENAI_BASE_URL has the key asked there."""
    env = BOTH | {"OPENAI_BASE_URL": "https://models.example.com/v1/"}
    with pytest.raises(ConfigInvalid, match="OPENAI_API_KEY"):
        await check_speech(
            load_agent_settings(), env, client=answering({"api.deepgram.com": 200, "models.example.com": 403})
        )


@pytest.mark.usefixtures("with_local")
async def test_servers_of_ones_own_are_taken_without_a_key() -> None:
    """An address is enough; whether a key is needed there, the server says."""
    settings = load_agent_settings(deepgram_url="http://ears:8080/v1/", tts_url="http://voice:8880/v1")
    assert choose_speech(settings, {}) == "cloud"
    assert await check_speech(settings, {}, client=answering({"ears": 404, "voice": 404})) == ""
    with pytest.raises(ConfigInvalid, match=r"DEEPGRAM_API_KEY is refused .401. at http://ears:8080/v1:"):
        await check_speech(settings, {}, client=answering({"ears": 401, "voice": 200}))


@pytest.mark.parametrize(
    "url",
    [
        "deepgram:8080/v1",
        "ws://ears/v1",
        "http://",
        "http://ears:port/v1",
        "http://ears/v1?key=1",
        "http://maya:pw@ears/v1",
    ],
)
@pytest.mark.parametrize("name", ["deepgram_url", "tts_url"])
def test_an_address_that_is_none_is_refused_when_it_is_read(name: str, url: str) -> None:
    """Not in the first call: the sentence names the variable."""
    with pytest.raises(ConfigInvalid, match=f"ECHOIC_{name.upper()} is wrong: "):
        load_agent_settings(**{name: url})


@pytest.mark.usefixtures("with_local")
async def test_local_speech_asks_nobody(recorded: Callable[[], httpx.AsyncClient]) -> None:
    """Without keys nothing leaves the machine."""
    assert await check_speech(load_agent_settings(), {}, client=recorded()) == ""


@pytest.fixture
def recorded() -> Callable[[], httpx.AsyncClient]:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise AssertionError(f"asked {request.url}")

    return lambda: httpx.AsyncClient(transport=httpx.MockTransport(refuse))


def test_turns_are_judged_here() -> None:
    """Neither choice is one of LiveKit's cloud: the model is the one that runs on this machine."""
    assert turn_handling(load_agent_settings(turn_detection="vad"))["turn_detection"] == "vad"
    chosen = turn_handling(load_agent_settings())
    assert chosen["interruption"]["mode"] == "vad"
    assert chosen["turn_detection"].model == "turn-detector-v1-mini"  # type: ignore[union-attr]
