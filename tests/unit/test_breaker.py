"""A tier that fails is skipped, tried once after a pause, and trusted again only when that went well."""

from echoic.memory.breaker import Breaker


class Clock:
    at = 0.0

    def __call__(self):
        return self.at


def test_opens_after_failures_in_a_row_only():
    """A success in between starts the count anew."""
    breaker = Breaker(failures=3, pause_s=5, clock=Clock())
    for outcome in ("failed", "failed", "succeeded", "failed", "failed"):
        getattr(breaker, outcome)()
    assert breaker.allows()
    breaker.failed()
    assert not breaker.allows() and breaker.state == "open"


def test_one_trial_at_a_time():
    """A second question does not pass during the trial; a failed one costs the whole pause again."""
    clock = Clock()
    breaker = Breaker(failures=1, pause_s=5, clock=clock)
    breaker.failed()
    clock.at = 5.0
    assert breaker.allows() and breaker.state == "trial"
    assert not breaker.allows()
    breaker.failed()
    clock.at = 9.9
    assert not breaker.allows()
    clock.at = 10.0
    assert breaker.allows()
    breaker.succeeded()
    assert breaker.allows() and breaker.state == "closed"


def test_a_trial_given_up_lets_another_through():
    """A trial that was cancelled proved nothing, and does not block the tier for good."""
    clock = Clock()
    breaker = Breaker(failures=1, pause_s=5, clock=clock)
    breaker.failed()
    clock.at = 6.0
    assert breaker.allows()
    breaker.forget_trial()
    assert breaker.allows()
