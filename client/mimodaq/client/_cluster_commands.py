"""Run control and the run database from the command line: what was typed, what is said, the exit code."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mimodaq.client import _cluster_json
from mimodaq.client._embedded_place import HERE, meant_by
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
from mimodaq.client._session_sockets import CONNECT_S
from mimodaq.client._streams import tell
from mimodaq.client.session import (
    KeyRefusedError,
    RefusedError,
    RestartedError,
    Session,
    SessionError,
    UnreachableError,
)
from mimodaq.protocol.messages import Answer, LogLine
from mimodaq.protocol.parts import OnLoss
from mimodaq.system import red

if TYPE_CHECKING:
    from mimodaq.config import Setup


@dataclass(frozen=True, slots=True)
class Where:
    """Which broker, and as whom."""

    address: str
    key: Path | None = None
    is_insecure: bool = False
    is_named: bool = True
    """Somebody has typed the address; else that in a setup comes first."""

    @classmethod
    def typed(cls, broker: str | None, key: Path | None, is_insecure: bool) -> Where:
        """As the options of a command that has a setup, too, say."""
        return cls(broker or HERE, key, is_insecure, broker is not None)

    def of(self, setup: Setup) -> Where:
        """The same with the broker that the setup names, if nobody has typed another."""
        return self if self.is_named or setup.broker is None else replace(self, address=setup.broker)

    def of_setup_at(self, path: Path, overrides: Sequence[str]) -> Where:
        """The same of a setup that is not loaded; one with mistakes names no broker."""
        from mimodaq.client._run import setup_path
        from mimodaq.config import SetupErrors, load_setup

        try:
            return self if self.is_named else self.of(load_setup(setup_path(path), overrides))
        except (SetupErrors, UsageError):
            return self

    def found(self) -> Where:
        """The same with the address of the broker that is meant. Raises SessionError."""
        return replace(self, address=meant_by(self.address))

    def session(self, timeout_s: float = CONNECT_S) -> Session:
        """Connect. Raises SessionError."""
        session = Session.connect(self.address, self.key, is_insecure=self.is_insecure, timeout_s=timeout_s)
        if not session.me.is_secure:
            warn_insecure()
        return session


def warn_insecure() -> None:
    """Say, in red where there are colours, that everybody can command."""
    text = "INSECURE: this broker works without keys; everybody who can reach it can command it"
    print(red(text, sys.stderr), file=sys.stderr)


def guarded(
    as_json: bool, work: Callable[[], int], told: Callable[[str], dict[str, Any]] = _cluster_json.mistake
) -> int:
    """Call `work`; turn what can go wrong with a broker into a message and an exit code.

    `told` makes of the message what is printed as JSON.
    """
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
        tell_json(told(message))
    return code


def tell_json(value: Any) -> None:
    """Print a value for programs."""
    tell(json.dumps(value, ensure_ascii=False))


@dataclass(frozen=True, slots=True)
class Choices:
    """What the operator decides about the hosts of a setup."""

    optional: Sequence[str]
    """Hosts that a run can do without; none: those that the setup says."""
    on_loss: OnLoss
    """What the loss of any other host does."""

    @classmethod
    def typed(cls, optional: Sequence[str], on_loss: str | None) -> Choices:
        """As the options say. Raises UsageError."""
        known = [one.value for one in OnLoss]
        if on_loss is not None and on_loss not in known:
            raise UsageError(f"--on-loss {on_loss}: there are {', '.join(known)}")
        return cls(optional, OnLoss.PAUSE if on_loss is None else OnLoss(on_loss))

    def send(self, session: Session, setup: Setup) -> Answer:
        """Send a setup and have it loaded everywhere. Raises UsageError, SetupErrors, SessionError."""
        from mimodaq.config import BundleError, pack_loaded

        optional = self.optional or _optional_hosts(setup)
        try:
            raw = pack_loaded(setup)
        except BundleError as error:
            raise UsageError(str(error)) from error
        with Progress("configure", session) as progress:
            return session.ask(
                "configure",
                setup_id=session.upload(raw),
                optional=optional,
                on_loss=self.on_loss,
                on_turn=progress.show,
            )


def _optional_hosts(setup: Setup) -> list[str]:
    """The hosts that the setup says are optional, of those that have something to do. Raises SetupErrors."""
    from mimodaq.protocol.plan import make_plan

    names = [host.name for host in setup.hosts.values() if host.role == "optional"]
    used = make_plan(setup).nodes if names else ()
    return [name for name in names if name in used]


def configure(
    where: Where, path: Path, overrides: Sequence[str], optional: Sequence[str], on_loss: str | None, as_json: bool
) -> int:
    """Send a setup and have it loaded everywhere; returns the exit code."""
    from mimodaq.client._run import setup_at
    from mimodaq.config import SetupErrors

    def work() -> int:
        choices = Choices.typed(optional, on_loss)
        try:
            setup = setup_at(path, overrides)
            with where.of(setup).session() as session:
                answer = choices.send(session, setup)
        except SetupErrors as errors:
            raise UsageError(str(errors)) from errors
        return _tell_answer(answer, as_json)

    return _commanded("configure", as_json, work)


def ask(where: Where, command: str, as_json: bool, *, comment: str = "", force: bool = False) -> int:
    """Give a command and wait for its answer, showing what is being waited for; returns the exit code."""

    def work() -> int:
        with where.session() as session, Progress(command, session) as progress:
            answer = session.ask(command, comment=comment, force=force, on_turn=progress.show)
        return _tell_answer(answer, as_json)

    return _commanded(command, as_json, work)


def end(where: Where, command: str, wait: bool, as_json: bool) -> int:
    """Stop or abort the run; tells what it was worth, if waited for. Returns the exit code."""

    def work() -> int:
        with where.session() as session:
            try:
                with Progress(command, session, until_begun=not wait) as progress:
                    answer = session.ask(command, on_turn=progress.show)
            except Progress.Begun as begun:
                return _tell_answer(Answer(1, True, str(begun), begun.run), as_json)
            if not answer.ok or answer.run is None:
                return _tell_answer(answer, as_json)
            run = session.run(answer.run)
        if as_json:
            tell_json({**_cluster_json.answer(answer.text, ok=True), **_cluster_json.one_run(run)})
        else:
            tell(one_run(run))
        return EXIT_GOOD if run.verdict == "good" else EXIT_NOT_GOOD

    return _commanded(command, as_json, work)


def _tell_answer(answer: Answer, as_json: bool) -> int:
    if as_json:
        tell_json(_cluster_json.answer(answer.text, ok=answer.ok, run=answer.run))
    elif answer.ok:
        tell(answer.text)
    if answer.ok:
        return EXIT_GOOD
    print(answer.text, file=sys.stderr)
    return EXIT_REFUSED


def _commanded(command: str, as_json: bool, work: Callable[[], int]) -> int:
    """Carry out a command. Ctrl-C ends the waiting; what was told goes on."""
    try:
        return guarded(as_json, work, _cluster_json.refusal)
    except KeyboardInterrupt:
        text = f"not waited for: if {command} has reached the broker, it goes on by itself; see mimodaq status --watch"
        print(f"\n{text}", file=sys.stderr)
        if as_json:
            tell_json(_cluster_json.refusal(text))
        return EXIT_INTERRUPTED


def logs(where: Where, lines: int, follow: bool, as_json: bool) -> int:
    """Show the log; returns the exit code."""

    def work() -> int:
        with where.session() as session:
            found = session.logs(lines)
            if as_json and not follow:
                tell_json({"lines": [dataclasses.asdict(line) for line in found]})
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
            is_one = number is not None
            tell_json(_cluster_json.one_run(found[0]) if is_one else {"runs": [*map(_cluster_json.run_in_list, found)]})
        elif number is not None:
            tell(one_run(found[0]))
        else:
            tell(table_of_runs(found))
        return EXIT_GOOD

    return guarded(as_json, work)
