"""What evals.extraction is made of: its cases, what they count, and a model's answer taken from the case."""
