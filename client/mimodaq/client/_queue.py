"""`mimodaq queue`: runs with changed parameters one after another, taken up again after a crash of anything.

What has become of each run is kept in one file beside that of the queue, written before a run is begun and after it has
ended. A run does not depend on this process: whoever takes the queue up finds it, waits for it, or recovers it.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Final, Protocol

from mimodaq.client._cluster_commands import Where
from mimodaq.client._exit import EXIT_GOOD, EXIT_INTERRUPTED, EXIT_NOT_GOOD, UsageError
from mimodaq.client._queue_book import Book, Entry, Outcome, QueueError, Stand
from mimodaq.client._queue_cluster import HandsCluster
from mimodaq.client._queue_here import HandsHere, RunRefusedError
from mimodaq.client._run import guarded
from mimodaq.client._streams import tell
from mimodaq.client._texts import clock
from mimodaq.client.session import SessionError, UnreachableError
from mimodaq.config import Problem, QueuedRun, QueueSpec, Setup, SetupErrors, load_queue, load_setup
from mimodaq.system import write_file

_STATE: Final = ".state"
_REMEDY: Final = "remove it to begin with the first run again"


@dataclass(frozen=True, slots=True)
class QueueRequest:
    """What was typed."""

    file: Path
    is_dry: bool = False
    is_status: bool = False
    as_json: bool = False
    is_quiet: bool = False
    where: Where = field(default_factory=lambda: Where("127.0.0.1"))


class Hands(Protocol):
    """Whoever carries out runs: this computer or a cluster."""

    def place(self, number: int) -> str:
        """A name by which the run of this number in the queue will be found again."""

    def begin(self, wanted: QueuedRun, place: str) -> None:
        """Begin a run. Raises RunRefusedError, SessionError."""

    def wait(self, wanted: QueuedRun, place: str, is_stopping: Callable[[], bool]) -> Outcome | None:
        """Wait for the end of a run, whoever has begun it; None if there is none.

        Raises RunRefusedError, SessionError.
        """


def queue(request: QueueRequest) -> int:
    """Carry out a queue, or tell about it; returns the exit code."""
    return guarded(request.as_json, lambda: _queue(request))


def _queue(request: QueueRequest) -> int:
    spec = load_queue(request.file)
    os.chdir(spec.path.parent)  # names of files in it are meant from there
    try:
        if request.is_status:
            book = Book(spec, _kept(spec))
            return _tell(book, request.as_json)
        setups = _load_all(spec)
        if request.is_dry:
            return _rehearse(spec, setups, request.as_json)
        with _alone(spec):
            book = Book(spec, _kept(spec))
            return _work(book, spec, _hands(request, spec, setups[0]), request)
    except (QueueError, SessionError, RunRefusedError) as error:
        raise UsageError(f"{spec.path.name}: {error}") from error


def _work(book: Book, spec: QueueSpec, hands: Hands, request: QueueRequest) -> int:
    _keep(spec, book)
    with _wish_to_stop() as wishes:
        while not wishes and (entry := book.next()) is not None:
            try:
                _one(book, spec, hands, entry, wishes)
            except KeyboardInterrupt:
                print("left alone: the run goes on, and the queue finds it when it is started again", file=sys.stderr)
                return EXIT_INTERRUPTED
    return _tell(book, request.as_json)


def _one(book: Book, spec: QueueSpec, hands: Hands, entry: Entry, wishes: list[int]) -> None:
    """Begin a run, or take up the one that was begun, and see it to its end."""
    wanted = entry.wanted
    if entry.stand is Stand.WAITING:
        book.begin(entry, hands.place(entry.number))
        _keep(spec, book)
        _say(f"run {entry.number} of {len(book.entries)}: {wanted}")
        try:
            hands.begin(wanted, entry.attempts[-1].place)
        except UnreachableError as error:
            _say(f"{error}; looking whether the run was begun")
        except (RunRefusedError, SessionError):
            book.never_begun(entry)
            _keep(spec, book)
            raise
    else:
        _say(f"run {entry.number} of {len(book.entries)} was begun before: looking what has become of it")
    try:
        outcome = hands.wait(wanted, entry.attempts[-1].place, lambda: bool(wishes))
    except RunRefusedError:
        book.never_begun(entry)
        _keep(spec, book)
        raise
    if outcome is None:
        book.never_begun(entry)
    else:
        book.ended(entry, outcome, by_operator=bool(wishes))
        _say(f"run {entry.number} of {len(book.entries)}: {outcome.verdict}, {entry.stand.value} ({outcome.reason})")
    _keep(spec, book)


def _hands(request: QueueRequest, spec: QueueSpec, setup: Setup) -> Hands:
    if setup.hosts:
        return HandsCluster(setup, spec.path.name, request.where.of(setup))
    return HandsHere(setup, spec.path.stem, is_quiet=request.is_quiet)


def _load_all(spec: QueueSpec) -> list[Setup]:
    """The setup of each run. Raises SetupErrors with what is wrong in any of them, each mistake once."""
    setups, problems = [], dict[Problem, None]()
    for run in spec.runs:
        try:
            setups.append(load_setup(spec.setup, run.overrides()))
        except SetupErrors as errors:
            problems.update(dict.fromkeys(errors.problems))
    if problems:
        raise SetupErrors(problems)
    return setups


def _rehearse(spec: QueueSpec, setups: list[Setup], as_json: bool) -> int:
    """Try every setup without taking data, and tell what would be done."""
    from mimodaq.node import check_functions

    problems = dict.fromkeys(problem for setup in setups for problem in check_functions(setup, is_here=False))
    if problems:
        raise SetupErrors(problems)
    book = Book(spec, _kept(spec))
    durations = [setup.duration_s for setup in setups]
    total = sum(d for d in durations if d is not None)
    if as_json:
        tell(json.dumps({**book.kept(), "duration_s": total}))
        return EXIT_GOOD
    tell("\n".join(book.lines()))
    open_ended = sum(d is None for d in durations)
    more = f", and {open_ended} that end with their events" if open_ended else ""
    tell(f"\n{len(setups)} runs, {clock(total)} of data taking{more}; nothing was begun")
    return EXIT_GOOD


def _tell(book: Book, as_json: bool) -> int:
    done, marked = len(book.of(Stand.DONE)), len(book.of(Stand.MARKED))
    if as_json:
        tell(json.dumps({**book.kept(), "done": done, "marked": marked, "left": len(book.entries) - done - marked}))
    else:
        tell("\n".join([*book.lines(), "", f"{done} of {len(book.entries)} done, {marked} marked"]))
    return EXIT_GOOD if done == len(book.entries) else EXIT_NOT_GOOD


def _kept(spec: QueueSpec) -> dict[str, Any] | None:
    """What was kept of a queue; None if it has not been begun."""
    path = _state_of(spec)
    try:
        kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise QueueError(f"{path.name} cannot be read ({error}): {_REMEDY}") from error
    if not isinstance(kept, dict) or kept.get("format") != 1:
        raise QueueError(f"{path.name} is not what this release keeps there: {_REMEDY}")
    return kept


def _keep(spec: QueueSpec, book: Book) -> None:
    write_file(_state_of(spec), json.dumps(book.kept(), indent=1, ensure_ascii=False).encode(), mode=0o644)


def _state_of(spec: QueueSpec) -> Path:
    return spec.path.with_name(spec.path.name + _STATE)


@contextmanager
def _alone(spec: QueueSpec) -> Iterator[None]:
    """Keep a second process from working on the same queue."""
    with spec.path.with_name(f".{spec.path.name}.lock").open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise QueueError("another process works on this queue; see --status") from None
        yield


@contextmanager
def _wish_to_stop() -> Iterator[list[int]]:
    """The first Ctrl-C or SIGTERM stops the run and then the queue, the second leaves both at once."""
    wishes: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        wishes.append(number)
        if len(wishes) > 1:
            raise KeyboardInterrupt

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield wishes
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _say(text: str) -> None:
    print(f"queue: {text}", file=sys.stderr, flush=True)
