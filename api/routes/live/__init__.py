"""Live events of one person, or of all: as they happen, over whatever the client speaks."""
