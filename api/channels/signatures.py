"""What another program's server sends is believed by its signature: there is no key in it."""

import hashlib
import hmac
import logging

from fastapi import Request

from echoic.api.access.guard import Gate
from echoic.api.problems import Problem

log = logging.getLogger("echoic.api")


def signature_of(secret: str, body: bytes) -> str:
    """As it stands in a header: of these very bytes, not of what they mean."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def check_signature(request: Request, secret: str, body: bytes, signature: str, detail: str) -> None:
    """Return if this secret, which is not empty, signed the body.

    Raises:
        Problem: 401, with this detail; 429 when too many such come from that address.
    """
    if not secret or not is_same(signature, signature_of(secret, body)):
        log.warning("channel.not_signed")
        gate: Gate = request.app.state.gate
        gate.doubt(request)
        raise Problem(401, "signature-wrong", detail)


def is_same(sent: str, secret: str) -> bool:
    """Whether both are the same; how long it takes to say so tells nothing."""
    return hmac.compare_digest(sent.encode(errors="replace"), secret.encode())
