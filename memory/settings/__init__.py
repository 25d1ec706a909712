"""What people have chosen for their own memory, and what an operator has chosen for the whole system.

Beside the environment, which `memory/config.py` reads: what stands in the database counts before it.
Everybody may import it.
"""
