"""These tests run in environments that hold Echoic's base install and one LiveKit, and nothing else."""

import os

import pytest


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests may have keys and addresses set."""
    for name in [name for name in os.environ if name.startswith(("ECHOIC_", "OPENAI_", "LIVEKIT_"))]:
        monkeypatch.delenv(name)
