"""What every test on a real Neo4j needs: one server for all, with a password."""

from collections.abc import Iterator

import pytest

from tests.graph.neo4j_server import HERE, Neo4jMissing, Neo4jServer, class_path

CLASSES = pytest.StashKey[str]()
LIMIT_S = 240  # the first test waits for the server: 12 s, and far longer on a machine that is busy


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE) and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(LIMIT_S))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Before the first test: fetch what is missing, or say why that is impossible."""
    if session.config.option.collectonly:
        return
    try:
        session.config.stash[CLASSES] = class_path()
    except Neo4jMissing as exc:
        raise pytest.UsageError(str(exc)) from exc


@pytest.fixture(scope="session")
def neo4j_classes(request: pytest.FixtureRequest) -> str:
    """For a server of a test's own: `Neo4jServer(tmp_path, neo4j_classes)`."""
    return request.config.stash[CLASSES]


@pytest.fixture(scope="session")
def neo4j(neo4j_classes: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Neo4jServer]:
    """The session's Neo4j; whoever halts it makes it go on, whoever kills it starts it again."""
    server = Neo4jServer(tmp_path_factory.mktemp("neo4j"), neo4j_classes)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def neo4j_url(neo4j: Neo4jServer) -> str:
    """Its address; user and password are `neo4j.user` and `neo4j.password`."""
    return neo4j.url
