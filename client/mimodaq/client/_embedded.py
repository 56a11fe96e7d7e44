"""`mimodaq run` on a terminal, seen from the terminal: the process behind the screens, and what it says.

That process (`embedded_host`) has broker and node in it and a session of its own, so the run does not depend on this
one: its standard input says whether somebody is still here, its standard output says how things go.
"""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from mimodaq.client._embedded_place import remove_if_dead


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be run."""

    setup: str
    overrides: tuple[str, ...]
    output: str | None
    comment: str
    """Of the run that is started at once."""
    command: tuple[str, ...]
    """As it was typed, for the record."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing has been started; this is why, with what to do."""

    text: str


@dataclass(frozen=True, slots=True)
class Configured:
    """The setup is checked and the run is about to start; the broker can be reached at `address`."""

    address: str


@dataclass(frozen=True, slots=True)
class Begun:
    """A run has begun, and this is where it writes."""

    directory: str


@dataclass(frozen=True, slots=True)
class NotStarted:
    """The run was not started, and there is no record of it."""

    text: str


@dataclass(frozen=True, slots=True)
class Ended:
    """A run has ended and its record is written."""

    run: int
    verdict: str
    summary: str


DONE: Final = b"."
"""Said on the standard input of the process: nobody needs it any more."""
News = Refused | Configured | Begun | NotStarted | Ended
_KINDS: Final[dict[str, type[News]]] = {one.__name__: one for one in (Refused, Configured, Begun, NotStarted, Ended)}


def as_line(what: News | Order) -> bytes:
    """As a line of JSON."""
    return json.dumps({"kind": type(what).__name__, **dataclasses.asdict(what)}).encode() + b"\n"


def news_of(line: bytes) -> News:
    """The inverse of `as_line`."""
    content = json.loads(line)
    return _KINDS[content.pop("kind")](**content)


def order_of(line: bytes) -> Order:
    """The inverse of `as_line` for an order."""
    content: dict[str, Any] = json.loads(line)
    del content["kind"]
    return Order(**content | {"overrides": tuple(content["overrides"]), "command": tuple(content["command"])})


class Host:
    """The process behind the screens. It ends by itself when `let_go` has been called and no run goes on."""

    def __init__(self, setup: Path, overrides: Sequence[str], output: Path | None, comment: str = "") -> None:
        """Start it."""
        directory = None if output is None else str(output)
        order = Order(str(setup), tuple(overrides), directory, comment, tuple(sys.argv))
        self._complaints: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as this object
        self._process = subprocess.Popen(
            [sys.executable, "-m", "mimodaq.client.embedded_host"],
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            start_new_session=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._line = self._process.stdin
        self.news: IO[bytes] = self._process.stdout
        """What it says, a line each; ends with it."""
        with suppress(BrokenPipeError):  # it has died already, which `news` tells
            self._line.write(as_line(order))

    def let_go(self) -> None:
        """Nobody is here any more."""
        self._line.close()

    def is_alive(self) -> bool:
        """Whether it still works."""
        return self._process.poll() is None

    def wait(self) -> int:
        """Let go of it as nobody needs it any more, and wait for its end; answers the exit code of the process."""
        if not self._line.closed:
            with suppress(BrokenPipeError):  # it has ended
                self._line.write(DONE)
        self.let_go()
        return self._process.wait()

    def clear_away(self, address: str | None) -> str:
        """After it has died: remove what it has left; answers what it complained about."""
        if address is not None:
            remove_if_dead(address)
        self._complaints.seek(0)
        return self._complaints.read().decode(errors="replace").strip()

    def close(self) -> None:
        """Let go of everything; it goes on by itself."""
        self.let_go()
        self.news.close()
        self._complaints.close()
