"""An operator at the screens: an app on a simulated experiment whose clock only moves when it is told to."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from textual.pilot import Pilot

from mimodaq.protocol.states import State
from mimodaq.tui._app import OperatorApp
from mimodaq.tui.feed import Feed
from mimodaq.tui.simulated import SimulatedFeed


def in_a_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run an asynchronous test to its end, at most for 100 s: the machine may be busy with other things."""

    @functools.wraps(test)
    def run(*arguments: Any, **named: Any) -> None:
        asyncio.run(asyncio.wait_for(test(*arguments, **named), 100.0))

    return run


class Console:
    """What the operator sees and does."""

    def __init__(self, app: OperatorApp, feed: Feed, pilot: Pilot[None]) -> None:
        self.app, self.feed, self.pilot = app, feed, pilot

    async def press(self, *keys: str) -> None:
        for key in keys:
            await self.pilot.press(key)
        await self.settle()

    async def wait(self, seconds: float, step: float = 1.0) -> None:
        """Let the time of the experiment pass."""
        assert isinstance(self.feed, SimulatedFeed)
        left = seconds
        while left > 1e-9:
            self.feed.advance(min(step, left))
            left -= step
            await self.settle()

    async def settle(self) -> None:
        """Until everything that has been said is drawn."""
        for _ in range(2):
            await self.pilot.pause()

    async def until(self, holds: Callable[[], bool], seconds: float = 30.0) -> None:
        """Let time pass until something is so."""
        for _ in range(int(seconds / 0.25)):
            if holds():
                return
            await self.wait(0.25, 0.25)
        raise AssertionError(f"not within {seconds} s:\n{self.text}")

    @property
    def text(self) -> str:
        """The whole screen."""
        strips = self.app.screen._compositor.render_strips()
        return "\n".join("".join(segment.text for segment in strip).rstrip() for strip in strips)

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()

    @property
    def state(self) -> State:
        assert isinstance(self.feed, SimulatedFeed)
        return self.feed.control.state

    @property
    def dialog(self) -> str:
        """Name of the dialog in front; empty if there is none."""
        return "" if len(self.app.screen_stack) == 1 else type(self.app.screen).__name__


@asynccontextmanager
async def console(
    feed: Feed | None = None, size: tuple[int, int] = (120, 36), **options: Any
) -> AsyncIterator[Console]:
    """Sit down at the screens."""
    feed = feed or SimulatedFeed(state=State.RUNNING)
    app = OperatorApp(feed, ticks=False, **options)
    async with app.run_test(size=size) as pilot:
        seat = Console(app, feed, pilot)
        await seat.settle()
        yield seat
