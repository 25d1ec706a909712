"""What `echoic graph` prints: a table that moves no cursor, JSON, and DOT that is always valid."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from echoic.local.admin.graph_dot import dot_lines, quoted
from echoic.local.admin.graph_view import graph_lines, graphs_as_json, lasted, moment, table
from echoic.memory.graph.types import Entity, Relation
from echoic.memory.review.graph import UserGraph

A, B = UUID(int=1), UUID(int=2)
SAID = datetime(2026, 3, 5, tzinfo=UTC)
NASTY = (
    "plain",
    'a "quoted" name',
    "ends with a backslash \\",
    '\\N \\G \\l \\"',
    "R&D &amp; &lt;b&gt; &#34;",
    "<b>html</b>",
    "-> ; } ] digraph {",
    "two\nlines\r\nand\ttabs",
    "\x1b[31mred\x07\x00",
    "lone \ud800 surrogate",
    "עברית 日本語 🦔",
    "'); match (n) detach delete n //",
    "# no comment",
    "x" * 20_000,
    "",
)
TOKEN = re.compile(
    r'\s+|(?P<text>"(?:[^"\\\n]|\\.)*")|(?P<word>[A-Za-z_][A-Za-z_0-9]*)|(?P<mark>->|[][{};=,])'
)


def tokens(dot: str) -> Iterator[tuple[str, str]]:
    """DOT's tokens as its grammar has them; fails where a character belongs to none."""
    at = 0
    while at < len(dot):
        found = TOKEN.match(dot, at)
        assert found, dot[at : at + 40]
        at = found.end()
        if found.lastgroup:
            yield found.lastgroup, found[0]


def shown(text: str) -> str:
    """What Graphviz shows of a quoted string."""
    inner = text[1:-1]
    assert not re.search(r"&(?!amp;)", inner) and not re.search(r"\\[^\\\"n]", re.sub(r"\\\\", "", inner))
    return re.sub(r"\\(.)", lambda found: "\n" if found[1] == "n" else found[1], inner).replace("&amp;", "&")


def relation(text: str, source: str = "Ana", target: str = "Biscuit", **more: object) -> Relation:
    return Relation(B, text, "HAS_PET", source, target, SAID, **more)  # type: ignore[arg-type]


def entity(name: str, *labels: str, summary: str = "") -> Entity:
    return Entity(A, name, labels, summary)


def statements(lines: Iterator[str]) -> list[tuple[str, str]]:
    found = list(tokens("\n".join(lines)))
    marks = [text for kind, text in found if kind == "mark"]
    assert marks.count("{") == marks.count("}") and marks.count("[") == marks.count("]")
    return found


@pytest.mark.parametrize("text", NASTY, ids=range(len(NASTY)))
def test_picture_is_valid_whatever_was_said(text):
    """Every text stands in it as one string, which shows the text and nothing else, and closes nothing."""
    graph = UserGraph(
        text, (entity(text, text, summary=text), entity("Ana")), (relation(text, source=text, target="Ana"),)
    )
    found = statements(dot_lines([graph, graph], "UTC"))
    words = {one for kind, one in found if kind == "word"}
    assert words <= {*"digraph graph charset rankdir node shape style subgraph label tooltip".split()} | {
        f"{name}_{number}" for name in ("cluster", "g0", "g1") for number in range(4)
    }
    assert [one for kind, one in found if kind == "mark"].count("->") == 2


def test_label_shows_the_text():
    """Quotes and backslashes show as they were said, lines as lines, and a long text is cut."""
    assert shown(quoted('R&D "x" \\N')) == 'R&D "x" \\N'
    assert shown(quoted("Ana", "", "Person")) == "Ana\nPerson"
    assert len(shown(quoted("x" * 100))) == 60


def test_picture_joins_what_belongs_together():
    """A name that is no entity (an older graph) gets a node too."""
    lines = [
        line.strip()
        for line in dot_lines(
            [UserGraph("echoic", (entity("Ana", "Person"),), (relation("Has a dog"),))], "UTC"
        )
    ]
    assert r'g0_0 [label="Ana\nPerson", tooltip="Ana"];' in lines
    assert r'g0_1 [label="Biscuit", tooltip="Biscuit"];' in lines
    assert r'g0_0 -> g0_1 [label="HAS_PET\nsaid 5 Mar 2026", tooltip="Has a dog"];' in lines


@pytest.mark.parametrize("text", NASTY, ids=range(len(NASTY)))
def test_table_cannot_move_the_cursor(text):
    """Whatever was said, a line holds printable characters only, and any terminal can take it."""
    graph = UserGraph(text, (entity(text, text, summary=text),), (relation(text, source=text, target=text),))
    for line in graph_lines([graph], text, None, "UTC"):
        assert line.isprintable()
        line.encode()


def test_columns_stand_below_each_other_in_wide_scripts():
    """Characters two cells wide count as two, and what is too long ends in "…"."""
    rows = list(table([("NAME", "KIND"), ("日本", "x"), ("Ana", "y"), ("n" * 60, "z")]))
    assert rows[0] == "  NAME" + " " * 36 + "  KIND"
    assert rows[1] == "  日本" + " " * 36 + "  x" and rows[2] == "  Ana" + " " * 37 + "  y"
    assert rows[3] == "  " + "n" * 39 + "…  z"


def test_nobody_is_said_in_a_sentence():
    """No graph, or an empty one: a sentence instead of an empty table, with the day if one was asked for."""
    assert list(graph_lines([], "ana", None, "UTC")) == ["The graph knows nothing about “ana” yet."]
    empty = UserGraph("echoic", (), ())
    assert list(graph_lines([empty], "ana", SAID, "UTC")) == [
        "The graph knows nothing about “ana” on 5 Mar 2026."
    ]


def test_how_long_something_was_true():
    """From what is known of beginning and end; without either, the day it was said."""
    zone, later = ZoneInfo("UTC"), datetime(2026, 5, 1, tzinfo=UTC)
    assert lasted(relation("x"), zone) == "said 5 Mar 2026"
    assert lasted(relation("x", valid_from=SAID), zone) == "since 5 Mar 2026"
    assert lasted(relation("x", valid_from=SAID, valid_until=later), zone) == "5 Mar 2026 to 30 Apr 2026"
    assert lasted(relation("x", valid_until=later), zone) == "said 5 Mar 2026, until 30 Apr 2026"


def test_a_day_is_the_end_of_that_day_there():
    """What began on that day counts."""
    assert moment("2026-03-31", "Europe/Lisbon") == datetime(2026, 3, 31, 22, 59, 59, 999_999, UTC)
    assert moment("2026-03-31T18:00", "Europe/Lisbon") == datetime(2026, 3, 31, 17, tzinfo=UTC)
    assert moment("2026-03-31T18:00+05:00", "Europe/Lisbon") == datetime(2026, 3, 31, 13, tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "on", "next_day"),
    [
        ("America/Santiago", "2026-04-04", "2026-04-05"),
        ("Asia/Beirut", "2026-10-24", "2026-10-25"),
        ("Africa/Cairo", "2026-04-23", "2026-04-24"),
    ],
)
def test_no_moment_lies_between_a_day_and_the_next(zone, on, next_day):
    """The clock goes back at midnight, so that the last hour comes twice, or forward, so that midnight never
    is."""
    assert moment(next_day, zone, last=False) - moment(on, zone) == datetime.resolution


@pytest.mark.parametrize(
    "text", ["yesterday", "32637-01-01", "2026-02-30", "9999-12-31", "0001-01-01T00:00+14:00", "", "2026"]
)
def test_what_is_no_date_is_refused(text):
    """Also days that no calendar has, and those that a time zone pushes out of range."""
    with pytest.raises(ValueError):  # noqa: PT011 - the sentence is the command's
        moment(text, "America/New_York")


def test_json_has_what_is_known():
    """Ids, kinds, summaries and dates in ISO form, for scripts."""
    graph = UserGraph(
        "echoic", (entity("Ana", "Person", summary="s"),), (relation("Has a dog", valid_from=SAID),)
    )
    value = graphs_as_json([graph], "ana", SAID)
    assert value["user_id"] == "ana" and value["at"] == "2026-03-05T00:00:00+00:00"
    (told,) = value["graphs"]
    assert told["entities"] == [{"id": str(A), "name": "Ana", "labels": ["Person"], "summary": "s"}]
    assert (
        told["relations"][0]["valid_from"] == "2026-03-05T00:00:00+00:00"
        and told["relations"][0]["source"] == "Ana"
    )
