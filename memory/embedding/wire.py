"""Binary frames between the processes of one host and its embedding server (memory/embedding/server.py).

A frame is its header and a body. A question's body holds its texts, each after its length; an answer's holds
the vectors.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

VERSION = 1
"""Part of the folder's name: processes of another version have a server of their own."""
LIMIT_BYTES = 1_000_000
"""Longest body: 16 texts of 8,000 characters, none of which needs more than 4 bytes, and their lengths."""

QUESTION, BATCH, CANCEL, PING = range(4)
"""What a client sends. A batch waits for every question; a cancelled request that still waits is never
computed."""
VECTORS, FAILED, PONG = range(3)
"""What the server answers, under the number of the request."""

_HEADER = struct.Struct("<IIB")
_LENGTH = struct.Struct("<I")


class FrameInvalid(ValueError):
    """These bytes are not a frame."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One message. Numbers are given by the client, and mean something within its connection only."""

    kind: int
    number: int
    body: bytes = b""

    def packed(self) -> bytes:
        return _HEADER.pack(len(self.body), self.number, self.kind) + self.body


class Frames:
    """Cuts what arrives on a connection into frames."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that are complete with `data`; the rest is kept for the next call.

        Raises:
            FrameInvalid: a body longer than the limit is announced.
        """
        self._held += data
        while len(self._held) >= _HEADER.size:
            length, number, kind = _HEADER.unpack_from(self._held)
            if length > LIMIT_BYTES:
                raise FrameInvalid(f"a body of {length} bytes")
            end = _HEADER.size + length
            if len(self._held) < end:
                return
            body = bytes(self._held[_HEADER.size : end])
            del self._held[:end]
            yield Frame(kind, number, body)


def pack_texts(texts: Sequence[str]) -> bytes:
    """The body of a question. Half a surrogate pair, which no encoding knows, becomes a question mark."""
    encoded = [text.encode(errors="replace") for text in texts]
    return b"".join(_LENGTH.pack(len(text)) + text for text in encoded)


def unpack_texts(body: bytes) -> list[str]:
    """The texts of a question's body.

    Raises:
        FrameInvalid: it is cut short, or is not UTF-8.
    """
    texts, at = [], 0
    try:
        while at < len(body):
            (length,) = _LENGTH.unpack_from(body, at)
            at += _LENGTH.size + length
            if at > len(body):
                raise FrameInvalid("a text is cut short")
            texts.append(body[at - length : at].decode())
    except (struct.error, UnicodeDecodeError) as exc:
        raise FrameInvalid("not a list of texts") from exc
    return texts
