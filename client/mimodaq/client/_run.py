"""`mimodaq run`: one run of a setup on this host, from the terminal."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from mimodaq.client._exit import EXIT_GOOD, EXIT_NOT_GOOD, EXIT_USAGE, UsageError
from mimodaq.client._streams import tell
from mimodaq.config import Setup, SetupErrors, load_setup
from mimodaq.ring import SegmentError


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What was typed."""

    setup: Path
    overrides: Sequence[str] = ()
    output: Path | None = None
    headless: bool = False
    as_json: bool = False
    quiet: bool = False
    comment: str = ""
    broker: str | None = None
    """For a setup with hosts, as all that follows; None = the one that the setup names, or on this host."""
    key: Path | None = None
    insecure: bool = False
    optional: Sequence[str] = ()
    on_loss: str | None = None

    def refuse_choices(self) -> None:
        """Refuse what only a cluster can do. Raises UsageError."""
        choices = {"--optional": self.optional, "--on-loss": self.on_loss}
        typed = [name for name, value in choices.items() if value]
        if typed:
            raise UsageError(
                f"{' and '.join(typed)}: only for a setup with hosts, which a broker carries out; {self.setup} has none"
            )


def setup_path(given: Path) -> Path:
    """The setup file meant by a path: itself, or the one setup file of a directory."""
    if not given.is_dir():
        return given
    found = sorted(given.glob("*setup.yaml"))
    if len(found) == 1:
        return found[0]
    what = "none" if not found else ", ".join(p.name for p in found)
    raise UsageError(f"{given} is a directory: name one of its setup files (*setup.yaml: {what})")


def run(request: RunRequest) -> int:
    """Carry out a run; returns the exit code."""
    return guarded(request.as_json, lambda: run_in_lines(request, loaded(request)))


def guarded(as_json: bool, work: Any) -> int:
    """Call `work`; turn what the user can mend into one clear message and exit code 2."""
    from mimodaq.node import RunDirectoryError

    problems: list[dict[str, Any]] = []
    try:
        return int(work())
    except SetupErrors as error:
        message = str(error)
        problems = [
            {"file": p.where.file, "line": p.where.line, "message": p.message, "suggestion": p.suggestion}
            for p in error.problems
        ]
    except (UsageError, RunDirectoryError, SegmentError) as error:
        message = str(error)
    print(message, file=sys.stderr)
    if as_json:
        tell(json.dumps({"error": message, "problems": problems}))
    return EXIT_USAGE


def loaded(request: RunRequest) -> Setup:
    """The setup that was typed, if the rest fits to it, with its warnings told. Raises SetupErrors, UsageError."""
    setup = setup_at(request.setup, request.overrides)
    if not setup.hosts:
        request.refuse_choices()
    return setup


def setup_at(path: Path, overrides: Sequence[str]) -> Setup:
    """The setup meant by a path, with its warnings told. Raises SetupErrors, UsageError."""
    setup = load_setup(setup_path(path), overrides)
    for warning in setup.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    return setup


def wants_screens(request: RunRequest) -> bool:
    """Whether the operator's screens are to be opened: there is a terminal for them, and nothing else was asked for."""
    from mimodaq.client._keyboard import is_terminal

    is_plain = request.headless or request.as_json or request.quiet
    return not is_plain and is_terminal() and sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def run_in_lines(request: RunRequest, setup: Setup) -> int:
    """Carry out a run that shows lines, or a table of them; returns the exit code."""
    from mimodaq.client import _summary
    from mimodaq.client._display import display_for
    from mimodaq.client._keyboard import HELP, Keyboard, is_terminal
    from mimodaq.node import Engine, Entry, RunOptions

    if setup.hosts:
        return _run_on_cluster(request, setup)
    keys = setup.keyboard and is_terminal()
    live = sys.stderr.isatty() and not request.headless
    with ExitStack() as stack:
        display = stack.enter_context(display_for(live=live, help_line=HELP if keys else "Ctrl-C stops, twice aborts"))
        engine = Engine(
            setup,
            RunOptions(
                directory=request.output,
                comment=request.comment,
                on_snapshot=(lambda s: None) if request.quiet else display.snapshot,
                on_log=display.log,
            ),
        )
        stack.enter_context(_signals(engine))
        if keys:
            keyboard = stack.enter_context(
                Keyboard(
                    lambda name: engine.command(name, "by the operator"),
                    lambda: display.log(Entry(time.time(), "info", "run", HELP)),
                )
            )

            def read_keys() -> None:
                if not keyboard.read():
                    engine.unwatch(keyboard.fd)

            engine.watch(keyboard.fd, read_keys)
        result = engine.run()
    if request.as_json:
        tell(json.dumps(_summary.as_json(setup, result), default=str))
    else:
        tell(_summary.as_text(setup, result))
    return EXIT_GOOD if result.verdict == "good" else EXIT_NOT_GOOD


def _run_on_cluster(request: RunRequest, setup: Setup) -> int:
    from mimodaq.client._cluster_run import run as carry_out

    if request.output is not None:
        raise UsageError(
            f"{setup.path.name} is for several hosts ({', '.join(setup.hosts)}); each writes below its own directory "
            "(mimodaq node NAME --data DIR), so --output cannot be used"
        )
    return carry_out(request, setup)


@contextmanager
def _signals(engine: Any) -> Iterator[None]:
    """Ctrl-C and SIGTERM stop the run cleanly; a second one aborts it; a third ends this process at once.

    The hang-up of a terminal only stops, as several of them may come at once.
    """
    received = 0

    def handle(number: int, _frame: FrameType | None) -> None:
        nonlocal received
        received += 1
        if received > 2:
            raise KeyboardInterrupt
        name = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
        engine.command("stop" if received == 1 else "abort", name if received == 1 else f"second {name}")

    def hang_up(_number: int, _frame: FrameType | None) -> None:
        engine.command("stop", "the terminal was closed")

    handlers: dict[int, Any] = {signal.SIGINT: handle, signal.SIGTERM: handle}
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup
        handlers[signal.SIGHUP] = hang_up
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def check(path: Path, overrides: Sequence[str], as_json: bool) -> int:
    """Check a setup without taking data; returns the exit code."""

    def work() -> int:
        from mimodaq.client._layout import as_text, as_values
        from mimodaq.node import check_functions

        setup = load_setup(setup_path(path), overrides)
        problems = check_functions(setup, is_here=False)  # the instruments may be on other hosts, or not plugged in yet
        if problems:
            raise SetupErrors(problems)
        if as_json:
            tell(json.dumps({**as_values(setup), "broker": setup.broker}))
        else:
            tell(as_text(setup) + (f"\n\n  broker  {setup.broker}" if setup.broker else ""))
        return EXIT_GOOD

    return guarded(as_json, work)
