"""Speech without a key, for real: Piper speaks and Moonshine hears, in programs that are shared."""

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
from livekit import rtc
from livekit.agents import stt

from echoic.local.speech.client import HEARING_RATE, VOICE_RATE, ask
from echoic.local.speech.plugins import LocalSpeech, open_local_speech
from echoic.local.speech.server import missing
from echoic.local.speech.stt import LocalSTT
from echoic.memory.errors import ModelUnavailable
from echoic.memory.hosting.state import State, read_state
from tests.processes import wait_gone, wait_until

pytestmark = [
    pytest.mark.skipif(bool(missing()), reason=f"not installed here: {', '.join(missing())}"),
    pytest.mark.timeout(120),  # both models load, on a machine that may be busy
]
TABLE = "I would like to book a table for four people on Friday evening."
DOG = "My dog is called Bruno, and he loves the garden."
FRAME = HEARING_RATE // 50
FINAL, PARTIAL = stt.SpeechEventType.FINAL_TRANSCRIPT, stt.SpeechEventType.INTERIM_TRANSCRIPT


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("speech")


@pytest.fixture(scope="module")
def speech(folder: Path) -> Iterator[LocalSpeech]:
    with open_local_speech(folder) as opened:
        yield opened


async def voice(speech: LocalSpeech, text: str) -> bytes:
    """The sentence as a caller says it: 16 kHz, the same every time."""
    _, audio = await ask(speech.voice, {"text": text, "steady": True})
    resampler = rtc.AudioResampler(VOICE_RATE, HEARING_RATE, quality=rtc.AudioResamplerQuality.HIGH)
    frames = [*resampler.push(rtc.AudioFrame(audio, VOICE_RATE, 1, len(audio) // 2)), *resampler.flush()]
    return b"".join(bytes(frame.data) for frame in frames)


def silence(seconds: float) -> bytes:
    return bytes(2 * int(seconds * HEARING_RATE))


class Caller:
    """One stream of the plugin, and what it made of what was said."""

    def __init__(self, stream: stt.RecognizeStream) -> None:
        self._stream = stream
        self.events: list[stt.SpeechEvent] = []

    async def say(self, audio: bytes, *, pace: float = 0.0) -> None:
        """`pace` 1 is the speed of life, 0 as fast as it goes."""
        for at in range(0, len(audio), 2 * FRAME):
            part = audio[at : at + 2 * FRAME]
            self._stream.push_frame(rtc.AudioFrame(part, HEARING_RATE, 1, len(part) // 2))
            await asyncio.sleep(pace * FRAME / HEARING_RATE)

    def hang_up(self) -> None:
        self._stream.end_input()

    async def listen(self, until: stt.SpeechEventType | None = None) -> None:
        async for event in self._stream:
            self.events.append(event)
            if event.type is until:
                return

    def texts(self, kind: stt.SpeechEventType) -> list[str]:
        return [event.alternatives[0].text for event in self.events if event.type is kind]


@asynccontextmanager
async def caller(speech: LocalSpeech) -> AsyncIterator[Caller]:
    stream = speech.stt().stream()
    try:
        yield Caller(stream)
    finally:
        await stream.aclose()


async def test_a_name_that_memory_knows_is_heard_as_it_is_written(speech: LocalSpeech) -> None:
    """LiveKit's hook tells the ears which; one that is not said changes nothing, nor one in letters that they
    do not have."""
    asked = await voice(speech, "Where does Ottoline live?") + silence(1)
    ears, heard = speech.stt(), []
    for names in ([], ["Ottoline", "Thandiwe", "Łukasz Żółć", ""], ["Thandiwe"]):
        if names:
            ears._update_session_keyterms(names)
        stream = ears.stream()
        someone = Caller(stream)
        # faster than life, an utterance ends where the machine's load has it end, and is heard otherwise
        await someone.say(asked, pace=1)
        someone.hang_up()
        await someone.listen()
        heard.append(" ".join(someone.texts(FINAL)))
        await stream.aclose()
    assert ears.capabilities.keyterms and "Ottoline" not in heard[0]
    assert "Ottoline" in heard[1] and "Thandiwe" not in heard[1] + heard[2]


@pytest.mark.parametrize("seconds", [0.0, 0.01, 0.3])
async def test_next_to_nothing_is_heard_as_nothing(speech: LocalSpeech, seconds: float) -> None:
    answer, _ = await ask(speech.ears, {"terms": ["Ottoline"]}, silence(seconds))
    assert answer == {"text": ""}


async def test_what_is_spoken_is_heard(speech: LocalSpeech) -> None:
    """Words come while they are said; the final ones once, in order, with their times."""
    async with caller(speech) as someone:
        sentences = await voice(speech, TABLE) + silence(1) + await voice(speech, DOG) + silence(1)
        saying = asyncio.create_task(someone.say(sentences, pace=1))
        saying.add_done_callback(lambda _: someone.hang_up())
        await someone.listen()
        await saying
    finals = someone.texts(FINAL)
    assert len(finals) == 2
    assert {"table", "four", "friday"} <= words(finals[0])
    assert {"dog", "bruno", "garden"} <= words(finals[1])
    assert len(someone.texts(PARTIAL)) >= 2
    kinds = [
        event.type for event in someone.events if event.type is not stt.SpeechEventType.RECOGNITION_USAGE
    ]
    assert kinds[0] is stt.SpeechEventType.START_OF_SPEECH
    assert kinds[-2:] == [FINAL, stt.SpeechEventType.END_OF_SPEECH]
    said = next(event.alternatives[0] for event in someone.events if event.type is FINAL)
    assert said.start_time < 0.5 and 2.5 < said.end_time < 4.0


async def test_silence_and_noise_are_no_words(speech: LocalSpeech) -> None:
    """The model would hear "You" in silence: it is not asked."""
    noise = (np.random.default_rng(1).standard_normal(5 * HEARING_RATE) * 500).astype(np.int16).tobytes()
    async with caller(speech) as someone:
        await someone.say(silence(3) + noise)
        someone.hang_up()
        await someone.listen()
    assert someone.texts(FINAL) == []


async def test_a_track_that_stops_in_the_middle_of_a_word(speech: LocalSpeech) -> None:
    """What was heard until then is final within some two seconds, without a pause ever coming."""
    sentence = await voice(speech, TABLE)
    async with caller(speech) as someone:
        await someone.say(sentence[: len(sentence) // 3 * 2])
        await asyncio.wait_for(someone.listen(until=FINAL), 20)
    assert {"book", "table"} <= words(someone.texts(FINAL)[0])


async def test_flush_ends_an_utterance(speech: LocalSpeech) -> None:
    """A push-to-talk button that is released does not wait for a pause."""
    async with caller(speech) as someone:
        await someone.say(await voice(speech, TABLE))
        someone._stream.flush()
        someone.hang_up()
        await someone.listen()
    assert "friday" in words(" ".join(someone.texts(FINAL)))


async def test_a_monologue_is_cut_and_nothing_is_lost(speech: LocalSpeech) -> None:
    """Somebody who never pauses is read a dozen seconds at a time: no audio is kept for ever."""
    sentence = np.frombuffer(await voice(speech, TABLE), np.int16)
    loud = np.flatnonzero(np.abs(sentence) > 400)
    breathless = np.tile(sentence[loud[0] : loud[-1]], 10)
    async with caller(speech) as someone:
        await someone.say(breathless.tobytes())
        someone.hang_up()
        await someone.listen()
    finals = someone.texts(FINAL)
    assert len(finals) >= 2
    assert " ".join(finals).lower().count("friday") >= 8


async def test_first_sound_comes_before_the_reply_is_written(speech: LocalSpeech) -> None:
    """A comma is enough: the rest of the sentence need not exist yet."""
    async with speech.tts().stream() as reply:
        reply.push_text("I remember that, ")
        first = await asyncio.wait_for(anext(reply), 20)
        assert first.frame.sample_rate == VOICE_RATE
        reply.push_text("and your sister lives in Berlin.")
        reply.end_input()
        rest = [audio.frame async for audio in reply]
    assert 1.5 < sum(frame.duration for frame in rest) < 6


async def test_an_interrupted_reply_stops_the_synthesis(speech: LocalSpeech) -> None:
    """Nothing goes on speaking for nobody: the phrase at work is stopped, those behind it are never begun."""
    before, _ = await ask(speech.voice, {"count": True})
    long = (
        "that she found a new position as a nurse at a large hospital near the river "
        "and likes it very much indeed; " * 8
    )
    async with speech.tts().stream() as reply:
        reply.push_text(long)
        reply.end_input()
        async with asyncio.timeout(25):
            while (await ask(speech.voice, {"count": True}))[0]["asked"] == before["asked"]:
                await asyncio.sleep(0.002)
    async with asyncio.timeout(25):
        while True:
            after, _ = await ask(speech.voice, {"count": True})
            if after["spoken"] + after["stopped"] == after["asked"]:
                break
            await asyncio.sleep(0.01)
    assert after["stopped"] == before["stopped"] + 1
    assert after["asked"] <= before["asked"] + 2


async def test_a_reply_without_words_is_a_short_silence(speech: LocalSpeech) -> None:
    """LiveKit would take no audio for a failure, and ask three times more."""
    frame = await speech.tts().synthesize("…").collect()
    assert 0 < frame.duration < 0.5
    assert not np.frombuffer(frame.data, np.int16).any()


async def test_a_whole_recording(speech: LocalSpeech) -> None:
    """`recognize()` takes audio of any rate."""
    _, audio = await ask(speech.voice, {"text": DOG, "steady": True})
    event = await speech.stt().recognize(rtc.AudioFrame(audio, VOICE_RATE, 1, len(audio) // 2))
    assert "bruno" in words(event.alternatives[0].text)


async def test_servers_that_die_are_started_again(
    speech: LocalSpeech, folder: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both are killed in mid-call: they are waited for, no word is lost, and the log says so."""
    # not the limit is tested here, on a machine that may be busy
    monkeypatch.setattr("echoic.local.speech.client.RESTART_S", 60)
    sentence = await voice(speech, TABLE)
    pids = state(folder).pids
    async with caller(speech) as someone:
        middle = len(sentence) // 4 * 2
        await someone.say(sentence[:middle])
        for pid in pids.values():
            os.kill(pid, signal.SIGKILL)
        await someone.say(sentence[middle:] + silence(1))
        someone.hang_up()
        await someone.listen()
    frame = await speech.tts().synthesize(DOG).collect()
    assert frame.duration > 2
    assert "friday" in words(" ".join(someone.texts(FINAL)))
    assert set(state(folder).pids.values()).isdisjoint(pids.values())
    assert "speech.server_away" in caplog.messages


async def test_a_server_that_stays_away_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sentence after a limit, not a wait for ever."""
    monkeypatch.setattr("echoic.local.speech.client.RESTART_S", 0.1)
    with pytest.raises(ModelUnavailable, match="does not answer"):
        await ask(tmp_path / "nobody.sock", {})


async def test_ears_that_stay_away_do_not_end_the_call(
    speech: LocalSpeech, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Words that nobody could read are lost, and said to be; the caller's stream lives on."""
    monkeypatch.setattr("echoic.local.speech.client.RESTART_S", 0.1)
    deaf = LocalSTT(tmp_path / "nobody.sock")
    errors: list[stt.STTError] = []
    deaf.on("error", errors.append)
    stream = deaf.stream()
    someone, sentence = Caller(stream), await voice(speech, TABLE) + silence(1)
    for _ in range(2):
        await someone.say(sentence)
        await asyncio.wait_for(someone.listen(until=stt.SpeechEventType.END_OF_SPEECH), 20)
    someone.hang_up()
    await someone.listen()
    await stream.aclose()
    assert [error.recoverable for error in errors] == [True, True]
    assert caplog.messages.count("speech.words_lost") == 2


async def test_a_fault_does_not_quote(speech: LocalSpeech, caplog: pytest.LogCaptureFixture) -> None:
    """What goes wrong inside a server comes back as the name of its kind."""
    caplog.set_level(logging.DEBUG, logger="echoic")
    with pytest.raises(ModelUnavailable, match=r"^Local speech failed: KeyError\.$"):
        await ask(speech.voice, {"words": "a secret"})
    assert "secret" not in caplog.text


def test_the_last_user_turns_them_off(tmp_path: Path) -> None:
    """Nothing is left running, and no socket."""
    with open_local_speech(tmp_path) as opened:
        pids = list(state(tmp_path).pids.values())
        assert opened.ears.exists() and opened.voice.exists()
    wait_gone(pids)
    wait_until(lambda: not opened.ears.exists() and not opened.voice.exists())


def state(folder: Path) -> State:
    found = read_state(folder / "run", "speech")
    assert found
    return found


def words(text: str) -> set[str]:
    return {word.strip(".,!?").lower() for word in text.split()}
