"""What is known about callers: recalled within a deadline, stored once, exported and erased on request.

Everybody may import it; it imports none of the other packages. `service.open_memory()` opens it.
"""
