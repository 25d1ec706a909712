"""The bare driver of Neo4j with a limit on everything: connections, the way to them, and each query, on the
server and here."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from typing import Any

import neo4j
from neo4j.exceptions import AuthError, ClientError, ConfigurationError, DriverError, Forbidden, Neo4jError

from echoic.memory.config import MemorySettings
from echoic.memory.errors import ConfigInvalid, MemoryFault, StoreTimeout, StoreUnavailable

CONNECTIONS = 8
"""Of one process."""
CONNECT_S = 1.0
IDLE_S = 5.0
"""A connection that lay idle for longer is tried before use: one to a hung server blocks for more than 20 s
otherwise."""
GRACE_S = 0.25
"""What we wait beyond the server's limit: a healthy server's refusal is there by then, past it the connection
is dropped."""
PARTING_S = 0.5
OLDEST = (5, 26)
SCHEMES = ("neo4j", "bolt")  # the driver has a preview of HTTP, too, which knows none of the limits below
TIMED_OUT = "Neo.ClientError.Transaction.TransactionTimedOut"
NO_DATABASE = "Neo.ClientError.Database.DatabaseNotFound"
NO_INDEX = "no such fulltext schema index"
Row = Sequence[Any]


class NeoDriver:
    """Connects with the first query, and looks then at what it has connected to."""

    def __init__(self, settings: MemorySettings) -> None:
        self._settings = settings
        self._driver: neo4j.AsyncDriver | None = None
        self._version = ""

    async def ask(
        self, query: str, values: Mapping[str, Any], limit_s: float, *, write: bool = False
    ) -> list[Row]:
        """The list `rows` of the one record that a query gives, or nothing; the server ends it at the limit.

        Raises:
            StoreUnavailable, StoreTimeout, ConfigInvalid: as every method of a graph backend.
        """
        try:
            async with asyncio.timeout(limit_s + GRACE_S):
                await self._checked()
                return await self._run(query, values, limit_s, write)
        except MemoryFault:
            raise
        except TimeoutError as exc:
            raise StoreTimeout(f"Neo4j did not answer within {limit_s:g} s.") from exc
        except (Neo4jError, DriverError, OSError) as exc:
            if NO_INDEX in str(exc):  # nothing was ever entered
                return []
            raise _fault(exc, limit_s) from exc

    async def version(self, limit_s: float) -> str:
        """Its name and version."""
        await self.ask("RETURN [] AS rows", {}, limit_s)
        return self._version

    async def close(self) -> None:
        """Close the connections; a hung server is not waited for."""
        driver, self._driver = self._driver, None
        if driver is not None:
            closing = asyncio.create_task(driver.close(), name="neo4j.close")
            await asyncio.wait({closing}, timeout=PARTING_S)
            closing.cancel()
            await asyncio.gather(closing, return_exceptions=True)

    async def _run(self, query: str, values: Mapping[str, Any], limit_s: float, write: bool) -> list[Row]:
        mode = neo4j.WRITE_ACCESS if write else neo4j.READ_ACCESS
        async with self._opened().session(
            database=self._settings.neo4j_database, default_access_mode=mode
        ) as session:
            result = await session.run(neo4j.Query(query, timeout=limit_s), dict(values))
            record = await result.single()
            return [] if record is None else record["rows"]

    async def _checked(self) -> None:
        """Once: is it new enough?"""
        if not self._version:
            agent = (await self._opened().get_server_info()).agent
            found = re.search(r"(\d+)\.(\d+)", agent)
            if found is None or (int(found[1]), int(found[2])) < OLDEST:
                raise ConfigInvalid(
                    f"ECHOIC_NEO4J_URL names {agent or 'an unknown server'}; the graph needs Neo4j 5.26 or "
                    "later."
                )
            self._version = agent.replace("/", " ")

    def _opened(self) -> neo4j.AsyncDriver:
        if self._driver is None:
            password = self._settings.neo4j_password.get_secret_value()
            try:
                if not self._settings.neo4j_url.startswith(SCHEMES):
                    raise ValueError("another protocol")
                self._driver = neo4j.AsyncGraphDatabase.driver(
                    self._settings.neo4j_url,
                    auth=(self._settings.neo4j_user, password) if password else None,
                    max_connection_pool_size=CONNECTIONS,
                    connection_timeout=CONNECT_S,
                    connection_acquisition_timeout=CONNECT_S,
                    max_transaction_retry_time=0,
                    liveness_check_timeout=IDLE_S,
                    notifications_min_severity="OFF",  # they quote queries, and go to the log
                )
            except (ConfigurationError, ValueError) as exc:
                raise ConfigInvalid(
                    "ECHOIC_NEO4J_URL is wrong: it is like neo4j://host:7687, or bolt://host:7687."
                ) from exc
        return self._driver


def _fault(exc: Exception, limit_s: float) -> MemoryFault:
    """What an error of the driver means. Its own text may quote the question, and stays out of ours."""
    code = (exc.code or "") if isinstance(exc, Neo4jError) else ""
    if isinstance(exc, (AuthError, Forbidden)):
        return ConfigInvalid(
            "Neo4j refuses the user or password: check ECHOIC_NEO4J_USER and ECHOIC_NEO4J_PASSWORD."
        )
    if code == NO_DATABASE:
        return ConfigInvalid("Neo4j has no database of that name: check ECHOIC_NEO4J_DATABASE.")
    if code.startswith(TIMED_OUT):
        return StoreTimeout(f"Neo4j ended a query after {limit_s:g} s.")
    if isinstance(exc, ClientError):
        return StoreUnavailable(f"Neo4j refused a query ({code}).")
    return StoreUnavailable(
        f"Neo4j cannot be reached ({type(exc).__name__}): check ECHOIC_NEO4J_URL, or run `echoic doctor`."
    )
