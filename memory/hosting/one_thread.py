"""Keeps numpy's arithmetic to the thread that asks for it."""

from functools import cache

from threadpoolctl import threadpool_limits


@cache
def compute_on_one_thread() -> None:
    """For this whole process, whoever computes in it; costs 3 ms once.

    OpenBLAS shares anything above half a million multiplications among all cores, and its threads spin while
    they wait for one another. Where the machine is busy they wait for a time slice: 1,200 rows times a
    question took 8 ms of processor time, and takes 0.07 on one thread, at most 12 for 50,000 rows.
    """
    threadpool_limits(limits=1, user_api="blas")
