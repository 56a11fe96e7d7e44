"""Run control and the run database from the command line: what was typed, what is said, the exit code."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mimodaq.client._embedded_place import meant_by
from mimodaq.client._exit import (
    EXIT_GOOD,
    EXIT_INTERRUPTED,
    EXIT_NOT_GOOD,
    EXIT_REFUSED,
    EXIT_UNREACHABLE,
    EXIT_USAGE,
    UsageError,
)
from mimodaq.client._log_lines import as_text
from mimodaq.client._progress import Progress
from mimodaq.client._run_texts import one_run, table_of_runs
from mimodaq.client._streams import tell
from mimodaq.client.session import (
    KeyRefusedError,
    RefusedError,
    RestartedError,
    RunInfo,
    Session,
    SessionError,
    UnreachableError,
)
from mimodaq.protocol.messages import Answer, LogLine
from mimodaq.protocol.parts import OnLoss


@dataclass(frozen=True, slots=True)
class Where:
    """Which broker, and as whom."""

    address: str
    key: Path | None = None
    is_insecure: bool = False

    def found(self) -> Where:
        """The same with the address of the broker that is meant. Raises SessionError."""
        return replace(self, address=meant_by(self.address))

    def session(self) -> Session:
        """Connect. Raises SessionError."""
        session = Session.connect(self.address, self.key, is_insecure=self.is_insecure)
        if not session.me.is_secure:
            warn_insecure()
        return session


def warn_insecure() -> None:
    """Say, in red where there are colours, that everybody can command."""
    text = "INSECURE: this broker works without keys; everybody who can reach it can command it"
    print(f"\033[1;31m{text}\033[0m" if sys.stderr.isatty() else text, file=sys.stderr)


def guarded(as_json: bool, work: Callable[[], int]) -> int:
    """Call `work`; turn what can go wrong with a broker into a message and an exit code."""
    try:
        return work()
    except (UnreachableError, RestartedError) as error:
        code, message = EXIT_UNREACHABLE, str(error)
    except (KeyRefusedError, RefusedError) as error:
        code, message = EXIT_REFUSED, str(error)
    except (SessionError, UsageError) as error:
        code, message = EXIT_USAGE, str(error)
    print(message, file=sys.stderr)
    if as_json:
        tell(json.dumps({"error": message}, ensure_ascii=False))
    return code


def configure(where: Where, setup: Path, overrides: Sequence[str], optional: Sequence[str], on_loss: str) -> int:
    """Send a setup and have it loaded everywhere; returns the exit code."""
    from mimodaq.client._run import setup_path
    from mimodaq.config import SetupErrors

    def work() -> int:
        if on_loss not in {one.value for one in OnLoss}:
            raise UsageError(f"--on-loss {on_loss}: there are {', '.join(one.value for one in OnLoss)}")
        path = setup_path(setup)
        with where.session() as session, Progress("configure", session) as progress:
            answer = session.configure(
                path, overrides, optional=optional, on_loss=OnLoss(on_loss), on_turn=progress.show
            )
        return _tell_answer(answer)

    try:
        return _interruptible("configure", lambda: guarded(False, work))
    except SetupErrors as errors:
        print(errors, file=sys.stderr)
        return EXIT_USAGE


def ask(where: Where, command: str, *, comment: str = "", force: bool = False) -> int:
    """Give a command and wait for its answer, showing what is being waited for; returns the exit code."""

    def work() -> int:
        with where.session() as session, Progress(command, session) as progress:
            answer = session.ask(command, comment=comment, force=force, on_turn=progress.show)
        return _tell_answer(answer)

    return _interruptible(command, lambda: guarded(False, work))


def end(where: Where, command: str, wait: bool) -> int:
    """Stop or abort the run; tells what it was worth, if waited for. Returns the exit code."""

    def work() -> int:
        with where.session() as session:
            with Progress(command, session, until_begun=not wait) as progress:
                answer = session.ask(command, on_turn=progress.show)
            if not answer.ok or answer.run is None:
                return _tell_answer(answer)
            run = session.run(answer.run)
        tell(one_run(run))
        return EXIT_GOOD if run.verdict == "good" else EXIT_NOT_GOOD

    def begun() -> int:
        try:
            return guarded(False, work)
        except Progress.Begun as text:
            tell(str(text))
            return EXIT_GOOD

    return _interruptible(command, begun)


def _tell_answer(answer: Answer) -> int:
    if answer.ok:
        tell(answer.text)
        return EXIT_GOOD
    print(answer.text, file=sys.stderr)
    return EXIT_REFUSED


def _interruptible(command: str, work: Callable[[], int]) -> int:
    """Ctrl-C ends the waiting; what was told goes on."""
    try:
        return work()
    except KeyboardInterrupt:
        text = f"not waited for: if {command} has reached the broker, it goes on by itself; see mimodaq status --watch"
        print(f"\n{text}", file=sys.stderr)
        return EXIT_INTERRUPTED


def logs(where: Where, lines: int, follow: bool, as_json: bool) -> int:
    """Show the log; returns the exit code."""

    def work() -> int:
        with where.session() as session:
            found = session.logs(lines)
            if as_json and not follow:
                tell(json.dumps({"lines": [dataclasses.asdict(line) for line in found]}, ensure_ascii=False))
                return EXIT_GOOD
            show: Callable[[LogLine], str] = _as_json if as_json else as_text
            for line in found:
                print(show(line), flush=follow)
            shown = found[-1].number if found else 0
            for one in session.listen() if follow else ():
                if isinstance(one, LogLine) and one.number > shown:
                    print(show(one), flush=True)
        return EXIT_GOOD

    try:
        return guarded(as_json and not follow, work)
    except KeyboardInterrupt:
        return EXIT_GOOD


def _as_json(line: LogLine) -> str:
    return json.dumps(dataclasses.asdict(line), ensure_ascii=False)


def runs(where: Where, number: int | None, limit: int, as_json: bool) -> int:
    """Show runs; returns the exit code."""

    def work() -> int:
        with where.session() as session:
            found = (session.run(number),) if number is not None else session.runs(limit)
        if as_json:
            rows = [_plain(run, with_parts=number is not None) for run in found]
            tell(json.dumps(rows[0] if number is not None else {"runs": rows}, ensure_ascii=False))
        elif number is not None:
            tell(one_run(found[0]))
        else:
            tell(table_of_runs(found))
        return EXIT_GOOD

    return guarded(as_json, work)


def _plain(run: RunInfo, *, with_parts: bool) -> dict[str, Any]:
    table = dataclasses.asdict(run)
    if not with_parts:
        for name in ("accounts", "counts", "links", "is_cut"):
            del table[name]
    return table
