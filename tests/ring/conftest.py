"""Rings for tests, checked and removed at the end."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mimodaq.ring import Ring, segment_name
from mimodaq.ring._process import Identity
from ring.harness import SMALL, Bell, dead_process

_numbers = itertools.count()


@pytest.fixture
def fresh_name() -> Callable[[], str]:
    """Names of segments that nobody else uses."""
    return lambda: segment_name(f"b{next(_numbers)}", partition=f"test-{os.getpid()}")


@pytest.fixture
def new_ring(fresh_name: Callable[[], str]) -> Iterator[Callable[..., Ring]]:
    """Make rings; all are verified and removed at the end of the test."""
    rings = []

    def make(slots: int = 8, dtype: Any = SMALL, **options: Any) -> Ring:
        ring = Ring.create(fresh_name(), dtype, slots, **({"groups": ["g"]} | options))
        rings.append(ring)
        return ring

    yield make
    for ring in rings:
        ring.unlink()
        ring.verify()


@pytest.fixture
def ring(new_ring: Callable[..., Ring]) -> Ring:
    """A ring of 8 slots with one reader group, "g"."""
    return new_ring()


@pytest.fixture
def new_bell() -> Iterator[Callable[[], Bell]]:
    """Make bells; all are closed at the end of the test."""
    bells = []

    def make() -> Bell:
        bells.append(Bell())
        return bells[-1]

    yield make
    for bell in bells:
        bell.close()


@pytest.fixture(scope="session")
def dead() -> Identity:
    """The identity of a process that has died."""
    return dead_process()
