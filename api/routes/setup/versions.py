"""ETags of what is set: an edit says what it has read, so that no change is lost."""

import re
from typing import Annotated

from fastapi import Header, Request, Response

from echoic.api.problems import Problem
from echoic.memory.config import MemorySettings

IfMatch = Annotated[
    str | None, Header(max_length=200, description="ETag of what was read.", examples=['"9f2c6a1e"'])
]
_ETAG = re.compile(r'"([^"]*)"')


def needed(if_match: str | None) -> str:
    """The version that an edit is made against; one that is none of ours matches nothing.

    Raises:
        Problem: 428; there is none.
    """
    if if_match is None:
        raise Problem(
            428, "if-match-needed", "Send the ETag that was read as If-Match, so no change is lost."
        )
    found = _ETAG.fullmatch(if_match.strip())
    return found[1] if found else if_match


def tag(response: Response, version: str) -> None:
    """Put the ETag on the answer."""
    response.headers["ETag"] = f'"{version}"'


def environment_of(request: Request) -> MemorySettings:
    """What the environment of this process says, without what is set in the database."""
    settings: MemorySettings = request.app.state.environment
    return settings
