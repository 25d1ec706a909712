"""Voice notes as text: recordings that somebody sent, heard by the ears of this machine."""

import asyncio
import io
import logging
from collections.abc import Iterator

from echoic.local.speech.client import HEARING_RATE
from echoic.local.speech.plugins import LocalSpeech
from echoic.local.speech.stt import Reader
from echoic.local.speech.utterance import BYTES_A_SECOND, LONGEST_S, Utterance

log = logging.getLogger("echoic.speech")
MOST_S = 600
"""What follows in a longer note is not heard."""
FORMATS = {
    "audio/ogg": "ogg",
    "audio/opus": "ogg",
    "audio/mpeg": "mp3",
    "audio/mp4": "mp4",
    "audio/aac": "aac",
    "audio/amr": "amr",
}
"""What phones record. FFmpeg is told which it is: formats that name other files are never read."""


async def hear_note(speech: LocalSpeech, content: bytes, kind: str) -> str:
    """What is said in a recording; empty where nothing is, or it cannot be read.

    Args:
        kind: its MIME type, as whoever sent it says.

    Raises:
        ModelUnavailable: the ears do not answer.
    """
    audio = await asyncio.to_thread(_decoded, content, FORMATS.get(kind.partition(";")[0].strip().lower()))
    reader = Reader(speech.ears, speech.whisper, speech.language)
    heard = [await reader.read(piece, len(piece) / BYTES_A_SECOND) for piece in _pieces(audio)]
    return " ".join(text.strip() for text in heard if text.strip())


def _decoded(content: bytes, form: str | None) -> bytes:
    """As the ears hear; what comes before a fault in the recording counts."""
    import av  # a fifth of a second

    audio, most = bytearray(), MOST_S * BYTES_A_SECOND
    if form is None:
        return b""
    try:
        with av.open(io.BytesIO(content), "r", format=form) as recording:
            resampler = av.AudioResampler(format="s16", layout="mono", rate=HEARING_RATE)
            for frame in recording.decode(audio=0):
                audio += b"".join(part.to_ndarray().tobytes() for part in resampler.resample(frame))
                if len(audio) >= most:
                    break
    except (av.FFmpegError, ValueError, IndexError) as exc:  # the last: it holds no sound
        log.warning("speech.note_damaged", extra={"error": type(exc).__name__, "bytes": len(audio)})
    return bytes(audio[:most])


def _pieces(audio: bytes) -> Iterator[bytes]:
    """As long as the ears take at once, cut where it is quietest."""
    longest = int(LONGEST_S * BYTES_A_SECOND)
    while len(audio) > longest:
        said = Utterance(0.0)
        said.add(audio[:longest], is_voice=True)
        said.cut()
        yield bytes(said.audio)
        audio = audio[len(said.audio) :]
    if audio:
        yield audio
