"""The app: one feed, one model, eight screens. Leaving it, or losing the terminal, never touches the run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

from rich.style import Style
from textual import work
from textual.app import App, ComposeResult, SystemCommand
from textual.binding import BindingType
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import ContentSwitcher

from mimodaq.protocol.messages import LogLine
from mimodaq.watch import DEFAULT_RULES, Act, Rule, Subject

from ._bindings import app_bindings
from ._commands import Commands
from ._dialogs import Dialog, Shown
from ._help import help_lines
from ._keys import COMMANDS, GENERAL, PANES, footer_keys, possible
from ._model import Model
from ._panes import (
    AlarmsPane,
    ConfigPane,
    EventPane,
    HistPane,
    LogsPane,
    OverviewPane,
    PaneView,
    RunsPane,
    TopologyPane,
)
from ._theme import NAMES, THEMES, styles
from ._widgets import Lines, Rows
from .feed import Feed, FeedError
from .render import alarm_line, footer, screens_line, state_bar, too_small
from .setups import read_packed

_SMALLEST = (60, 16)
_BACK_SCROLL = 5000
_TOLD_S = 8.0


class OperatorApp(Commands, App[None]):
    """The operator's screens on one feed."""

    BINDINGS: ClassVar[list[BindingType]] = app_bindings()
    ENABLE_COMMAND_PALETTE = True
    CSS = """
    Screen { layers: base; }
    #state, #screens, #alarm, #foot { height: 1; }
    #state { background: $panel; }
    #foot { background: $panel; }
    ContentSwitcher { height: 1fr; }
    #small { display: none; height: 1fr; }
    .-ascii #tail, .-ascii #advice { border-top: ascii $panel; }
    .-ascii #side { border-left: ascii $panel; }
    .-ascii Dialog > Vertical { border: ascii $primary; }
    .-ascii Rows { scrollbar-size-vertical: 0; }
    """

    def __init__(
        self,
        feed: Feed,
        *,
        setup_file: Path | None = None,
        rules: Iterable[Rule] = DEFAULT_RULES,
        is_ascii: bool = False,
        refresh_s: float = 0.5,
        ticks: bool = True,
        has_bell: bool = True,
        folder: Path | None = None,
    ) -> None:
        super().__init__()
        self.feed = feed
        self.setup_file = setup_file
        self.model = Model(tuple(rules))
        self.is_ascii = is_ascii
        self.line_styles: dict[str, Style] = styles("lab-dark", is_colourless=self.no_color)
        self.folder = folder or Path()
        self._refresh_s, self._ticks = refresh_s, ticks
        self._drawn_at = float("-inf")
        self.is_frozen = False
        self._has_bell = has_bell
        self._said = ("", float("-inf"))
        self._timer: Timer | None = None
        self._setup_id: str | None = None

    # -- frame ----------------------------------------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        """Lay out."""
        yield Lines(id="state")
        yield Lines(id="screens")
        yield Lines(id="alarm")
        with ContentSwitcher(initial="overview", id="panes"):
            yield from self._panes()
        yield Lines(id="small")
        yield Lines(id="foot")

    def _panes(self) -> Iterable[PaneView]:
        yield OverviewPane()
        yield TopologyPane()
        yield LogsPane()
        yield EventPane()
        yield HistPane()
        yield ConfigPane()
        yield RunsPane()
        yield AlarmsPane()

    def on_mount(self) -> None:
        """Listen."""
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = "lab-dark"
        self.animation_level = "none"
        self.set_class(self.is_ascii, "-ascii")
        self.theme_changed_signal.subscribe(self, lambda _: self._recolour())
        self._focus_pane()
        self._listen()
        self._fetch()
        if self._ticks:
            self._timer = self.set_interval(0.5, self._tick)

    def on_resize(self) -> None:
        """Another size, other lines."""
        self.call_after_refresh(self.draw)

    @property
    def pane(self) -> PaneView:
        """The screen in front."""
        return self._panes_by_name(self.query_one("#panes", ContentSwitcher).current or "overview")

    def _panes_by_name(self, name: str) -> PaneView:
        return self._base.query_one(f"#{name}", PaneView)

    @property
    def _base(self) -> Screen[object]:
        """The screen below all dialogs."""
        return self.screen_stack[0]

    # -- feed -----------------------------------------------------------------------------------------------------

    @work(group="feed", exclusive=True)
    async def _listen(self) -> None:
        """Take messages as they come; draw when the broker speaks, no faster than wanted."""
        try:
            async for message in self.feed.messages():
                is_urgent = self.model.take(message, self.feed.now())
                if isinstance(message, LogLine):
                    continue
                if is_urgent or self.feed.now() - self._drawn_at >= self._refresh_s * 0.9:
                    self.look()
        except FeedError as error:
            self.say(str(error), is_bad=True)

    @work(group="fetch")
    async def _fetch(self) -> None:
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
            self.model.know_setup(read_packed(packed) if packed else None)
        except FeedError as error:
            packed = None
            self.say(str(error), is_bad=True)
            self.model.know_setup(None)
        if packed is None:
            self._setup_id = None  # the broker has named one, so it will have it: ask again
        self.draw()

    def _tick(self) -> None:
        """Nothing may look live when nothing comes."""
        if self.feed.now() - self._drawn_at >= max(1.0, self._refresh_s):
            self.look()

    def look(self) -> None:
        """Take a snapshot, judge it, draw it."""
        self._drawn_at = self.feed.now()
        acts = self.model.look(self.feed.now(), self.feed.utc_ns())
        snapshot = self.model.snapshot
        if snapshot.cluster and not snapshot.is_stale and snapshot.cluster.setup_id != self._setup_id:
            self._setup_id = snapshot.cluster.setup_id
            self._know_setup()
        for act in acts:
            self._act(act)
        self.draw()

    def _act(self, act: Act) -> None:
        alarm = act.alarm
        match act.action:
            case "log":
                node, name = alarm.subject.node or "viewer", alarm.level.name.lower()
                self.model.log.add(LogLine(node, alarm.since_utc_ns, name, alarm.rule.name, alarm.text))
            case "bell":
                if self._has_bell:
                    self.bell()
            case "pause" | "stop":
                if possible(act.action, self.model.snapshot, self.feed.operator, self.feed.may_command) is None:
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

    # -- drawing --------------------------------------------------------------------------------------------------

    def draw(self) -> None:
        """Show what is known."""
        base = self._base
        if not base.is_mounted or not self.size.width:
            return
        width, height = self.size
        snapshot = self.model.snapshot
        bar = self.model.bar(is_frozen=self.is_frozen, is_replay=self.feed.is_replay)
        base.query_one("#state", Lines).show([state_bar(snapshot, bar, width)])
        is_small = width < _SMALLEST[0] or height < _SMALLEST[1]
        base.query_one("#small").display = is_small
        base.query_one("#panes").display = not is_small
        if is_small:
            base.query_one("#small", Lines).show(too_small(width, height))
        operator, may_command = self.feed.operator, self.feed.may_command
        names = [(pane.digit, pane.title if width >= 140 else pane.short, pane.name == self.pane.id) for pane in PANES]
        base.query_one("#screens", Lines).show([screens_line(names, snapshot, operator, may_command, width)])
        alarm = alarm_line(self.model.alarm_list, width)
        line = base.query_one("#alarm", Lines)
        line.display = alarm is not None
        line.show([alarm] if alarm else [])
        if not self.is_frozen and not is_small:
            self.pane.show_model()
        if isinstance(self.screen, Dialog):
            self.screen.draw()
        self._draw_footer()

    def _draw_footer(self) -> None:
        said, at = self._said
        shown = said if self.feed.now() - at < _TOLD_S else ""
        name = self.pane.id or ""
        keys = list(
            footer_keys(
                name, self.model.snapshot, self.feed.operator, self.feed.may_command, self.first_alarm is not None
            )
        )
        self._base.query_one("#foot", Lines).show([footer(keys, shown, self.size.width)])

    def say(self, text: str, *, is_bad: bool = False) -> None:
        """Tell the operator, in the footer for some seconds; what is bad also goes to the log."""
        self._said = (text, self.feed.now())
        if is_bad:
            self.model.log.add(LogLine("viewer", self.feed.utc_ns(), "warning", "viewer", text))
        if self._base.is_mounted:
            self._draw_footer()

    def _recolour(self) -> None:
        self.line_styles = styles(self.theme, is_colourless=self.no_color)
        for widget in self._base.query(Lines):
            widget.repaint()
        for rows in self._base.query(Rows):
            rows.repaint()

    def _focus_pane(self) -> None:
        target = self.pane.focus_target()
        if target is not None:
            self._base.set_focus(target)

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

    @property
    def first_alarm(self) -> int | None:
        """The alarm in the alarm line."""
        return next((a.number for a in self.model.alarm_list if not a.is_acknowledged), None)

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
        self.push_screen(Shown("Keys", lambda width: help_lines(name, width)))

    def action_undo(self) -> None:
        """Undo what restricts the display."""
        if not self.pane.back():
            self.action_pane("overview")

    def action_leave(self) -> None:
        """Leave the viewer; the run goes on."""
        self.exit()

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """What the palette offers: what is possible now."""
        snapshot, operator, may_command = self.model.snapshot, self.feed.operator, self.feed.may_command
        for key in COMMANDS:
            if possible(key.command, snapshot, operator, may_command) is None:
                yield SystemCommand(key.label, key.about, self._doing(key.action))
        if possible("shutdown", snapshot, operator, may_command) is None:
            yield SystemCommand("Shutdown…", "end all daemons and the broker", self.action_shutdown_cluster)
        for pane in PANES:
            yield SystemCommand(pane.title, f"screen {pane.digit}", self._doing(f"pane('{pane.name}')"))
        for key in GENERAL:
            if key.action not in {"command_palette", "undo"}:
                yield SystemCommand(key.label, key.about, self._doing(key.action))

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
        """Write a file and tell so."""
        try:
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        except OSError as error:
            self.say(f"not written ({error.strerror}): {path}", is_bad=True)
        else:
            self.say(f"written: {path}")
