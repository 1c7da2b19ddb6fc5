"""Where time goes: calls are watched without changing what they do."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any


@contextmanager
def watched(parts: Mapping[str, Sequence[tuple[Any, str]]]) -> Iterator[dict[str, float]]:
    """Seconds spent in each part while it lasts: in its functions, less what they call of other parts.

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
                within[-1] += seconds

        return watching

    for part, targets in parts.items():
        for owner, name in targets:
            setattr(owner, name, watch(part, getattr(owner, name)))
    try:
        yield taken
    finally:
        for owner, name, call in before:
            setattr(owner, name, call)
