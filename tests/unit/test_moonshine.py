"""Key terms while Moonshine listens, on a vocabulary of a few pieces."""

import pytest

from echoic.local.speech.moonshine.words import Pieces, tree_of

PIECES = ["<unk>", "<s>", "</s>", "▁", "a", "n", "b", "▁a", "an", "▁an", "na", ",", "▁ab", "ü"]


@pytest.fixture(scope="module")
def pieces() -> Pieces:
    return Pieces(b"".join(bytes([len(piece.encode())]) + piece.encode() for piece in PIECES))


def numbers(*wanted: str) -> list[int]:
    return [PIECES.index(piece) for piece in wanted]


def test_pieces_are_joined_as_the_model_was_trained(pieces: Pieces) -> None:
    """Neighbours, the earliest piece first: "an" before "na", so "ana" has no "na"."""
    assert pieces.of("anna") == numbers("▁an", "na")
    assert pieces.of("ana b") == [*numbers("▁an", "a"), *numbers("▁", "b")]
    assert pieces.of("ü") == numbers("▁", "ü")
    assert pieces.of("") == pieces.of("axn") == pieces.of("Ж") == []


def test_text_of_pieces(pieces: Pieces) -> None:
    assert pieces.text([1, *numbers("▁a", "n", "na", ",", "▁ab"), 2]) == "anna, ab"
    assert pieces.text([1, 2]) == ""


def test_a_long_piece_has_two_bytes_of_length() -> None:
    piece = "ab" * 100
    length = len(piece)
    assert Pieces(bytes([length % 128 + 128, length // 128]) + piece.encode()).text([0]) == ""
    assert Pieces(b"\1x" * 3 + bytes([length % 128 + 128, length // 128]) + piece.encode()).text([3]) == piece


def test_where_a_word_goes_on(pieces: Pieces) -> None:
    """Behind "anna" a comma, a new word or the end leave the name; a letter makes it another word."""
    assert [pieces.goes_on(number) for number in numbers("b", "ü", ",", "▁ab", "</s>")] == [
        True,
        True,
        False,
        False,
        False,
    ]


def test_terms_that_begin_alike_share_a_way(pieces: Pieces) -> None:
    root = tree_of(["an", "anna", "Ж", ""], pieces)
    first = root.then[PIECES.index("▁an")]
    assert first.is_whole and list(first.then) == numbers("na")
    assert first.then[PIECES.index("na")].is_whole
    assert list(root.then) == numbers("▁an") and not root.is_whole
