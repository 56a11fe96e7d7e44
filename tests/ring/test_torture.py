"""Processes are killed at random moments, and on purpose inside the ring: nothing hangs, is lost or doubled."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from mimodaq.ring import Ring
from ring.crew import Crew
from ring.harness import SMALL, WAVE
from ring.tracing import Count

LOADS = {
    "small events, few slots": (SMALL, 6, ("put", "claim"), {"f": ("get", "take"), "g": ("get",)}),
    "small events, many slots": (SMALL, 200, ("put", "claim", "slot"), {"f": ("take", "take"), "g": ("get", "take")}),
    "68 kB": (WAVE, 12, ("slot", "claim"), {"f": ("get", "take"), "g": ("take",)}),
}
"""Dtype, number of slots, how each writer writes, how each member of each group reads."""

NewCrew = Callable[..., Crew]


@pytest.fixture(params=LOADS.values(), ids=LOADS)
def new_crew(request: pytest.FixtureRequest, new_ring: Callable[..., Ring]) -> Iterator[NewCrew]:
    """Engage a crew for one of the loads; whoever is still at work after the test is killed."""
    dtype, slots, writers, groups = request.param
    crews = []

    def make(seed: int, prepare: Callable[[random.Random], None] = lambda _: None) -> Crew:
        print(f"seed {seed}")
        crew = Crew(new_ring(slots=slots, dtype=dtype, groups=[*groups]), seed, prepare)
        crews.append(crew)
        for how in writers:
            crew.add_writer(how)
        for group, members in groups.items():
            for how in members:
                crew.add_reader(group, how)
        crew.add_observer()
        crew.start_all()
        return crew

    yield make
    for crew in crews:
        crew.kill_all()


def set_trap(moments: random.Random) -> None:
    """Let this process, mostly, kill itself somewhere inside the ring."""
    if moments.random() < 0.7:
        Count(int(10 ** moments.uniform(2.5, 5)), lambda: os.kill(os.getpid(), signal.SIGKILL)).start()


def torture(crew: Crew, deaths: int, longest_s: float) -> None:
    crew.let_die(deaths, longest_s)
    crew.end()
    print(crew.check())


def test_killed_at_random_moments(new_crew: NewCrew) -> None:
    torture(new_crew(seed=1), 60, longest_s=0.03)


def test_killed_inside_the_ring(new_crew: NewCrew) -> None:
    torture(new_crew(seed=2, prepare=set_trap), 60, longest_s=0.1)


def any_seed() -> int:
    return int(np.random.default_rng().integers(1 << 30))


@pytest.mark.soak
def test_killed_at_random_moments_for_long(new_crew: NewCrew) -> None:
    torture(new_crew(any_seed()), 3000, longest_s=0.03)


@pytest.mark.soak
def test_killed_inside_the_ring_for_long(new_crew: NewCrew) -> None:
    torture(new_crew(any_seed(), prepare=set_trap), 3000, longest_s=0.1)
