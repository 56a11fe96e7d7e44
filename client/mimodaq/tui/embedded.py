"""`mimodaq run` on a terminal: the process of the run is started, the screens are opened on it, and its end is told.

The run does not depend on this process: whatever becomes of it, the other one goes on until the run has ended.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from mimodaq.client._embedded import Configured, Host, News, Refused, news_of
from mimodaq.client._exit import EXIT_GOOD, EXIT_NOT_GOOD, EXIT_USAGE, UsageError
from mimodaq.client._run import RunRequest, guarded, loaded, run_in_lines, setup_path
from mimodaq.client._streams import tell
from mimodaq.client.session import SessionError
from mimodaq.config import Setup

if TYPE_CHECKING:
    from ._run_app import RunApp
    from .feed import Feed

_LONGEST_LINE: Final = 1 << 24
_WAITING: Final = "checking the setup and its functions (Ctrl-C ends this) ..."


def run(request: RunRequest) -> int:
    """Carry out a run on the operator's screens; returns the exit code."""
    return guarded(False, lambda: _run(request))


def _run(request: RunRequest) -> int:
    setup = loaded(request)
    if setup.hosts or not setup.gui:
        return run_in_lines(request, setup)
    host = Host(setup_path(request.setup), request.overrides, request.output, request.comment)
    try:
        return asyncio.run(_show(host, setup, request.overrides))
    finally:
        host.close()


async def _show(host: Host, setup: Setup, overrides: Sequence[str]) -> int:
    """Open the screens when the setup has been checked; returns the exit code. Raises UsageError."""
    from ._run_app import RunApp
    from ._terminal import is_remote, wants_ascii

    news = await _listen(host)
    address = await _configured(host, news)
    feed = await _open(host, address)
    remote = is_remote()
    app = RunApp(
        feed,
        news,
        address,
        setup_file=setup.path,
        overrides=overrides,
        is_ascii=wants_ascii(),
        refresh_s=1.0 if remote else 0.5,
    )
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, app.end_by_signal)
    try:
        await app.run_async(mouse=not remote)
    finally:
        await feed.close()
    return _part(host, app)


async def _configured(host: Host, news: AsyncIterator[News]) -> str:
    """The address of the broker, when the run is about to start. Raises UsageError."""
    try:
        with _waiting():
            first = await anext(news, None)
    except BaseException:
        host.wait()  # nothing has been started, so it ends
        raise
    match first:
        case Configured(address):
            return address
        case Refused(text):
            host.wait()
            raise UsageError(text)
        case _:
            raise UsageError(_lost(host, None))


async def _open(host: Host, address: str) -> Feed:
    """A feed of the run, however busy this host is. Raises UsageError if its process has died."""
    from .live import Address, open_feed

    while True:
        try:
            return await open_feed(Address(address))
        except SessionError as error:
            if not host.is_alive():
                raise UsageError(f"{error}\n{_lost(host, address)}") from error


def _part(host: Host, app: RunApp) -> int:
    """Tell how things are when the screens have been left; returns the exit code."""
    for ended in app.ended:
        tell(ended.summary)
    if app.is_left_running or app.return_code:  # which is not 0 if the screens have failed
        tell(
            f"\nthe run goes on; its files are in {app.directory}\n"
            f"  watch it again:  mimodaq tui --broker {app.address}\n"
            f"  stop it:         mimodaq stop --broker {app.address}\n"
            "as long as no broker and no other run is on this host, mimodaq tui and mimodaq stop are enough"
        )
        return app.return_code or EXIT_GOOD
    code = host.wait()
    if app.is_lost and code:
        print(_lost(host, app.address), file=sys.stderr)
        if app.directory:
            text = f"its functions save what is in the buffers and end. See {app.directory}/run.log, and run"
            print(f"{text}\n  mimodaq recover {app.directory}", file=sys.stderr)
        return EXIT_NOT_GOOD
    if app.not_started:
        print(app.not_started, file=sys.stderr)
        return EXIT_USAGE
    return EXIT_GOOD if not code and all(ended.verdict == "good" for ended in app.ended) else EXIT_NOT_GOOD


def _lost(host: Host, address: str | None) -> str:
    """Why the process of the run has ended before its time."""
    code = host.wait()
    how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    complaint = host.clear_away(address)
    return f"the process of the run has died ({how})" + (f":\n{complaint}" if complaint else "")


async def _listen(host: Host) -> AsyncIterator[News]:
    """What the process of the run says, until it ends."""
    reader = asyncio.StreamReader(_LONGEST_LINE)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), host.news)

    async def news() -> AsyncIterator[News]:
        while line := await reader.readline():
            yield news_of(line)

    return news()


@contextmanager
def _waiting() -> Iterator[None]:
    """Say what is being waited for, as long as it is."""
    is_shown = sys.stderr.isatty()
    if is_shown:
        print(_WAITING, end="", file=sys.stderr, flush=True)
    try:
        yield
    finally:
        if is_shown:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
