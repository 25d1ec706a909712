"""Programs that several processes share: started by whoever comes first, kept alive, asked over a socket.

Imported by `embedding`, and by `local` for stores, speech and models; imports no other folder of `memory`.
"""
