"""Memory for LiveKit voice agents."""
