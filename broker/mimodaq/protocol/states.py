"""The states of a node and of the cluster, the commands, and which command is possible when.

Everything that says what is legal stands in the two tables of this file: brains ask `refusal`, clients get `table()`
from their broker and ask the `CommandTable` made of it, nobody else spells the rules. A node and the cluster have the
same states; `offline` alone is never a node's own word, the broker gives it to a node it does not hear.

Steady states stay until a command or a failure comes. The -ing states last as long as something is being done;
each of them has a time limit in the brain that is in it. `stop` always ends in `configured`, by force if need be;
`reset` always ends in `idle`.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self


class State(enum.Enum):
    """What a node, or the cluster as a whole, is in or about."""

    IDLE = "idle"
    """Nothing is set up."""
    CONFIGURED = "configured"
    """The setup is loaded and its functions are checked; nothing is running."""
    READY = "ready"
    """Buffers, links and workers of a run are there; the sources are held."""
    RUNNING = "running"
    PAUSED = "paused"
    """In a run, the sources held; what is in the buffers is worked off."""
    ERROR = "error"
    """Something broke that trying again cannot mend; only `reset` leads out."""
    OFFLINE = "offline"
    """The broker does not hear the node; what the node does is unknown, and it probably goes on."""
    CONFIGURING = "configuring"
    ARMING = "arming"
    STARTING = "starting"
    PAUSING = "pausing"
    RESUMING = "resuming"
    STOPPING = "stopping"
    """Sources off, buffers being drained, files being closed."""
    ABORTING = "aborting"
    RESETTING = "resetting"

    @property
    def is_transitional(self) -> bool:
        """Whether something is being done that ends by itself."""
        return self in _TRANSITIONAL

    @property
    def is_in_run(self) -> bool:
        """Whether buffers and workers of a run exist, or may exist."""
        return self in _IN_RUN


_TRANSITIONAL: Final = frozenset(
    {
        State.CONFIGURING,
        State.ARMING,
        State.STARTING,
        State.PAUSING,
        State.RESUMING,
        State.STOPPING,
        State.ABORTING,
        State.RESETTING,
    }
)
_IN_RUN: Final = frozenset(
    {
        State.ARMING,
        State.READY,
        State.STARTING,
        State.RUNNING,
        State.PAUSING,
        State.PAUSED,
        State.RESUMING,
        State.STOPPING,
        State.ABORTING,
    }
)
_MEANINGS: Final = {
    State.IDLE: "nothing is set up",
    State.CONFIGURED: "the setup is loaded and checked; nothing is running",
    State.READY: "everything of a run is there; the sources are held",
    State.RUNNING: "data are being taken",
    State.PAUSED: "in a run; the sources are held",
    State.ERROR: "something broke; reset leads out",
    State.OFFLINE: "not heard by the broker",
    State.CONFIGURING: "setup being loaded and checked",
    State.ARMING: "buffers, links and workers being started",
    State.STARTING: "sinks, then sources being let go",
    State.PAUSING: "sources being held",
    State.RESUMING: "sources being let go",
    State.STOPPING: "sources off, draining, closing files",
    State.ABORTING: "everything leaves at once",
    State.RESETTING: "everything being removed",
}


@dataclass(frozen=True, slots=True)
class CommandRule:
    """What one command does and when it is possible."""

    name: str
    legal: frozenset[State]
    """States in which it is carried out."""
    via: State | None
    """State while it is carried out; None if there is none of its own."""
    result: State | None
    """State after success; None if it stays as it is."""
    meaning: str
    arguments: tuple[str, ...] = ()


_ALWAYS: Final = frozenset(State)
_EVERYWHERE: Final = _ALWAYS - {State.OFFLINE}
RULES: Final[dict[str, CommandRule]] = {
    rule.name: rule
    for rule in (
        CommandRule(
            "configure",
            frozenset({State.IDLE, State.CONFIGURED}),
            State.CONFIGURING,
            State.CONFIGURED,
            "load a setup on every host it names and check its functions",
            ("setup_id", "optional", "on_loss"),
        ),
        CommandRule(
            "arm",
            frozenset({State.CONFIGURED}),
            State.ARMING,
            State.READY,
            "take a run number; make buffers and links, start the workers, hold the sources",
            ("comment",),
        ),
        CommandRule(
            "start",
            frozenset({State.CONFIGURED, State.READY}),
            State.STARTING,
            State.RUNNING,
            "let the sources go, after arm if that was skipped; on all hosts or on none",
            ("comment",),
        ),
        CommandRule(
            "pause", frozenset({State.RUNNING}), State.PAUSING, State.PAUSED, "hold the sources; all else goes on"
        ),
        CommandRule("resume", frozenset({State.PAUSED}), State.RESUMING, State.RUNNING, "let the sources go again"),
        CommandRule(
            "stop",
            _IN_RUN,
            State.STOPPING,
            State.CONFIGURED,
            "sources off, drain, close; before the run has started it is an abort",
        ),
        CommandRule(
            "abort", _IN_RUN, State.ABORTING, State.CONFIGURED, "everything leaves at once; events may be left over"
        ),
        CommandRule("reset", _EVERYWHERE, State.RESETTING, State.IDLE, "abort, and forget the setup"),
        CommandRule(
            "shutdown",
            frozenset({State.IDLE, State.CONFIGURED, State.ERROR}),
            None,
            State.OFFLINE,
            "end the node daemons and the broker",
        ),
        CommandRule("take", _ALWAYS, None, None, "be in charge; by force if somebody else is", ("force",)),
        CommandRule("surrender", _ALWAYS, None, None, "let nobody be in charge"),
        CommandRule("mark", _ALWAYS, None, None, "write a remark into the log", ("comment",)),
    )
}
"""Every command of the operator, by name."""

_WHY: Final = {
    ("configure", True): "stop the run first",
    ("arm", False): "configure first",
    ("start", False): "configure first",
    ("start", True): "a run is in progress already",
    ("arm", True): "a run is in progress already",
    ("pause", False): "there is no run",
    ("resume", False): "there is no run",
    ("stop", False): "there is no run",
    ("abort", False): "there is no run",
    ("shutdown", True): "stop the run first",
}


def refusal(command: str, state: State) -> str | None:
    """Why `command` is not possible in `state`, in words for the operator; None if it is possible."""
    rule = RULES.get(command)
    if rule is None:
        return f"there is no command {command!r}; there are {', '.join(RULES)}"
    if state in rule.legal:
        return None
    if state is State.ERROR:
        why = "reset first"
    else:
        why = _WHY.get((command, state.is_in_run), f"possible in {', '.join(sorted(s.value for s in rule.legal))}")
    return f"{command} is not possible while {state.value}: {why}"


_LOUDEST: Final = (
    State.ERROR,
    State.OFFLINE,
    State.ABORTING,
    State.RESETTING,
    State.STOPPING,
    State.PAUSING,
    State.RESUMING,
    State.STARTING,
    State.ARMING,
    State.CONFIGURING,
)
"""One of these on one node is the state of all; the first wins."""
_LOWEST: Final = (State.IDLE, State.CONFIGURED, State.READY, State.PAUSED, State.RUNNING)
"""One of these is the state of all only if all are in it; a mixture counts as its lowest."""


def combine(states: Iterable[State]) -> State:
    """The state of many: error, offline and what is in transition by one; all else by all. Of none: idle."""
    there = set(states)
    return next((state for state in (*_LOUDEST, *_LOWEST) if state in there), State.IDLE)


def table() -> dict[str, Any]:
    """States and commands as plain data, for clients in any language: nobody needs to spell the rules again."""
    return {
        "states": [
            {
                "name": state.value,
                "transitional": state.is_transitional,
                "in_run": state.is_in_run,
                "given_by": "broker" if state is State.OFFLINE else "node",
                "meaning": _MEANINGS[state],
            }
            for state in State
        ],
        "commands": [
            {
                "name": rule.name,
                "legal_in": [state.value for state in State if state in rule.legal],
                "why_not": {state.value: words for state in State if (words := refusal(rule.name, state))},
                "via": rule.via.value if rule.via else None,
                "result": rule.result.value if rule.result else None,
                "arguments": list(rule.arguments),
                "meaning": rule.meaning,
            }
            for rule in RULES.values()
        ],
    }


@dataclass(frozen=True, slots=True)
class CommandTable:
    """Which command is possible when, as whoever has published a `table()` judges."""

    _why_not: Mapping[str, Mapping[str, str]]
    """By command and state in which it is not possible: why, in words."""

    @classmethod
    def of(cls, published: Mapping[str, Any]) -> Self:
        """From a `table()`."""
        return cls({command["name"]: command["why_not"] for command in published["commands"]})

    def refusal(self, command: str, state: State) -> str | None:
        """Why `command` is not possible in `state`, in words for the operator; None if it is possible."""
        why_not = self._why_not.get(command)
        if why_not is None:
            return f"there is no command {command!r}; there are {', '.join(self._why_not)}"
        return why_not.get(state.value)

    def possible(self, state: State) -> list[str]:
        """The commands that are possible in `state`."""
        return [command for command, why_not in self._why_not.items() if state.value not in why_not]


OURS: Final = CommandTable.of(table())
"""That of this release, for as long as that of the broker is not known."""
