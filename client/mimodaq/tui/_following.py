"""From the feed to the model: what comes is noted, judged once a second at least, and drawn no faster than wanted."""

from __future__ import annotations

from typing import Final

from textual import work

from mimodaq.protocol.messages import LogLine
from mimodaq.watch import Act

from ._frame import FrameApp
from .feed import FeedError, Message
from .setups import read_packed

_BACK_SCROLL: Final = 5000
_JUDGE_S: Final = 1.0
"""However seldom the screens are drawn, alarms are judged with every snapshot of the broker, once a second."""
_SLACK: Final = 0.9
"""What comes a little early is not left for the next time."""


class FollowingApp(FrameApp):
    """The part of the app that listens; what rules want done is handed to `act`."""

    _setup_id: str | None = None
    _epoch: int | None = None
    """Of the broker whose table of commands is known."""
    _judged_at = float("-inf")

    def act(self, act: Act) -> None:
        """Do what a rule wants."""
        raise NotImplementedError

    @work(group="feed", exclusive=True)
    async def listen(self) -> None:
        """Take messages as they come, to the end of the feed."""
        try:
            async for message in self.feed.messages():
                self._take(message)
        except FeedError as error:
            self.say(str(error), is_bad=True)

    def _take(self, message: Message) -> None:
        is_urgent = self.model.take(message, self.feed.now())
        if isinstance(message, LogLine):
            return
        now = self.feed.now()
        if is_urgent or now - self._judged_at >= min(_JUDGE_S, self._refresh_s) * _SLACK:
            has_news = self._judge()
            if is_urgent or has_news or now - self._drawn_at >= self._refresh_s * _SLACK:
                self.draw()

    @work(group="fetch")
    async def fetch(self) -> None:
        """The log from before we came."""
        try:
            before = await self.feed.logs(_BACK_SCROLL)
        except FeedError as error:
            self.say(str(error), is_bad=True)
            return
        self.model.log.put_before(before)
        self.draw()

    @work(group="setup", exclusive=True)
    async def _know_setup(self) -> None:
        """The graph and the limits of what the cluster runs."""
        try:
            packed = await self.feed.setup()
            self.model.know_setup(read_packed(packed) if packed else None, await self.feed.choices())
        except FeedError as error:
            packed = None
            self.say(str(error), is_bad=True)
            self.model.know_setup(None)
        if packed is None:
            self._setup_id = None  # the broker has named one, so it will have it: ask again
        self.draw()

    @work(group="commands", exclusive=True)
    async def _know_commands(self) -> None:
        """What the broker says is possible when."""
        try:
            self.model.commands = await self.feed.commands()
        except FeedError as error:
            self._epoch = None  # ask again
            self.say(str(error), is_bad=True)
        self.draw()

    def tick(self) -> None:
        """Nothing may look live when nothing comes."""
        if self.feed.now() - self._judged_at >= _JUDGE_S:
            self.look()

    def look(self) -> None:
        """Take a snapshot, judge it, draw it."""
        self._judge()
        self.draw()

    def _judge(self) -> bool:
        """Take a snapshot and do what rules want; whether an alarm has begun."""
        self._judged_at = self.feed.now()
        acts = self.model.look(self.feed.now(), self.feed.utc_ns())
        snapshot = self.model.snapshot
        if snapshot.cluster and not snapshot.is_stale and snapshot.cluster.setup_id != self._setup_id:
            self._setup_id = snapshot.cluster.setup_id
            self._know_setup()
        if snapshot.cluster and not snapshot.is_stale and snapshot.cluster.epoch != self._epoch:
            self._epoch = snapshot.cluster.epoch
            self._know_commands()
        for act in acts:
            self.act(act)
        return bool(acts)
