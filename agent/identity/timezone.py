"""Where a caller is: their token, the dispatch, their application's attribute, or the area of their number.

None of these says who somebody is, so an attribute that a caller may set themselves is good enough.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import phonenumbers

ATTRIBUTE = "echoic.zoneinfo"
"""The participant attribute that an application may put into its callers' room tokens."""
CLAIM = "zoneinfo"
"""As OpenID Connect Core 5.1 names it; in the user token, and in the dispatch."""


def zone_from(
    claims: Mapping[str, object], job_metadata: str, attributes: Mapping[str, str], number: str, region: str
) -> str:
    """The first usable IANA name, in the order of whom to believe; empty if there is none.

    Args:
        claims: of a user token that was verified; empty without one.
        job_metadata: of a dispatch that is about this caller; empty for another.
        number: that they call from, as the trunk sends it.
        region: where national numbers are at home.
    """
    found = (_usable(claims.get(CLAIM)), _of_dispatch(job_metadata), _usable(attributes.get(ATTRIBUTE)))
    return next(filter(None, found), "") or zone_of_number(number, region)


def zone_of_number(number: str, region: str = "") -> str:
    """The time zone of a number's area; empty where the area has several that differ now, or none."""
    from phonenumbers import timezone as areas  # 30 ms and 2 MB, which a call without a phone need not pay

    try:
        parsed = phonenumbers.parse(number, region or None)
    except phonenumbers.NumberParseException:
        return ""
    zones = [zone for zone in areas.time_zones_for_number(parsed) if _usable(zone)]
    now = datetime.now(UTC)
    return zones[0] if len({now.astimezone(ZoneInfo(zone)).utcoffset() for zone in zones}) == 1 else ""


def _of_dispatch(job_metadata: str) -> str:
    try:
        about = json.loads(job_metadata or "null")
    except (ValueError, RecursionError):
        return ""
    return _usable(about.get(CLAIM)) if isinstance(about, dict) else ""


def _usable(zone: object) -> str:
    """The name if this machine knows it. "Etc/Unknown" stands for a number of no area."""
    if not isinstance(zone, str) or not zone or zone == "Etc/Unknown":
        return ""
    try:
        ZoneInfo(zone)
    except (KeyError, ValueError, OSError):  # OSError: a folder of the zone files
        return ""
    return zone
