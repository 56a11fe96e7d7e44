"""The fixtures that the link tests share with those of the ring, and links as processes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from link.between import NO_KEYS, Between
from link.ends import GROUP, Pair
from link.relay import Keys, Relay
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
def between(new_ring: Callable[..., Ring]) -> Iterator[Callable[..., Between]]:
    """Make two ends with somebody between them; processes that are left are killed."""
    made: list[Between] = []

    def make(
        roles: tuple[str, str] = ("sender", "receiver"),
        *,
        relay: type[Relay] = Relay,
        keys: tuple[Keys, Keys] = NO_KEYS,
    ) -> Between:
        is_link = roles[0] == "sender"
        source = new_ring(slots=5000, dtype=SMALL, groups=[GROUP], expected_writers=1)
        mirror = new_ring(
            slots=5000 if is_link else 64, dtype=SMALL, groups=[GROUP] if is_link else [], expected_writers=1
        )
        made.append(Between(roles, source, mirror, relay, keys))
        return made[-1]

    yield make
    for one in made:
        with one.relay:
            for end in (one.sender, one.receiver):
                if end.is_running:
                    end.kill()


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe for what a child has found."""
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)
