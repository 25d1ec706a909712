"""What a client raises: refusals of the API, and a server that cannot be reached or understood."""

from typing import Any

PREFIX = "urn:echoic:problem:"


class ClientFault(Exception):
    """The request was not answered as it was asked."""


class Unreachable(ClientFault):
    """The API cannot be reached, or went away in the middle of an answer."""


class AnswerUnreadable(ClientFault):
    """This is no answer of the memory API: check the address."""


class Refused(ClientFault):
    """The API answered with a problem (RFC 9457)."""

    def __init__(
        self,
        status: int,
        problem_type: str,
        sentence: str,
        *,
        retry_after_s: float | None = None,
        more: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(sentence)
        self.status = status
        self.type = problem_type
        """A name that does not change, such as `urn:echoic:problem:changed-meanwhile`."""
        self.sentence = sentence
        self.retry_after_s = retry_after_s
        """When it is worth asking again; None: it does not say."""
        self.more = more or {}
        """What else the problem says, such as which fields do not fit."""

    @property
    def name(self) -> str:
        """The type without what all have in common: `changed-meanwhile`."""
        return self.type.removeprefix(PREFIX)

    def __str__(self) -> str:
        return f"{self.sentence} ({self.status} {self.name})"
