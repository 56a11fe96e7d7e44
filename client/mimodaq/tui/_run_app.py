"""The screens on a run of this host: leaving them asks what is to become of the run, and its end is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, ClassVar, Final

from textual import on, work
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Button

from mimodaq.client._embedded import Begun, Ended, News, NotStarted

from ._app import OperatorApp
from ._dialogs import Question, Shown
from ._keys import Key
from .feed import Feed
from .render import Line, clean, fit

_AGAIN_S: Final = 0.25


class Leave(Question[str]):
    """What is to become of the run: `stop`, `leave`, or nothing changes."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n,q", "no", show=False),
        Binding("x", "stop", show=False),
        Binding("l", "leave", show=False),
    ]

    def __init__(self, consequences: Callable[[], Sequence[str]]) -> None:
        super().__init__("Leave?", consequences, "Go on  n/esc", stop="Stop and leave  x", leave="Leave it running  l")

    @on(Button.Pressed, "#stop")
    def action_stop(self) -> None:
        """Stop the run, and leave when it has ended."""
        self.dismiss("stop")

    @on(Button.Pressed, "#leave")
    def action_leave(self) -> None:
        """Leave now."""
        self.dismiss("leave")


class End(Shown):
    """How a run has ended, and where its files are; q leaves the screens."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("q,f10", "leave", show=False)]

    def __init__(self, ended: Ended, leave: Callable[[], None]) -> None:
        super().__init__(f"Run {ended.run}: {ended.verdict.upper()}", lambda width: _lines(ended.summary, width))
        self._leave = leave

    def on_mount(self) -> None:
        """Say what can be done now."""
        self.query_one(Vertical).border_subtitle = "q leaves, esc looks around"

    def action_leave(self) -> None:
        """Leave the screens."""
        self._leave()


class RunApp(OperatorApp):
    """The operator's screens on the run of a setup of this host."""

    def __init__(self, feed: Feed, news: AsyncIterator[News], address: str, **options: Any) -> None:
        super().__init__(feed, **options)
        self.address = address
        """Of the broker, for other terminals."""
        self.directory = ""
        """Where the run writes, as soon as it does."""
        self.ended: list[Ended] = []
        """The runs that have ended while the screens were open."""
        self.not_started = ""
        """Why there was no run."""
        self.is_left_running = self.is_lost = False
        self._host_news = news
        self._is_leaving = False
        self._signals = 0

    def on_mount(self) -> None:
        """Hear what becomes of the run. (The base has its own.)"""
        self._hear()
        self.say(f"other terminals: mimodaq tui --broker {self.address}")

    @work(group="host")
    async def _hear(self) -> None:
        """What the process of the run says; when it says no more, it has died."""
        async for one in self._host_news:
            match one:
                case Begun(directory):
                    self.directory = directory
                case Ended():
                    self._has_ended(one)
                case NotStarted(text) if self.ended:
                    self.say(text, is_bad=True)
                case NotStarted(text):
                    self.not_started = text
                    self.exit()
                case _:
                    pass  # was said before the screens were opened
        self.is_lost = True
        self.exit()

    def _has_ended(self, one: Ended) -> None:
        self.ended.append(one)
        if self._is_leaving:
            self.exit()
            return
        if isinstance(self.screen, Leave):
            self.screen.dismiss(None)
        self.push_screen(End(one, self.exit))

    # -- leaving --------------------------------------------------------------------------------------------------

    @property
    def _is_over(self) -> bool:
        """Whether no run goes on, and one has."""
        snapshot = self.model.snapshot
        cluster = snapshot.cluster if not snapshot.is_stale else None
        is_going_on = cluster is None or cluster.run is not None or cluster.aim.is_in_run
        return bool(self.ended) and not is_going_on

    def about(self, key: Key) -> str:
        """Here to leave is a question."""
        return "leave; asks what becomes of the run" if key.action == "leave" else super().about(key)

    def action_leave(self) -> None:
        """Leave; if a run goes on, ask what is to become of it."""
        if self._is_over:
            self.exit()
        elif not isinstance(self.screen, Leave):
            self._ask()

    async def action_quit(self) -> None:
        """Ctrl-Q."""
        self.action_leave()

    def action_help_quit(self) -> None:
        """Ctrl-C."""
        self.action_leave()

    @work(group="leave")
    async def _ask(self) -> None:
        match await self.push_screen_wait(Leave(self._leave_text)):
            case "stop":
                await self._stop_and_leave("stop")
            case "leave":
                self.is_left_running = True
                self.exit()

    def _leave_text(self) -> list[str]:
        cluster = self.model.snapshot.cluster
        events = f"{cluster.events:,} events in {cluster.running_s:,.0f} s." if cluster and cluster.run else ""
        place = f"Files: {self.directory}" if self.directory else ""
        return [
            *(line for line in (events, place) if line),
            "Stop and leave: sources off, what is in the buffers is worked off, files are closed.",
            "Leave it running: it goes on without this terminal, until it ends or is stopped.",
            "  watch it again: mimodaq tui    stop it: mimodaq stop",
            f"  or with --broker {self.address}",
        ]

    def end_by_signal(self) -> None:
        """The first signal stops the run, the second aborts it, the third leaves it to itself."""
        self._signals += 1
        if self._is_over:
            self.exit()
        elif self._signals <= 2:
            self._obey("stop" if self._signals == 1 else "abort")
        else:
            self.is_left_running = True
            self.exit()

    @work(group="leave")
    async def _obey(self, command: str) -> None:
        await self._stop_and_leave(command)

    async def _stop_and_leave(self, command: str) -> None:
        """End the run; when it has ended, the screens are left."""
        self._is_leaving = True
        while not await self.send(command):
            if self.ended:
                self._is_leaving = False
                if self._is_over:
                    self.exit()
                return
            await asyncio.sleep(_AGAIN_S)  # the run is just about to begin


def _lines(text: str, width: int) -> list[Line]:
    return [fit([(clean(line), "")], width) for line in text.strip("\n").splitlines()]
