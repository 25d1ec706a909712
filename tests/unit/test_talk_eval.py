"""Small talk and follow-ups in fifteen languages: the open half stays as it was reached."""

from evals.talk import measure


def test_the_open_half_is_told_apart() -> None:
    """Of small talk and follow-ups all, and nothing that is neither."""
    report = measure("open")
    assert report["small_talk"] == {"texts": 42, "found": 42, "others": 120, "wrong": 0}
    assert report["follow_up"] == {"texts": 48, "found": 48, "others": 114, "wrong": 0}
