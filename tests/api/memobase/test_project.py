"""The project: its configuration steers learning, and what it used is told."""

from datetime import UTC, datetime

import pytest

from tests.api.memobase.conftest import Program

CONFIG = "/project/profile_config"
GOOD = """
language: en
unknown_key: ignored
overwrite_user_profiles:
  - topic: "Food"
    sub_topics:
      - name: "Dietary Preference"
        description: "What they eat"
      - Dietary Restriction
event_theme_requirement: Only food.
event_tags:
  - name: mood
    description: How they feel
"""
WRONG = {
    "no YAML": "\n[[[\n",
    "a wrong type": GOOD.replace('"What they eat"', "true"),
    "no keys": "- topic",
    "a wrong language": "language: [en]",
    "too long": f"event_theme_requirement: short\n# {'x' * 65_535}",
    "NUL": "language: en\0",
    "a reference": "language: &a en\nevent_theme_requirement: *a",
    **{f"60,000 of {one}": f"event_tags: {one * 60_000}" for one in ("[", "{", "- ", "? ")},
}


async def test_a_configuration_counts_at_once(program: Program, worker: None, model) -> None:
    """Its slots, tags and theme are what the learning model is asked for; null takes it back."""
    assert await program.ask("GET", CONFIG) == {"profile_config": ""}
    assert await program.ask("POST", CONFIG, json={"profile_config": GOOD}) is None
    assert await program.ask("GET", CONFIG) == {"profile_config": GOOD}
    user_id = await program.introduce()
    await program.tell(user_id, "I eat no meat")
    await program.flush(user_id)
    asked = str(model.requests[0])
    assert all(words in asked for words in ("dietary_preference", "What they eat", "Only food", "mood"))
    await program.ask("POST", CONFIG, json={"profile_config": None})
    assert await program.ask("GET", CONFIG) == {"profile_config": ""}


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG)
async def test_a_wrong_configuration_is_refused(program: Program, text: str) -> None:
    """And what counted before stays."""
    await program.ask("POST", CONFIG, json={"profile_config": GOOD})
    await program.ask("POST", CONFIG, errno=400, json={"profile_config": text})
    assert await program.ask("GET", CONFIG) == {"profile_config": GOOD}


async def test_the_longest_configuration_counts(program: Program) -> None:
    """65,535 characters, as at Memobase."""
    text = "language: en\n#".ljust(65_535, "ä")
    await program.ask("POST", CONFIG, json={"profile_config": text})
    assert await program.ask("GET", CONFIG) == {"profile_config": text}


async def test_usage_is_told(program: Program, worker: None) -> None:
    """By day, today first; tokens are never used up."""
    user_id = await program.introduce()
    await program.tell(user_id, "Hello, I'm Gus")
    await program.flush(user_id)
    await program.tell(user_id, "I live in Porto")
    days = await program.ask("GET", "/project/usage", params={"last_days": 3})
    assert len(days) == 3
    assert days[0].pop("date") == datetime.now(UTC).date().isoformat()
    tokens = {"total_input_token": 1, "total_output_token": 1}
    assert days[0] == {"total_insert": 2, "total_success_insert": 1, **tokens}
    assert {days[1][name] for name in days[0]} == {0}
    bill = await program.ask("GET", "/project/billing")
    assert (bill["token_left"], bill["project_token_cost_month"]) == (None, 2)
    assert datetime.fromisoformat(bill["next_refill_at"]) > datetime.now(UTC)
