"""The screens in a browser, for the wall of a laboratory: a web server that only this computer reaches.

Whoever can open the page can do what it offers: there is no login. So it listens on loopback alone (an SSH tunnel
brings it elsewhere), its screens command nothing unless that is asked for, and pages of other sites are turned away.
Each page has a process of the screens of its own, which ends with it.
"""

from __future__ import annotations

import asyncio
import shlex
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Final

from .feed import FeedError

if TYPE_CHECKING:
    from aiohttp.web import Application, Request, StreamResponse

    Handler = Callable[[Request], Awaitable[StreamResponse]]

_HOST: Final = "127.0.0.1"
_CLOSING_S: Final = 2.0


def serve(arguments: Sequence[str], port: int) -> None:
    """Serve the screens with these arguments until Ctrl-C or SIGTERM; port 0 takes one that is free.

    Raises FeedError if that is not possible.
    """
    try:
        import textual_serve.server  # noqa: F401
    except ImportError as error:
        raise FeedError(
            f"serving the screens to a browser: the package textual-serve is missing ({error}). "
            "Install it: pip install 'mimodaq[serve]'"
        ) from error
    with closing(socket.socket()) as door:
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            door.bind((_HOST, port))
        except OSError as error:
            raise FeedError(f"serving on port {port}: {error.strerror}; choose another one (--port)") from error
        command = shlex.join([sys.executable, "-m", "mimodaq.tui", *arguments])
        asyncio.run(_serve(f"exec {command}", door))  # exec: no shell stands between a page's process and the server


async def _serve(command: str, door: socket.socket) -> None:
    from aiohttp import web

    port = door.getsockname()[1]
    runner = web.AppRunner(await _application(command, port), access_log=None, shutdown_timeout=_CLOSING_S)
    over, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, over.set)
    await runner.setup()
    try:
        await web.SockSite(runner, door).start()
        print(f"the screens are at http://{_HOST}:{port} (this computer only); Ctrl-C ends", flush=True)
        await over.wait()
    finally:
        await runner.cleanup()


async def _application(command: str, port: int) -> Application:
    from aiohttp import web
    from textual_serve.server import Server

    class Screens(Server):
        """Says nothing by itself."""

        async def on_startup(self, app: Application) -> None:
            """Nothing."""

    here = {f"{name}:{port}" for name in (_HOST, "localhost")}

    @web.middleware
    async def from_here(request: Request, handler: Handler) -> StreamResponse:
        """Turn away pages of other sites: a browser sends them here, too, and names where they are from."""
        origin = request.headers.get("Origin", f"http://{request.host}")
        if request.host not in here or origin.removeprefix("http://") not in here:
            raise web.HTTPForbidden(text=f"open http://{_HOST}:{port}")
        return await handler(request)

    application: Application = await Screens(command, _HOST, port, title="mimodaq")._make_app()  # noqa: SLF001
    application.middlewares.append(from_here)
    return application
