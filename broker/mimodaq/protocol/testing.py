"""A virtual clock and a network that misbehaves, for tests of brains: everything in one process, nothing waits.

Deterministic: the same seed gives the same history. Not for use in a running system.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any


@dataclass(slots=True)
class World:
    """A clock that jumps from one thing that happens to the next."""

    seed: int
    now: float = 1000.0
    rng: Random = field(init=False)
    _heap: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _count: int = 0

    def __post_init__(self) -> None:
        self.rng = Random(self.seed)

    def after(self, delay_s: float, action: Callable[[], None]) -> None:
        """Let `action` happen `delay_s` from now; things at the same time happen in the order they were asked for."""
        self._count += 1
        heapq.heappush(self._heap, (self.now + delay_s, self._count, action))

    def run(self, seconds: float) -> None:
        """Let everything happen that is due in the next `seconds`."""
        end = self.now + seconds
        while self._heap and self._heap[0][0] <= end:
            self.now, _, action = heapq.heappop(self._heap)
            action()
        self.now = end

    def run_until(self, condition: Callable[[], bool], limit_s: float, step_s: float = 0.25) -> bool:
        """Let time pass until `condition` holds, at most `limit_s`; whether it does."""
        end = self.now + limit_s
        while not condition():
            if self.now >= end:
                return False
            self.run(step_s)
        return True


@dataclass(slots=True)
class Weather:
    """What the network does to a packet."""

    loss: float = 0.0
    """Probability that it is lost."""
    copies: float = 0.0
    """Probability that it comes twice."""
    slow: float = 0.0
    """Probability that it is late, by up to `slow_s`, and so overtaken by others."""
    slow_s: float = 5.0
    fast_s: float = 0.005
    """All others take up to this long."""


@dataclass(slots=True)
class Network:
    """Carries packets between named places that have a receiver."""

    world: World
    weather: Weather = field(default_factory=Weather)
    receivers: dict[str, Callable[[str, Any], None]] = field(default_factory=dict)
    """Place to what is called with (sender, packet)."""
    cut: set[str] = field(default_factory=set)
    """Places whose cable is unplugged; a packet on the way when it is unplugged still arrives."""

    def send(self, sender: str, to: str, packet: Any) -> None:
        """Send; what becomes of it is up to the weather."""
        rng, weather = self.world.rng, self.weather
        if sender in self.cut or to in self.cut or rng.random() < weather.loss:
            return
        for _ in range(2 if rng.random() < weather.copies else 1):
            is_slow = rng.random() < weather.slow
            delay_s = rng.random() * (weather.slow_s if is_slow else weather.fast_s)
            self.world.after(delay_s, lambda: self._arrive(sender, to, packet))

    def _arrive(self, sender: str, to: str, packet: Any) -> None:
        receiver = self.receivers.get(to)
        if receiver is not None:
            receiver(sender, packet)
