"""How far a model is trusted follows from what it got right, and from nothing else."""

import pytest

from echoic.workers.learn import grades
from echoic.workers.learn.grades import grade_of

ALL = {
    "answers": (5, 5),
    "finds": (5, 5),
    "attributes": (4, 4),
    "negates": (2, 2),
    "ends": (3, 3),
    "keeps": (5, 5),
}


@pytest.mark.parametrize(
    ("worse", "grade"),
    [
        ({}, "full"),
        ({"keeps": (4, 5)}, "adds"),
        ({"ends": (2, 3)}, "adds"),
        ({"negates": (1, 2)}, "adds"),
        ({"attributes": (2, 4)}, "adds"),
        ({"finds": (2, 5)}, "none"),
        ({"answers": (2, 5)}, "none"),
        ({"finds": (3, 5), "attributes": (1, 4)}, "none"),
    ],
)
def test_a_grade_follows_from_the_skills(worse, grade):
    """One wrong ending is enough to end nothing; a model that finds little is not asked."""
    assert grade_of(ALL | worse) == grade


def test_probes_stand_in_several_languages_and_try_every_skill():
    """A dozen or two, in few calls."""
    calls = grades._calls()
    skills = [probe["skill"] for call in calls for probe in call["probe"]]
    assert len(calls) <= 8 and 12 <= len(skills) <= 30
    assert {"finds", "attributes", "negates", "replaces"} <= set(skills)
