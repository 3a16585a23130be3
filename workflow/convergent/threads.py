"""One thread for matrices so small that more threads lose more by waiting for each other than they gain."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from threadpoolctl import threadpool_limits


@contextmanager
def one_thread() -> Iterator[None]:
    """Let linear algebra, and PyTorch if it is in use, have one thread, and afterwards as many as before.

    Also a decorator: `@one_thread()`.
    """
    torch = sys.modules.get("torch")
    before = torch.get_num_threads() if torch else 0
    with threadpool_limits(1):
        if torch:
            torch.set_num_threads(1)
        try:
            yield
        finally:
            if torch:
                torch.set_num_threads(before)
