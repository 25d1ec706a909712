"""Moonshine's pieces of words, and the key terms whose pieces count for more while it listens."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

BEGIN, END = 1, 2
SPECIAL = (0, BEGIN, END)
SPACE = "▁".encode()
"""Stands before a word."""
MORE = 0x80
"""A length of two bytes: seven bits, then the rest."""


class Pieces:
    """The vocabulary: the number of each piece is its place in the file."""

    def __init__(self, file: bytes) -> None:
        self._pieces = _read(file)
        self._numbers = {piece: number for number, piece in reversed([*enumerate(self._pieces)])}

    def of(self, text: str) -> list[int]:
        """The numbers of a text's pieces; empty where it has letters that are none.

        Two neighbours are joined where they are a piece, the earliest first: as the model was trained.
        """
        parts = [letter.encode() for word in text.split() for letter in "▁" + word]
        while True:
            pairs = [(self._numbers.get(parts[at] + parts[at + 1]), at) for at in range(len(parts) - 1)]
            known = [(number, at) for number, at in pairs if number is not None]
            if not known:
                break
            _, at = min(known)
            parts[at : at + 2] = [parts[at] + parts[at + 1]]
        numbers = [self._numbers.get(part) for part in parts]
        return [number for number in numbers if number is not None] if None not in numbers else []

    def text(self, numbers: Iterable[int]) -> str:
        """What pieces say together."""
        said = b"".join(self._pieces[number] for number in numbers if number not in SPECIAL)
        return said.replace(SPACE, b" ").decode(errors="replace").strip()

    def goes_on(self, number: int) -> bool:
        """Whether a piece is the rest of a word: neither a new one, nor a mark, nor the end."""
        piece = self._pieces[number]
        return (
            number not in SPECIAL and not piece.startswith(SPACE) and piece.decode(errors="replace").isalnum()
        )


@dataclass(slots=True)
class Place:
    """So much of a term has been said; what may follow."""

    then: dict[int, "Place"] = field(default_factory=dict)
    is_whole: bool = False


def tree_of(terms: Sequence[str], pieces: Pieces) -> Place:
    """Where every term begins."""
    root = Place()
    for term in terms:
        place, numbers = root, pieces.of(term)
        for number in numbers:
            place = place.then.setdefault(number, Place())
        place.is_whole = place.is_whole or bool(numbers)
    return root


def _read(file: bytes) -> list[bytes]:
    pieces, at = [], 0
    while at < len(file):
        length, at = file[at], at + 1
        if length >= MORE:
            length, at = length - MORE + MORE * file[at], at + 1
        pieces.append(file[at : at + length])
        at += length
    return pieces
