"""Which key does what, where, and when it is offered: bindings, footers and help are made from this table.

Whether a command of the operator is possible is asked of the broker's `CommandTable`, never written here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from mimodaq.protocol.states import CommandTable, State
from mimodaq.watch import Snapshot

EVERYWHERE: Final = ""


@dataclass(frozen=True, slots=True)
class Key:
    """One key, or some that do the same."""

    keys: str
    """As Textual calls them, with commas between."""
    shown: str
    """As the operator reads it; empty = not in the footer."""
    label: str
    action: str
    about: str
    where: str = EVERYWHERE
    """Name of the screen it works on."""
    command: str = ""
    """The command of the operator it leads to."""


@dataclass(frozen=True, slots=True)
class Pane:
    """One of the screens."""

    digit: str
    name: str
    title: str
    short: str


PANES: Final = (
    Pane("1", "overview", "Overview", "Over"),
    Pane("2", "topology", "Topology", "Topo"),
    Pane("3", "logs", "Logs", "Logs"),
    Pane("4", "event", "Event", "Event"),
    Pane("5", "hist", "Histograms", "Hist"),
    Pane("6", "config", "Config", "Conf"),
    Pane("7", "runs", "Runs", "Runs"),
    Pane("8", "alarms", "Alarms", "Alarm"),
)

COMMANDS: Final = (
    Key("r,f5", "r", "Start…", "start_run", "start a run: comment, limits and checks first", command="start"),
    Key("p,f6", "p", "Pause", "hold_run", "pause: hold the sources, or let them go again", command="pause"),
    Key("p,f6", "p", "Resume", "hold_run", "let the sources go again", command="resume"),
    Key("x,f8", "x", "Stop…", "stop_run", "stop the run, asks first", command="stop"),
    Key("X", "X", "Abort…", "abort_run", "abort: type the run number", command="abort"),
    Key("f7", "F7", "Arm", "arm_run", "make everything ready, sources held", command="arm"),
    Key("f9", "F9", "Reset…", "reset_run", "abort and forget the setup: asks first", command="reset"),
)
GENERAL: Final = (
    Key("c", "c", "Control…", "control", "take control, or give it away"),
    Key("m", "m", "Mark…", "mark_run", "write a remark into the log, with the time"),
    Key("a", "a", "Ack", "acknowledge", "acknowledge the alarm in the alarm line"),
    Key("A", "A", "Alarms", "pane('alarms')", "all alarms"),
    Key("question_mark,f1", "?", "Help", "help", "the keys of this screen"),
    Key("space", "", "Freeze", "freeze", "freeze the display; the run and the alarms go on"),
    Key("S", "", "Picture", "picture", "save a picture of the screen (SVG)"),
    Key("B", "", "Bell", "bell_switch", "bell on or off"),
    Key("T", "", "Theme", "next_theme", "next colours"),
    Key("plus,equals_sign", "", "Faster", "refresh(0.5)", "refresh more often"),
    Key("minus", "", "Slower", "refresh(2.0)", "refresh less often"),
    Key("colon", "", "Palette", "command_palette", "every command by name"),
    Key("q,f10", "", "Quit", "leave", "leave; the run goes on"),
    Key("escape", "", "Back", "undo", "back, close"),
)
LOCAL: Final = (
    Key("enter", "⏎", "Details", "details", "everything about this line", "overview"),
    Key("slash", "/", "Filter", "filter", "show only names with a text in them (!: without it)", "overview"),
    Key("f", "f", "Faults", "faults", "only what needs attention", "overview"),
    Key("s", "s", "Sort", "sort", "trouble first, or in the order of the setup", "overview"),
    Key("tab", "", "Fold", "fold", "fold or unfold a node", "overview"),
    Key("t", "t", "Tree", "tree", "as a tree or as a drawing", "topology"),
    Key("enter", "⏎", "Record", "details", "the whole line with all its text", "logs"),
    Key("slash", "/", "Filter", "filter", "show only lines with a text in them (!: without it)", "logs"),
    Key("l", "l", "Level", "level", "show all, warnings, errors", "logs"),
    Key("n", "n", "Node", "node", "show one node after the other, or all", "logs"),
    Key("F", "F", "Follow", "follow", "go to the end and stay there", "logs"),
    Key("w", "w", "Write", "write", "write what is shown to a file", "logs"),
    Key("b,right", "b", "Buffer", "buffer(1)", "the next buffer", "event"),
    Key("left", "", "Buffer", "buffer(-1)", "the buffer before", "event"),
    Key("left_square_bracket", "[ ]", "Older/newer", "step(-1)", "the event before", "event"),
    Key("right_square_bracket", "", "Newer", "step(1)", "the event after", "event"),
    Key("o", "o", "Overlay", "overlay", "draw the last 20 events over each other", "event"),
    Key("v", "v", "Channels", "channels", "all channels, or one after the other", "event"),
    Key("z", "z", "Scale", "scale", "automatic or fixed scale", "event"),
    Key("w", "w", "Write", "write", "write the event shown to a file", "event"),
    Key("b,right", "b", "Next", "next(1)", "the next histogram", "hist"),
    Key("left", "", "Before", "next(-1)", "the histogram before", "hist"),
    Key("g", "g", "Log", "log_scale", "logarithmic or linear", "hist"),
    Key("e", "e", "Bins", "rebin", "all bins, fewer, as many as make it smooth", "hist"),
    Key("left_square_bracket", "[ ]", "Region", "region(-1)", "move the region of the integral", "hist"),
    Key("right_square_bracket", "", "Region", "region(1)", "move the region of the integral", "hist"),
    Key("z", "z", "Clear", "clear", "begin to fill anew", "hist"),
    Key("d", "d", "Diff", "show('diff')", "what differs between file and running setup", "config"),
    Key("v", "v", "File", "show('file')", "the setup file", "config"),
    Key("u", "u", "Running", "show('running')", "the setup the cluster has", "config"),
    Key("e", "e", "Check", "check", "read the file again and check it", "config"),
    Key("E", "E", "Edit", "edit", "open the file in $EDITOR", "config"),
    Key("P", "P", "Apply…", "apply", "give the file to the cluster", "config", command="configure"),
    Key("enter", "⏎", "Details", "details", "everything about this run", "runs"),
    Key("u", "u", "Update", "update", "read the run database again", "runs"),
    Key("enter", "⏎", "Go there", "go", "to what the alarm is about", "alarms"),
    Key("z", "z", "Ack all", "acknowledge_all", "acknowledge all", "alarms"),
)
RESERVED: Final = frozenset("rpxXcamAqSBT")
"""Letters that mean the same on every screen."""


def possible(command: str, snapshot: Snapshot, commands: CommandTable, operator: str, may_command: bool) -> str | None:
    """Why the operator cannot give `command` now; None if it is possible."""
    if not may_command:
        return f"{command}: watching only"
    if snapshot.cluster is None or snapshot.is_stale:
        return f"{command}: no contact to the broker"
    holder = snapshot.cluster.in_charge
    if holder and holder != operator:
        return f"{command}: {holder} is in charge; c takes control"
    return commands.refusal(command, snapshot.cluster.aim)  # as the broker judges: a lost node makes no state of a run


def footer_keys(
    pane: str, snapshot: Snapshot, commands: CommandTable, operator: str, may_command: bool, has_alarm: bool
) -> Iterator[tuple[str, str]]:
    """Key and label of what can be done now, most important first."""
    for key in COMMANDS:
        is_rare = key.command in {"reset", "arm"} and snapshot.state not in {State.ERROR, State.CONFIGURED}
        if not is_rare and possible(key.command, snapshot, commands, operator, may_command) is None:
            yield key.shown, key.label
    if has_alarm:
        yield "a", "Ack"
    holder = snapshot.cluster.in_charge if snapshot.cluster else ""
    if may_command and not snapshot.is_stale and holder and holder != operator:
        yield "c", "Control…"
    if may_command and not snapshot.is_stale and snapshot.cluster and snapshot.cluster.aim.is_in_run:
        yield "m", "Mark…"
    yield "?", "Help"
    for key in keys_of(pane):
        if key.shown and (not key.command or possible(key.command, snapshot, commands, operator, may_command) is None):
            yield key.shown, key.label


def keys_of(pane: str) -> Sequence[Key]:
    """The keys of one screen."""
    return [key for key in LOCAL if key.where == pane]
