"""What Echoic remembers and how it is found again; imports nothing of agent, workers or api."""
