"""What a batch must say to be learned."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest

from echoic.memory.types import Turn
from echoic.workers.learn.known_facts import says_nothing

NOW = datetime(2026, 11, 27, tzinfo=UTC)


def turns(*said):
    return [
        Turn(uuid4(), "ana", "echoic", "call-1", at, role, text, NOW) for at, (role, text) in enumerate(said)
    ]


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        ("Are you allergic to nuts?", "Yes."),
        ("Sind Sie gegen Nüsse allergisch?", "Ja."),
        ("ナッツのアレルギーはありますか？", "はい。"),
        ("هل عندك حساسية من المكسرات؟", "نعم."),
    ],
)
def test_a_bare_yes_is_learned_with_its_question(asked, answer):
    """Alone it says nothing, in any language."""
    assert not says_nothing(turns(("assistant", asked), ("user", answer)))
    assert says_nothing(turns(("user", answer)))
