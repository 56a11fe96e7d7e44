"""The fixtures that the link tests share with those of the ring, and links as processes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from link.ends import GROUP, Pair
from mimodaq.ring import Ring
from ring.conftest import dead, fresh_name, new_ring, ring
from ring.harness import SMALL

__all__ = ["dead", "fresh_name", "new_ring", "ring"]


@pytest.fixture
def new_pair(new_ring: Callable[..., Ring]) -> Iterator[Callable[..., Pair]]:
    """Make links between two new rings; processes that are left are killed."""
    pairs = []

    def make(dtype: np.dtype[np.void] = SMALL, slots: int = 500, source: Ring | None = None, **options: object) -> Pair:
        source = source or new_ring(slots=slots, dtype=dtype, groups=[GROUP], expected_writers=1)
        mirror = new_ring(slots=slots, dtype=dtype, groups=[GROUP], expected_writers=1)
        pairs.append(Pair(source, mirror, **options))
        return pairs[-1]

    yield make
    for pair in pairs:
        for end in pair.ends:
            if end.is_running:
                end.kill()


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe for what a child has found."""
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)
