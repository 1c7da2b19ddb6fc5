"""Where time goes: calls are watched without changing what they do."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

CALLS = 1000  # by which the cost of watching one is found


@contextmanager
def watched(parts: Mapping[str, Sequence[tuple[Any, str]]]) -> Iterator[dict[str, float]]:
    """Seconds spent in each part while it lasts: in its functions, less what they call of other parts and watching it.

    Args:
        parts: name -> functions, as (module or class, name in it).
    """
    taken, within = dict.fromkeys(parts, 0.0), [0.0]
    before = [(owner, name, getattr(owner, name)) for targets in parts.values() for owner, name in targets]

    def watch(part: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def watching(*values: Any, **named: Any) -> Any:
            within.append(0.0)
            began = time.perf_counter()
            try:
                return call(*values, **named)
            finally:
                seconds = time.perf_counter() - began
                taken[part] += seconds - within.pop()
                within[-1] += seconds + cost

        return watching

    taken[""], cost = 0.0, 0.0
    nothing, began = watch("", lambda: None), time.perf_counter()
    for _ in range(CALLS):
        nothing()
    cost = (time.perf_counter() - began - taken.pop("")) / CALLS  # of watching a call, beside what it is told to take
    for part, targets in parts.items():
        for owner, name in targets:
            setattr(owner, name, watch(part, getattr(owner, name)))
    try:
        yield taken
    finally:
        for owner, name, call in before:
            setattr(owner, name, call)
