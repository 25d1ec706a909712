"""The `openai` package in an environment without LiveKit's plugins; most of its tests are the main run's."""
