"""Screen 6: the setup the cluster has, the file, what differs, and whether the file is without mistakes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.widget import Widget

from mimodaq.config import SetupErrors, load_setup
from mimodaq.protocol.states import State
from mimodaq.tui._bindings import bindings_of
from mimodaq.tui._dialogs import Confirm, TypeToConfirm
from mimodaq.tui._widgets import Lines, Rows
from mimodaq.tui.feed import FeedError
from mimodaq.tui.render import Line, diff_lines, fit, setup_lines, wrap
from mimodaq.tui.setups import differences, pack, texts_of

from ._base import PaneView


class ConfigPane(PaneView):
    """Text, because the text with its comments is the setup: it is edited in an editor, and never written by us."""

    BINDINGS: ClassVar = bindings_of("config")
    DEFAULT_CSS = "ConfigPane #head { height: 1; } ConfigPane #problems { height: auto; max-height: 8; }"

    def __init__(self) -> None:
        super().__init__(id="config")
        self.mode = "diff"
        self.running: Mapping[str, str] | None = None
        self.file: Mapping[str, str] | None = None
        self.problems: list[str] = []
        self._marks: list[int] = []
        self._packed = b""
        self._hosts: frozenset[str] = frozenset()
        """Of the file."""
        self._setup_id: str | None = None

    def compose(self) -> ComposeResult:
        """Lay out."""
        yield Lines(id="head")
        yield Rows(id="table", is_chooser=False)
        yield Lines(id="problems")

    def focus_target(self) -> Widget | None:
        """The text."""
        return self.query_one("#table")

    def came_to_front(self) -> None:
        """Read everything again."""
        self.action_check()

    def show_model(self) -> None:
        """Draw what is chosen; fetch the setup of the cluster if it is another one."""
        cluster = self.model.snapshot.cluster
        setup_id = cluster.setup_id if cluster else None
        if setup_id != self._setup_id:
            self._setup_id = setup_id
            self._fetch()
        table = self.query_one("#table", Rows)
        width = max(1, table.size.width)
        lines = self._text(width)
        table.show(len(lines), lambda row, _: lines[row])
        self.query_one("#head", Lines).show([self._head(width)])
        problems = [
            fit([("✗ ", "alarm"), (part, "")], width) for text in self.problems for part in wrap(text, width - 2)
        ]
        view = self.query_one("#problems", Lines)
        view.display = bool(problems)
        view.styles.height = min(8, len(problems))
        view.show(problems[:8])

    def _head(self, width: int) -> Line:
        path = self.operator_app.setup_file
        names = {"diff": "DIFFERENCES", "file": "FILE", "running": "RUNNING"}
        parts = [(names[self.mode], "title"), ("   ", "")]
        if path is not None and self.file is not None:
            parts.append(("✓ file without mistakes", "good"))
        elif path is not None:
            parts.append((f"✗ {len(self.problems)} mistakes in the file", "alarm"))
        if self.file and self.running:
            changed = self.file != self.running
            parts.append(
                ("   differs from what runs" if changed else "   is what runs", "warning" if changed else "good")
            )
        parts.append((f"   running {self._setup_id[:8]}" if self._setup_id else "   nothing configured", ""))
        parts.append((f"   {self._named()}", "dim"))
        return fit(parts, width)

    def _named(self) -> str:
        """The file, with the values that were given on the command line for others in it."""
        path, overrides = self.operator_app.setup_file, self.operator_app.overrides
        return f"{path or 'no file named (--setup FILE)'}{''.join(f' --set {value}' for value in overrides)}"

    def _text(self, width: int) -> list[Line]:
        path = self.operator_app.setup_file
        match self.mode:
            case "diff":
                if self.running is None:
                    return [fit([("  the cluster has no setup", "dim")], width)]
                if self.file is None:
                    return [fit([("  there is no file, or it has mistakes: nothing to compare", "dim")], width)]
                lines = list(differences(self.running, self.file))
                return diff_lines(lines, width) or [fit([("  no difference", "good")], width)]
            case "file" if path is not None:
                try:
                    return setup_lines(path.read_text().splitlines(), width, self._marks)
                except (OSError, UnicodeDecodeError) as error:
                    return [fit([(f"  reading {path}: {error}", "alarm")], width)]
            case "running" if self.running is not None:
                lines = [line for name, text in self.running.items() for line in (f"# {name}", *text.splitlines())]
                return setup_lines(lines, width)
            case _:
                return [fit([("  nothing to show", "dim")], width)]

    @work(group="setup", exclusive=True)
    async def _fetch(self) -> None:
        try:
            packed = await self.operator_app.feed.setup()
            self.running = texts_of(packed) if packed else None
        except FeedError as error:
            self.operator_app.say(str(error), is_bad=True)
            self.running = None
        self.show_model()
        if self.running is None:
            self._setup_id = None  # if the cluster has one, ask again with the next snapshot

    def action_show(self, mode: str) -> None:
        """Differences, the file, or what runs."""
        self.mode = mode
        self.show_model()

    def action_check(self) -> None:
        """Read the file again, with all it refers to, and check it as `mimodaq check` does."""
        self.file, self.problems, self._marks = None, [], []
        path = self.operator_app.setup_file
        if path is not None:
            try:
                setup = load_setup(path, self.operator_app.overrides)
                self._hosts, self._packed = frozenset(setup.hosts), pack(setup)
                self.file = texts_of(self._packed)
            except SetupErrors as error:
                self.problems = str(error).splitlines()
                self._marks = [p.where.line for p in error.problems if p.where.line is not None]
            except FeedError as error:
                self.problems = str(error).splitlines()
        self.show_model()

    @work(group="edit")
    async def action_edit(self) -> None:
        """Open the file in the editor of the user; the run goes on, and so do the alarms afterwards."""
        import os
        import shlex
        import subprocess

        path = self.operator_app.setup_file
        editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
        if path is None or self.app.is_web:
            why_not = "an editor needs a terminal" if path else "no file named: start with --setup FILE"
            self.operator_app.say(why_not)
            return
        with self.app.suspend():
            try:
                subprocess.run([*shlex.split(editor), str(path)], check=False)
            except OSError as error:
                self.operator_app.say(f"{editor}: {error.strerror}", is_bad=True)
        self.action_check()

    @work(group="command")
    async def action_apply(self) -> None:
        """Give the file to the cluster."""
        app = self.operator_app
        if app.refuse("configure"):
            return
        self.action_check()
        file, packed = self.file, self._packed
        if file is None:
            app.say(self.problems[0] if self.problems else "no file named: start with --setup FILE")
            return
        changes = list(differences(self.running, file)) if self.running else []
        added = sum(line.startswith("+") and not line.startswith("+++") for line in changes)
        removed = sum(line.startswith("-") and not line.startswith("---") for line in changes)
        text = [
            self._named(),
            f"{added} lines come, {removed} go." if self.running else "The cluster has no setup yet.",
        ]
        text.append("All hosts load it and check its functions. No run is in progress.")
        try:
            before = await app.feed.choices()
        except FeedError as error:
            app.say(str(error), is_bad=True)
            return
        choices = replace(before, optional=tuple(host for host in before.optional if host in self._hosts))
        text.append(
            f"Optional hosts: {', '.join(choices.optional) or 'none'}; if another is lost: {choices.on_loss.value}."
        )
        if app.model.snapshot.state is State.IDLE or not self.running:
            agreed = await self.app.push_screen_wait(Confirm("Configure the cluster?", lambda: text, "Configure"))
        else:
            dialog = TypeToConfirm("Replace the setup?", lambda: text, "apply", "Configure")
            agreed = await self.app.push_screen_wait(dialog)
        if agreed and not app.refuse("configure"):
            try:
                setup_id = await app.feed.offer(packed)
            except FeedError as error:
                app.say(str(error), is_bad=True)
                return
            await app.send("configure", setup_id=setup_id, choices=choices)
