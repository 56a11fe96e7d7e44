"""Options of the screens, and what is opened for them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from ._app import OperatorApp, is_remote, wants_ascii
from .feed import Feed


def open_screens(arguments: Sequence[str] | None = None) -> None:
    """Run the app until it is left."""
    options = _parser().parse_args(arguments)
    remote = is_remote()
    app = OperatorApp(
        _feed(options),
        setup_file=options.setup,
        is_ascii=options.ascii or wants_ascii(),
        refresh_s=1.0 if remote else 0.5,
        has_bell=not options.silent,
    )
    app.run(mouse=not (options.no_mouse or remote))


def _feed(options: argparse.Namespace) -> Feed:
    from .simulated import DEMO, SimulatedFeed

    return SimulatedFeed(DEMO, pace=1.0, may_command=not options.read_only)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m mimodaq.tui", description="The operator's screens.")
    parser.add_argument("--demo", action="store_true", help="an experiment that is simulated in this process")
    parser.add_argument("--setup", type=Path, help="setup file to compare with the running one, and to apply")
    parser.add_argument("--ascii", action="store_true", help="draw with ASCII only")
    parser.add_argument("--no-mouse", action="store_true", help="leave the mouse to the terminal (default over SSH)")
    parser.add_argument("--read-only", action="store_true", help="watch only")
    parser.add_argument("--silent", action="store_true", help="no bell")
    return parser
