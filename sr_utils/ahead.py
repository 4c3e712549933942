"""Work done ahead of its use, by threads, in order and within bounded memory."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def ahead(
    function: Callable[[Item], Result], items: Iterable[Item], *, depth: int = 2, workers: int = 1
) -> Iterator[tuple[Item, Result]]:
    """(item, function(item)) in the order of `items`, computed by threads up to `depth` items ahead.

    What `function` raises reaches the caller in its turn; the results do not depend on `depth` or `workers`.
    """
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque = deque()
        for item in items:
            waiting.append((item, pool.submit(function, item)))
            if len(waiting) > depth:
                ready, future = waiting.popleft()
                yield ready, future.result()
        for ready, future in waiting:
            yield ready, future.result()
