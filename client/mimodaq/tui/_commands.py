"""Commands of the operator: what is asked first, what is sent, and what came back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, cast

from textual import work

from mimodaq.protocol.messages import Ask
from mimodaq.protocol.states import State
from mimodaq.tui.render import Line, checks
from mimodaq.watch import Check, Grade, preflight

from ._dialogs import AskText, Confirm, TypeToConfirm
from ._start_dialog import StartRun
from ._wishes import Change, WishError, Wishes, as_configured, change_of
from .feed import Choices, FeedError
from .setups import changed

if TYPE_CHECKING:
    from ._app import OperatorApp


class Commands:
    """The part of the app that changes something in the cluster; nothing else does."""

    _number: int = 0

    @property
    def _me(self) -> OperatorApp:
        return cast("OperatorApp", self)

    def refuse(self, command: str) -> bool:
        """Tell why `command` is not possible now; false if it is."""
        me = self._me
        why_not = me.why_not(command)
        if why_not:
            me.say(why_not)
        return why_not is not None

    async def send(
        self,
        command: str,
        *,
        comment: str = "",
        setup_id: str | None = None,
        choices: Choices | None = None,
        force: bool = False,
    ) -> bool:
        """Send a command and tell how it went; whether it was carried out."""
        me = self._me
        self._number += 1
        number = self._number
        began = me.feed.now()
        me.say(f"sent: {command} …")
        chosen = choices or Choices()
        answer = await me.feed.command(Ask(number, command, setup_id, comment, chosen.optional, chosen.on_loss, force))
        took = me.feed.now() - began
        me.say(f"{command}: done in {took:.1f} s" if answer.ok else f"refused: {answer.text}", is_bad=not answer.ok)
        return answer.ok

    @work(group="command")
    async def action_start_run(self) -> None:
        """Start a run, after a look at everything that could stand in the way."""
        if self.refuse("start"):
            return
        me = self._me
        cluster, setup, known = me.model.snapshot.cluster, me.model.setup, me.model.choices
        is_armed = cluster is not None and cluster.aim is State.READY

        def change(wishes: Wishes, choices: Choices) -> Change | None:
            return change_of(wishes, setup, choices) if setup and not is_armed else None

        def check(width: int, wishes: Wishes) -> tuple[Sequence[Line], bool]:
            return self._checks(width, lambda: change(wishes, known))

        wishes = as_configured(setup, known) if setup and not is_armed else None
        started = await me.push_screen_wait(StartRun("Start a run", check, wishes, has_comment=not is_armed))
        if started is None or self.refuse("start"):
            return
        if setup is not None and me.model.setup != setup:
            me.say("start: another setup has been loaded meanwhile; look at it first", is_bad=True)
            return
        try:
            wanted = change(started.wishes, await me.feed.choices())  # somebody else may have chosen anew
        except FeedError as error:
            me.say(str(error), is_bad=True)
            return
        if wanted is None or await self._configure_again(wanted):
            await self.send("start", comment=started.comment)

    async def _configure_again(self, change: Change) -> bool:
        """Load the setup of the cluster once more, with other limits or choices; whether that went well."""
        me = self._me
        try:
            packed = await me.feed.setup()
            if packed is None:
                me.say("start: the setup has been forgotten meanwhile: configure (6) first", is_bad=True)
                return False
            setup_id = await me.feed.offer(changed(packed, change.overrides))
        except FeedError as error:
            me.say(str(error), is_bad=True)
            return False
        return await self.send("configure", setup_id=setup_id, choices=Choices(change.optional, change.on_loss))

    def _checks(self, width: int, change: Callable[[], Change | None]) -> tuple[Sequence[Line], bool]:
        me = self._me
        model = me.model
        points = preflight(model.snapshot, model.commands, model.alarm_list, model.disk_left_s, me.feed.operator)
        try:
            wanted = change()
        except WishError as error:
            points.append(Check(Grade.BLOCKING, str(error)))
        else:
            points += [Check(Grade.OK, f"will be configured before: {wanted.about}")] if wanted else []
        return checks(points, width), all(point.grade is not Grade.BLOCKING for point in points)

    @work(group="command")
    async def action_hold_run(self) -> None:
        """Pause or resume, whichever is possible; reversible, so nothing is asked."""
        me = self._me
        command = "resume" if me.why_not("resume") is None else "pause"
        if not self.refuse(command):
            await self.send(command)

    @work(group="command")
    async def action_arm_run(self) -> None:
        """Make everything ready with the sources held."""
        if not self.refuse("arm"):
            await self.send("arm")

    @work(group="command")
    async def action_stop_run(self) -> None:
        """Stop, after a question with numbers."""
        if self.refuse("stop"):
            return
        run = self._run
        if await self._me.push_screen_wait(Confirm(f"Stop run {run}?", self._stop_text, "Stop")) and not self.refuse(
            "stop"
        ):
            await self.send("stop")

    @work(group="command")
    async def action_abort_run(self) -> None:
        """Abort, after its number has been typed."""
        if self.refuse("abort"):
            return
        run = self._run
        dialog = TypeToConfirm(f"Abort run {run}?", self._abort_text, str(run), "Abort")
        if await self._me.push_screen_wait(dialog) and not self.refuse("abort"):
            await self.send("abort")

    @work(group="command")
    async def action_reset_run(self) -> None:
        """Forget the setup; in a run this is an abort, so a word has to be typed."""
        if self.refuse("reset"):
            return
        word = str(self._run or "reset")
        dialog = TypeToConfirm("Reset the cluster?", self._reset_text, word, "Reset")
        if await self._me.push_screen_wait(dialog) and not self.refuse("reset"):
            await self.send("reset")

    @work(group="command")
    async def action_shutdown_cluster(self) -> None:
        """End all daemons; from the palette only."""
        if self.refuse("shutdown"):
            return
        text = ["All node daemons and the broker end.", "They have to be started again on their computers."]
        dialog = TypeToConfirm("Shut the cluster down?", lambda: text, "shutdown", "Shut down")
        if await self._me.push_screen_wait(dialog) and not self.refuse("shutdown"):
            await self.send("shutdown")

    @work(group="command")
    async def action_control(self) -> None:
        """Take control, or give it away."""
        me = self._me
        cluster = me.model.snapshot.cluster
        if not me.feed.may_command or cluster is None or me.model.snapshot.is_stale:
            me.say("control: watching only" if not me.feed.may_command else "control: no contact to the broker")
            return
        holder = cluster.in_charge
        if not holder:
            await self.send("take")
        elif holder == me.feed.operator:
            text = ["You have control.", "Whoever sends the next command has it then."]
            if await me.push_screen_wait(Confirm("Give control away?", lambda: text, "Give")):
                await self.send("surrender")
        else:
            text = [f"{holder} has control.", "Ask, or take it: it is written to the log, and shown on every screen."]
            if await me.push_screen_wait(Confirm(f"Take control from {holder}?", lambda: text, "Take")):
                await self.send("take", force=True)

    @work(group="command")
    async def action_mark_run(self) -> None:
        """Write a remark into the log of the cluster; it gets the time, the run and the name of the operator."""
        me = self._me
        if not me.feed.may_command or me.model.snapshot.is_stale:
            me.say("mark: watching only" if not me.feed.may_command else "mark: no contact to the broker")
            return
        text = await me.push_screen_wait(AskText("Mark: what has happened? It goes into the log"))
        if text:
            await self.send("mark", comment=text)

    @property
    def _run(self) -> int | None:
        cluster = self._me.model.snapshot.cluster
        return cluster.run if cluster else None

    def _in_buffers(self) -> int:
        reports = self._me.model.snapshot.reports.values()
        return sum(buffer.lag for report in reports for buffer in report.buffers)

    def _stop_text(self) -> list[str]:
        cluster = self._me.model.snapshot.cluster
        events = f"{cluster.events:,} events in {cluster.running_s:,.0f} s." if cluster else ""
        return [events, f"{self._in_buffers():,} events are still in buffers: they are worked off first."]

    def _abort_text(self) -> list[str]:
        return [
            f"{self._in_buffers():,} events in buffers are LOST.",
            "Files are closed, and the run is marked as aborted.",
            "Stop (x) ends the run without losing anything.",
        ]

    def _reset_text(self) -> list[str]:
        lost = f"{self._in_buffers():,} events in buffers are LOST." if self._run else "No run is in progress."
        return [lost, "The setup is forgotten; configure loads it again."]
