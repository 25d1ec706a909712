"""The Neo4j that these tests run on: it asks for its password, and keeps what it acknowledged."""

import neo4j as driver
import pytest
from neo4j.exceptions import AuthError

from tests.graph.neo4j_server import VERSION, Neo4jServer


def asked(server: Neo4jServer, query: str, password: str | None = None) -> list[list[object]]:
    auth = (server.user, server.password if password is None else password)
    with driver.GraphDatabase.driver(server.url, auth=auth) as client, client.session() as session:
        return [record.values() for record in session.run(query)]


def test_it_is_the_version_that_is_pinned(neo4j: Neo4jServer):
    """What these tests prove, they prove for the version that they name."""
    (found,) = asked(neo4j, "call dbms.components() yield versions return versions[0]")
    assert found == [VERSION]


@pytest.mark.parametrize("password", ["", "wrong-horse-battery"])
def test_a_wrong_password_is_refused(neo4j: Neo4jServer, password: str):
    """Nobody gets in without the password, so what passes here has shown it, as on a server that is used."""
    with pytest.raises(AuthError):
        asked(neo4j, "return 1", password)


def test_what_was_acknowledged_outlives_a_kill(neo4j: Neo4jServer):
    """At the same address, with the same password."""
    asked(neo4j, "create (:Kept {word: 'biscuit'})")
    neo4j.kill()
    neo4j.start()
    assert asked(neo4j, "match (n:Kept) with n, n.word as word delete n return word") == [["biscuit"]]
