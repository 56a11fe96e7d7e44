"""The screens in a browser: for this computer, to be looked at, and gone with the server."""

from __future__ import annotations

import importlib.util
import signal
import subprocess
import sys

import pytest

from mimodaq.tui._serve import serve
from mimodaq.tui.feed import FeedError
from tui.console import in_a_loop

IS_THERE = importlib.util.find_spec("textual_serve") is not None
PATIENCE_S = 60.0


class Server:
    """`mimodaq tui --serve` on a free port."""

    def __init__(self, *options: str) -> None:
        words = [sys.executable, "-m", "mimodaq.tui", "--demo", "--serve", "--port", "0", *options]
        self._process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> Server:
        assert self._process.stdout is not None
        said = self._process.stdout.readline()
        assert "(this computer only)" in said
        self.url = said.split(" at ")[1].split()[0]
        return self

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGINT)
        self._process.communicate(timeout=PATIENCE_S)
        assert self._process.returncode == 0


@pytest.mark.skipif(not IS_THERE, reason="textual-serve is not installed: pip install 'mimodaq[serve]'")
@in_a_loop
async def test_a_page_shows_the_screens_and_commands_nothing():
    import aiohttp

    with Server() as server:
        async with aiohttp.ClientSession() as client:
            async with client.get(server.url) as page:
                assert page.status == 200
                text = await page.text()
                assert "<title>mimodaq" in text or "mimodaq" in text
            for headers in ({"Origin": "http://elsewhere.example"}, {"Host": "elsewhere.example"}):
                async with client.get(server.url, headers=headers) as page:
                    assert page.status == 403
            async with client.ws_connect(f"{server.url}/ws?width=100&height=30") as page:
                await until(page, b"RUNNING")
                await page.send_json(["stdin", "x"])
                await until(page, b"watching only")
                await page.send_json(["stdin", "q"])
                async for _ in page:
                    pass
                assert page.closed


async def until(page, text):
    """Wait for a text on the terminal of a page."""
    import aiohttp

    seen = b""
    while text not in seen:
        message = await page.receive(PATIENCE_S)
        assert message.type in {aiohttp.WSMsgType.BINARY, aiohttp.WSMsgType.TEXT}, message
        seen += message.data if isinstance(message.data, bytes) else b""


def test_without_the_package_the_way_to_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "textual_serve.server", None)
    with pytest.raises(FeedError, match=r"package textual-serve is missing .*pip install 'mimodaq\[serve\]'"):
        serve(["--demo"], 0)


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--record", "feed"], 2, "each page would write its own recording"),
        (["--replay", "no_such_file"], 2, "No such file"),
    ],
)
def test_what_cannot_be_served_is_said_at_once_and_not_on_a_page(tmp_path, options, code, said):
    done = subprocess.run(
        [sys.executable, "-m", "mimodaq.tui", "--serve", "--port", "0", *options],
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        cwd=tmp_path,
        timeout=PATIENCE_S,
    )
    assert (done.returncode, said in done.stderr) == (code, True), done.stderr
