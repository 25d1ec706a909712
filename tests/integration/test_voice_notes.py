"""A recording as a phone makes it is read by the ears of this machine."""

import io

import av
import numpy as np
import pytest

from echoic.local.speech.client import HEARING_RATE
from echoic.local.speech.notes import hear_note
from echoic.local.speech.server import missing
from tests.integration.test_speech import DOG, TABLE, folder, silence, speech, voice

__all__ = ["folder", "speech"]  # fixtures
pytestmark = [
    pytest.mark.skipif(bool(missing()), reason=f"not installed here: {', '.join(missing())}"),
    pytest.mark.timeout(120),
]


def recorded(audio, form="ogg", codec="libopus"):
    """16 kHz, as a phone sends it."""
    held = io.BytesIO()
    with av.open(held, "w", format=form) as file:
        stream = file.add_stream(codec, rate=48_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.frombuffer(audio, np.int16)[None], format="s16", layout="mono")
        frame.sample_rate = HEARING_RATE
        resampler = av.AudioResampler(
            stream.format, stream.layout, 48_000, frame_size=stream.frame_size or 960
        )
        for part in (*resampler.resample(frame), *resampler.resample(None)):
            file.mux(stream.encode(part))
        file.mux(stream.encode(None))
    return held.getvalue()


async def test_a_voice_note_is_heard(speech):
    """Longer than the ears take at once, it is heard to its end."""
    short = recorded(await voice(speech, DOG))
    assert "garden" in await hear_note(speech, short, "audio/ogg; codecs=opus")
    long = await voice(speech, TABLE) + silence(1) + await voice(speech, DOG) + silence(9)
    text = await hear_note(speech, recorded(long + await voice(speech, TABLE)), "audio/ogg")
    assert text.count("Friday") == 2 and "Bruno" in text


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", "audio/ogg"),
        (b"\xff" * 5_000, "audio/mpeg"),
        (b"#EXTM3U\nfile:///etc/hostname\n", "application/x-mpegurl"),
        (b"#EXTM3U\nfile:///etc/hostname\n", "audio/ogg"),
    ],
)
async def test_what_is_no_recording_says_nothing(speech, content, kind):
    assert await hear_note(speech, content, kind) == ""


async def test_half_a_recording_says_what_is_there(speech):
    whole = recorded(await voice(speech, f"{DOG} {TABLE}"))
    assert "dog" in await hear_note(speech, whole[: len(whole) * 2 // 3], "audio/ogg")
