"""Options of the screens, and what is opened for them."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import yaml

from mimodaq.watch import DEFAULT_RULES, Rule, RuleError, rules_from

from .feed import Feed, FeedError

_USAGE, _UNREACHABLE = 2, 3
HERE: Final = "127.0.0.1"


def open_screens(arguments: Sequence[str] | None = None) -> int:
    """Run the app until it is left; answers the exit code: 2 if something cannot be used, 3 without a broker."""
    options = _parser().parse_args(arguments)
    try:
        rules = read_rules(options.alarms) if options.alarms else DEFAULT_RULES
        if options.record and options.record.exists():
            raise FeedError(f"recording to {options.record}: it exists already; name a new file")
        if options.serve:
            return _serve(options, list(sys.argv[1:] if arguments is None else arguments))
        return asyncio.run(_show(options, rules))
    except (FeedError, RuleError) as error:
        print(f"mimodaq tui: {error}", file=sys.stderr)
        return _USAGE


def _serve(options: argparse.Namespace, arguments: list[str]) -> int:
    """Serve the screens; each page gets the same options, and may only watch unless it was allowed more."""
    from mimodaq.client.session import SessionError

    from ._serve import serve

    if options.record:
        raise FeedError("serving the screens: each page would write its own recording; record in a terminal")
    try:
        asyncio.run(_try(options))
    except SessionError as error:
        print(f"mimodaq tui: {error}", file=sys.stderr)
        return _UNREACHABLE
    mine = _parser(only_serving=True).parse_known_args(arguments)[1]
    serve([*mine, *([] if options.allow_control else ["--read-only"])], options.port)
    return 0


async def _try(options: argparse.Namespace) -> None:
    """Whether there is something to show: said here, and not on a page."""
    await (await _feed(options)).close()


async def _show(options: argparse.Namespace, rules: Sequence[Rule]) -> int:
    from mimodaq.client.session import SessionError

    from ._app import OperatorApp
    from ._terminal import is_remote, wants_ascii
    from .recording import RecordedFeed

    try:
        feed = await _feed(options)
    except SessionError as error:
        print(f"mimodaq tui: {error}", file=sys.stderr)
        return _UNREACHABLE
    remote = is_remote()
    app = OperatorApp(
        RecordedFeed(feed, options.record) if options.record else feed,
        setup_file=options.setup,
        rules=rules,
        is_ascii=options.ascii or wants_ascii(),
        refresh_s=1.0 if remote else 0.5,
        has_bell=not options.silent,
    )
    try:
        await app.run_async(mouse=not (options.no_mouse or remote))
    finally:
        await feed.close()
    return app.return_code or 0


async def _feed(options: argparse.Namespace) -> Feed:
    if options.replay:
        from .recording import ReplayFeed

        return ReplayFeed(options.replay, options.speed)
    if options.demo:
        from mimodaq.protocol.states import State

        from .simulated import DEMO, SimulatedFeed

        begin = State.RUNNING if options.read_only else State.CONFIGURED
        return SimulatedFeed(DEMO, pace=options.speed, may_command=not options.read_only, state=begin)
    from .live import Address, open_feed

    address = Address(options.broker, options.key, options.insecure)
    return await open_feed(address, may_command=not options.read_only)


def read_rules(path: Path) -> tuple[Rule, ...]:
    """The rules in a file; raises RuleError if it cannot be read or understood."""
    try:
        return rules_from(yaml.safe_load(path.read_text()) or {})
    except OSError as error:
        raise RuleError(f"reading alarm rules from {path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RuleError(f"reading alarm rules from {path}: {error}") from error
    except RuleError as error:
        raise RuleError(f"{path}: {error}") from error


def _parser(*, only_serving: bool = False) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "mimodaq tui", description="The operator's screens. Leaving never touches the run.", allow_abbrev=False
    )
    serving = parser.add_argument_group("in a browser")
    serving.add_argument("--serve", action="store_true", help="serve the screens to browsers on this computer")
    serving.add_argument("--port", type=int, default=8000, help="where, 0 = one that is free (default: 8000)")
    serving.add_argument("--allow-control", action="store_true", help="let whoever opens the page command the cluster")
    if only_serving:
        return parser
    broker, key = os.environ.get("MIMODAQ_BROKER", HERE), os.environ.get("MIMODAQ_KEY")
    parser.add_argument("--broker", metavar="ADDRESS", default=broker, help="HOST, HOST:PORT or ipc:///FOLDER")
    parser.add_argument("--key", metavar="FILE", type=Path, default=Path(key) if key else None, help="key file")
    parser.add_argument("--insecure", action="store_true", help="talk to another host without keys")
    parser.add_argument("--read-only", action="store_true", help="watch only")
    parser.add_argument(
        "--setup", metavar="FILE", type=Path, help="setup to compare with the running one, and to apply"
    )
    parser.add_argument("--alarms", metavar="FILE", type=Path, help="rules that change or extend the default ones")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--demo", action="store_true", help="show an experiment that is simulated in this process")
    what.add_argument("--replay", metavar="FILE", type=Path, help="show a recording")
    parser.add_argument("--speed", type=_positive, default=1.0, help="how fast a recording or simulation goes")
    parser.add_argument("--record", metavar="FILE", type=Path, help="write all that is published to a new file")
    parser.add_argument("--ascii", action="store_true", help="draw with ASCII only")
    parser.add_argument("--no-mouse", action="store_true", help="leave the mouse to the terminal (default over SSH)")
    parser.add_argument("--silent", action="store_true", help="no bell")
    return parser


def _positive(text: str) -> float:
    value = float(text)
    if not value > 0:
        raise ValueError
    return value
