"""Numpy's arithmetic stays in the thread that asks for it, wherever memory is open."""

import asyncio

from threadpoolctl import threadpool_info, threadpool_limits

from echoic.memory.embedding.embedder import LocalEmbedder
from echoic.memory.hosting.one_thread import compute_on_one_thread


def test_a_process_that_embeds_computes_on_one_thread():
    compute_on_one_thread.cache_clear()
    threadpool_limits(limits=2, user_api="blas")
    asyncio.run(LocalEmbedder().close())
    blas = [one for one in threadpool_info() if one["user_api"] == "blas"]
    assert blas and all(one["num_threads"] == 1 for one in blas)
