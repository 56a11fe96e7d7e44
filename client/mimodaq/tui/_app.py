"""The app: one feed, one model, eight screens. Leaving it, or losing the terminal, never touches the run."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import ClassVar

from textual import work
from textual.app import SystemCommand
from textual.binding import BindingType
from textual.screen import Screen
from textual.widgets import ContentSwitcher

from mimodaq.protocol.messages import LogLine
from mimodaq.watch import Act, Subject

from ._bindings import app_bindings
from ._commands import Commands
from ._dialogs import Shown
from ._following import FollowingApp
from ._help import help_lines
from ._keys import COMMANDS, GENERAL, PANES, Key
from ._panes import OverviewPane
from ._theme import NAMES, THEMES


class OperatorApp(Commands, FollowingApp):
    """The operator's screens on one feed."""

    BINDINGS: ClassVar[list[BindingType]] = app_bindings()
    ENABLE_COMMAND_PALETTE = True

    def on_mount(self) -> None:
        """Listen."""
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = "lab-dark"
        self.animation_level = "none"
        self.set_class(self.is_ascii, "-ascii")
        self.theme_changed_signal.subscribe(self, lambda _: self._recolour())
        self._focus_pane()
        self.listen()
        self.fetch()
        if self._ticks:
            self.set_interval(0.5, self.tick)
        if self.is_web:
            self.set_interval(1.0, partial(self._leave_with, os.getppid()))

    def _leave_with(self, server: int) -> None:
        """A page's process must not outlive the server, even if that was killed."""
        if os.getppid() != server:
            self.exit()

    def _focus_pane(self) -> None:
        target = self.pane.focus_target()
        if target is not None:
            self._base.set_focus(target)

    # -- what rules want ------------------------------------------------------------------------------------------

    def act(self, act: Act) -> None:
        """Do what a rule wants because it has begun to hold."""
        alarm = act.alarm
        match act.action:
            case "log":
                node, name = alarm.subject.node or "viewer", alarm.level.name.lower()
                self.model.log.add(LogLine(node, alarm.since_utc_ns, name, alarm.rule.name, alarm.text))
            case "bell":
                if self._has_bell:
                    self.bell()
            case "pause" | "stop":
                if self.why_not(act.action) is None:
                    self._send_for(act.action, alarm.text)
            case "command":
                self._run_program(*alarm.rule.command, alarm.text)

    @work(group="command")
    async def _send_for(self, command: str, why: str) -> None:
        await self.send(command, comment=f"by a rule: {why}")

    @work(group="program")
    async def _run_program(self, program: str, *arguments: str) -> None:
        """Run what a rule names; its output goes nowhere, its failure to the operator."""
        nowhere = asyncio.subprocess.DEVNULL
        try:
            child = await asyncio.create_subprocess_exec(
                program, *arguments, stdin=nowhere, stdout=nowhere, stderr=nowhere
            )
        except OSError as error:
            self.say(f"rule's command {program}: {error.strerror}", is_bad=True)
            return
        if code := await child.wait():
            self.say(f"rule's command {program} ended with {code}", is_bad=True)

    # -- keys of all screens --------------------------------------------------------------------------------------

    def action_pane(self, name: str) -> None:
        """Bring a screen to the front."""
        if len(self.screen_stack) > 1:
            return
        before = self.pane
        if before.id != name:
            before.went_to_back()
            self.query_one("#panes", ContentSwitcher).current = name
            self.pane.came_to_front()
        self._focus_pane()
        self.draw()
        self.call_after_refresh(self.draw)  # only then it has its size

    def action_acknowledge(self) -> None:
        """Acknowledge the alarm in the alarm line."""
        number = self.first_alarm
        if number is None:
            self.say("no alarm waits for being acknowledged")
        else:
            self.acknowledge(number)

    def acknowledge(self, number: int | None) -> None:
        """Acknowledge one alarm, or all."""
        seen = self.model.acknowledge(number)
        self.say(f"acknowledged: {seen[0].text}" if len(seen) == 1 else f"{len(seen)} alarms acknowledged")
        self.draw()

    def go_to(self, subject: Subject) -> None:
        """Show a thing in the overview."""
        self.action_pane("overview")
        self._base.query_one(OverviewPane).choose(subject)

    def action_freeze(self) -> None:
        """Keep the display as it is; alarms and the state bar go on."""
        self.is_frozen = not self.is_frozen
        self.draw()

    def action_refresh(self, factor: float) -> None:
        """Draw more or less often."""
        self._refresh_s = min(8.0, max(0.25, self._refresh_s * factor))
        self.say(f"drawn every {self._refresh_s:g} s, as far as there is something new")

    def action_bell_switch(self) -> None:
        """Bell on or off."""
        self._has_bell = not self._has_bell
        self.say("bell on" if self._has_bell else "bell off")

    def action_next_theme(self) -> None:
        """Other colours."""
        now = NAMES.index(self.theme) if self.theme in NAMES else -1
        self.theme = NAMES[(now + 1) % len(NAMES)]
        self.say(f"colours: {self.theme}")

    def action_picture(self) -> None:
        """Save the screen as SVG."""
        self.write_file(self.new_file(self.pane.id or "screen", "svg"), self.export_screenshot())

    def action_help(self) -> None:
        """The keys of this screen."""
        name = self.pane.id or ""
        self.push_screen(Shown("Keys", lambda width: help_lines(name, width, self.about)))

    def about(self, key: Key) -> str:
        """What a key does, in words."""
        return key.about

    def action_undo(self) -> None:
        """Undo what restricts the display."""
        if not self.pane.back():
            self.action_pane("overview")

    def action_leave(self) -> None:
        """Leave the viewer; the run goes on."""
        self.exit()

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """What the palette offers: what is possible now."""
        for key in COMMANDS:
            if self.why_not(key.command) is None:
                yield SystemCommand(key.label, self.about(key), self._doing(key.action))
        if self.why_not("shutdown") is None:
            yield SystemCommand("Shutdown…", "end all daemons and the broker", self.action_shutdown_cluster)
        for pane in PANES:
            yield SystemCommand(pane.title, f"screen {pane.digit}", self._doing(f"pane('{pane.name}')"))
        for key in GENERAL:
            if key.action not in {"command_palette", "undo"}:
                yield SystemCommand(key.label, self.about(key), self._doing(key.action))

    def _doing(self, action: str) -> Callable[[], None]:
        async def do() -> None:
            await self.run_action(action)

        def later() -> None:
            self.call_later(do)

        return later

    # -- files ----------------------------------------------------------------------------------------------------

    def new_file(self, what: str, suffix: str) -> Path:
        """A name that is not taken, with the time of the feed."""
        stamp = datetime.fromtimestamp(self.feed.utc_ns() / 1e9, UTC).strftime("%Y-%m-%d_%H%M%S")
        path, number = self.folder / f"mimodaq_{what}_{stamp}.{suffix}", 1
        while path.exists():
            number += 1
            path = self.folder / f"mimodaq_{what}_{stamp}-{number}.{suffix}"
        return path

    def write_file(self, path: Path, content: str | bytes) -> None:
        """Write a file and tell so; in a browser it is handed to that."""
        raw = content if isinstance(content, bytes) else content.encode()
        if self.is_web:
            self.deliver_binary(BytesIO(raw), save_filename=path.name)
            return
        try:
            path.write_bytes(raw)
        except OSError as error:
            self.say(f"not written ({error.strerror}): {path}", is_bad=True)
        else:
            self.say(f"written: {path}")
