"""`mimodaq run` as somebody at a terminal has it: the screens on a pseudo-terminal, and the processes behind them."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import termios
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from client.command import DEADLINE_S, WITH_TERMINAL, Project, wait_for_end, wait_until
from mimodaq.node import tag_of

_ESCAPES = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[@-Z\\-_=>])")
_PATIENCE_S = 2 * DEADLINE_S
"""A run on the screens takes more processes than one without them."""
_SIZE = (30, 110)


class Terminal:
    """One command on a terminal of its own."""

    def __init__(self, folder: Path, runtime: Path, arguments: tuple[str, ...]) -> None:
        self._runtime = runtime
        self._keys, end = pty.openpty()
        fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", *_SIZE, 0, 0))
        self.process = subprocess.Popen(
            [*WITH_TERMINAL, *arguments],
            stdin=end,
            stdout=end,
            stderr=end,
            cwd=folder,
            env=environment(runtime),
        )
        os.close(end)
        self._news = threading.Condition()
        self._raw = ""
        self._is_over = False
        self._thread = threading.Thread(target=self._collect)
        self._thread.start()

    def _collect(self) -> None:
        with suppress(OSError):  # how a terminal ends
            while data := os.read(self._keys, 65536):
                with self._news:
                    self._raw += data.decode(errors="replace")
                    self._news.notify_all()
        with self._news:
            self._is_over = True
            self._news.notify_all()

    @property
    def text(self) -> str:
        """All that was written, without colours and places."""
        return _ESCAPES.sub("", self._raw)

    def sees(self, text: str, times: int = 1) -> None:
        """Wait until `text` was written so many times."""
        with self._news:
            self._news.wait_for(lambda: self._is_over or self.text.count(text) >= times, _PATIENCE_S)
        assert self.text.count(text) >= times, f"{text!r} is not seen in {self.text[-4000:]}"

    def opens(self) -> None:
        """Wait until the screens are there, and with them their keys and signals."""
        self.sees("Over")

    def press(self, keys: str) -> None:
        os.write(self._keys, keys.encode())

    def hang_up(self) -> None:
        """Close the terminal, as the loss of a connection does."""
        os.close(self._keys)
        self._keys = -1

    def ends(self, expect: int) -> None:
        code = self.process.wait(_PATIENCE_S)
        self._thread.join(_PATIENCE_S)
        assert code == expect, self.text[-4000:]

    @property
    def place(self) -> Path:
        """The folder of the run, with the sockets of its broker."""
        return wait_until(lambda: next(iter(places(self._runtime)), None), "there is no broker")

    @property
    def address(self) -> str:
        return f"ipc://{self.place}"

    @property
    def host(self) -> int:
        """The process behind the screens."""
        return int((self.place / "lock").read_text())

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self._keys >= 0:
            self._thread.join(0.1)
            os.close(self._keys)
        self._thread.join()


def environment(runtime: Path) -> dict[str, str]:
    given = {name: value for name, value in os.environ.items() if name not in {"MIMODAQ_BROKER", "SSH_CONNECTION"}}
    return {**given, "TERM": "xterm-256color", "XDG_RUNTIME_DIR": str(runtime), "NO_COLOR": "1"}


def places(runtime: Path) -> list[Path]:
    return sorted(path.parent for path in runtime.glob("mimodaq/runs/*/control"))


def workers_of(host: int) -> list[int]:
    """The processes that a thread of the process behind the screens has started."""
    tasks = Path(f"/proc/{host}/task").glob("*/children")
    return [int(pid) for children in tasks for pid in children.read_text().split()]


class Seat(Project):
    """A project whose runs have a terminal."""

    def __init__(self, folder: Path, runtime: Path) -> None:
        super().__init__(folder)
        self.runtime = runtime

    @contextmanager
    def terminal(self, *arguments: str) -> Iterator[Terminal]:
        """`mimodaq run` on a terminal; the process behind it is gone in the end, and all it has made."""
        terminal = Terminal(self.folder, self.runtime, ("run", *arguments))
        hosts: list[int] = []
        try:
            yield terminal
        except BaseException:
            print(terminal.text[-4000:])
            raise
        else:
            hosts = [int((place / "lock").read_text()) for place in places(self.runtime)]
        finally:
            terminal.close()
        wait_for_end(*hosts)
        assert not list(self.runtime.glob("mimodaq/runs/*"))
        assert not self.in_memory()

    def in_memory(self) -> list[Path]:
        """Segments and folders of the runs that have a record."""
        hosts = [json.loads(path.read_text())["where"]["pid"] for path in self.records()]
        tags = [tag_of(self.runtime / "mimodaq" / "runs" / f"setup-{host}" / "node") for host in hosts]
        return [path for tag in tags for path in Path("/dev/shm").glob(f"mimodaq*{tag}-*")]

    def records(self) -> list[Path]:
        """The run directories, in the order in which they were made."""
        return sorted((self.folder / "target").glob("*/run.json"), key=lambda path: path.stat().st_mtime_ns)
