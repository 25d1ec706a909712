"""The language model that learns: asked over HTTP, its answer read however it comes. Imports memory alone."""
