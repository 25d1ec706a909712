"""An utterance: what is unread of it, and where a long one is cut."""

import numpy as np

from echoic.local.speech.client import HEARING_RATE
from echoic.local.speech.utterance import BYTES_A_SECOND, Utterance


def tone(seconds: float, volume: int = 8_000) -> bytes:
    return (np.sin(np.arange(int(seconds * HEARING_RATE)) / 10) * volume).astype(np.int16).tobytes()


def test_a_pause_leaves_nothing_unread() -> None:
    """A reading that covers the last word stays the last one, however long the pause grows."""
    said = Utterance(0.0)
    said.add(tone(1.0), is_voice=True)
    assert said.unread_s == 1.0
    said.read = len(said.audio)
    said.add(bytes(BYTES_A_SECOND), is_voice=False)
    assert (said.unread_s, said.pause_s, said.end_s) == (0.0, 1.0, 1.0)


def test_a_long_one_is_cut_where_it_is_quietest() -> None:
    """No word is torn apart, and no audio is lost or heard twice."""
    said = Utterance(5.0)
    for part in (tone(9.0), tone(0.2, volume=50), tone(2.8)):
        said.add(part, is_voice=True)
    whole, said.text, said.read = bytes(said.audio), "all of it", len(said.audio)
    rest = said.cut()
    assert bytes(said.audio) + bytes(rest.audio) == whole
    assert 9.0 <= len(said.audio) / BYTES_A_SECOND <= 9.2
    assert rest.begin_s == 5.0 + len(said.audio) / BYTES_A_SECOND
    assert (said.text, said.read) == ("", 0)  # that reading held words of the rest
    assert rest.unread_s == len(rest.audio) / BYTES_A_SECOND
