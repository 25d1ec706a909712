"""Wishes said in passing, and answers: the weights in the repository tell the open half of them apart."""

import numpy as np
import pytest

from echoic.agent.commands.likely import weights_of
from echoic.agent.commands.memory_commands import Asked
from echoic.memory.embedding import e5
from evals import answers
from evals.wishes import fitted, measure, of_half


@pytest.mark.parametrize("asked", answers.FILES)
def test_an_open_yes_is_told_apart(asked: Asked) -> None:
    """Most are plain or asked again, and no refusal is."""
    found = answers.measure("open", asked, e5.load_e5(e5.e5_file()))
    count, plain, again = found["yes"]
    assert plain + again >= 0.85 * count and found["no"][1:] == (0, 0) and found["unsure"][1] == 0


def test_the_open_half_is_told_apart() -> None:
    """Most wishes are asked about; of what only sounds like one nothing is done, and little is asked."""
    report = measure("open", e5.load_e5(e5.e5_file()), weights_of("wishes"))
    assert report["asked"] >= 0.75 * report["wishes"] and report["asked_as_another"] <= 3
    assert report["wrongly_carried_out"] == 0 and report["wrongly_asked"] <= 4


def test_weights_come_of_examples() -> None:
    """What is near the examples of a kind is of that kind."""
    generator = np.random.default_rng(1)
    centres = generator.normal(size=(2, 384)).astype(np.float32)
    rows = np.repeat(centres, 20, axis=0) + generator.normal(size=(40, 384)).astype(np.float32) / 4
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    weights = fitted(rows, ["nothing"] * 20 + ["forget_that"] * 20, ("nothing", "told", "forget_that"))
    scores = rows @ weights[:-1] + weights[-1]
    assert scores.argmax(axis=1).tolist() == [0] * 20 + [2] * 20


def test_the_halves_are_apart() -> None:
    """And as large as each other, nearly."""
    opened, sealed = of_half("open"), of_half("sealed")
    assert not set(opened) & set(sealed) and 0.8 < len(opened) / len(sealed) < 1.25
