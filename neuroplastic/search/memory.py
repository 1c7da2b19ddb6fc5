"""How much memory a search may take, and the refusal of more before any is taken."""

from __future__ import annotations

from neuroplastic.errors import ArgumentError
from neuroplastic.search.base import Strategy

MAX_MEGABYTES = 2048


def check_memory(strategy: type[Strategy], size: int, population: int, limit: int) -> None:
    """Raises `ArgumentError` if the strategy would take more than ``limit`` megabytes."""
    needed = strategy.megabytes(size, population)
    if needed > limit:
        raise ArgumentError(
            f"max_megabytes: expected enough for {strategy.__name__} with {size:,} numbers, which takes "
            f"{needed:,.0f} MB; got {limit:,} (sep-cma-es, snes, pgpe and openai-es take a few vectors of that length)"
        )


def check_covariance(searcher: str, size: int, instead: str) -> None:
    """Raises `ArgumentError` if another library's searcher, with three matrices D × D, would take too much."""
    needed = 3 * 8 * size**2 / 1e6
    if needed > MAX_MEGABYTES:
        raise ArgumentError(
            f"{searcher}: expected covariance matrices of at most {MAX_MEGABYTES} MB; got {size} numbers, for which "
            f"they take {needed:,.0f} MB (try {instead})"
        )
