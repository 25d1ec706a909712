"""The routes: each opens nothing of its own, asks one function of `memory`, and answers with a schema."""
