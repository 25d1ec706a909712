"""`python -m echoic.local.llm.model_process FILE NAME ADDRESS_FILE`: llama.cpp as an HTTP server, in a
process of its own."""

import os
import signal
import sys
from pathlib import Path

from echoic.local.ports import Address

CONTEXT_TOKENS = 8192  # shared by the slots: a reply takes about 1,000, a batch to learn from 4,000
SLOTS = 2  # a reply need not wait until a batch is learned, and each keeps its own prompt prefix
# prompt tokens read at a stretch, then the other slot's reply goes on; as quick a token as 512 (54 to 52 a
# CPU-second)
BATCH_TOKENS = 64
PROMPT_CACHE_MIB = 512  # the default is 8 GiB; with 0 every change of speaker costs seconds
MOST_THREADS = 8


def main(file: str, name: str, address_file: str) -> None:
    """Serve until a signal ends it."""
    import xllamacpp  # an extra: only who serves a file needs it

    address = Address.read(Path(address_file))
    options = xllamacpp.CommonParams()
    options.model.path, options.model_alias = file, {name}
    options.n_ctx, options.n_parallel, options.kv_unified = CONTEXT_TOKENS, SLOTS, True
    options.n_batch = options.n_ubatch = BATCH_TOKENS
    options.cache_ram_mib = PROMPT_CACHE_MIB
    options.cpuparams.n_threads = options.cpuparams_batch.n_threads = threads()
    options.hostnames, options.port, options.api_keys = ["127.0.0.1"], address.port, [address.key]
    options.ui = options.endpoint_slots = options.endpoint_props = False
    options.verbosity = 1  # errors: its chattier lines could quote prompts
    server = xllamacpp.Server(options)  # returns when the model is loaded
    signal.pause()
    del server


def threads() -> int:
    """One a core; half of many, which are mostly two to a real core, and beyond eight nothing is gained."""
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return cores if cores <= 4 else min(cores // 2, MOST_THREADS)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3])
