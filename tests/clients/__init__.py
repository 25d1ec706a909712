"""Other people's clients, unchanged, against Echoic: `python -m tests.clients.run`."""
