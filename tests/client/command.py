"""The command line as a user has it: in a directory with a setup and functions, with terminals, signals and kills."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import textwrap
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

DEADLINE_S = 60.0
"""How long a test waits for something before it fails; nothing takes so long unless it hangs."""

MIMODAQ = [sys.executable, "-m", "mimodaq.client.cli"]

# setsid -c: a session of its own whose terminal is stdin
WITH_TERMINAL = [
    sys.executable,
    "-c",
    "import fcntl, os, sys, termios\n"
    "os.setsid()\n"
    "fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
    "os.execv(sys.executable, [sys.executable, '-m', 'mimodaq.client.cli', *sys.argv[1:]])",
]

FUNCTIONS = '''
"""Functions of the tests."""

import os
import time
from pathlib import Path


def until(name):
    """Wait for a file in the current directory."""
    while not Path(name).exists():
        time.sleep(0.002)


def tell(name):
    """Put a file there, with the number of this process in it."""
    Path(f".{name}.{os.getpid()}").write_text(str(os.getpid()))
    os.replace(f".{name}.{os.getpid()}", name)


def numbers(*, n: int = 0):
    """0, 1, 2, ..."""
    i = 0
    while n == 0 or i < n:
        yield {"x": i}
        i += 1


def slow_numbers(*, n: int = 0, pause: float = 0.002):
    """The same, and a file `flowing` when ten events are taken."""
    for event in numbers(n=n):
        time.sleep(pause)
        yield event
        if event["x"] == 10:
            tell("flowing")


def keep(event):
    return True


def save(io):
    """The smallest sink that writes a file, out.csv."""
    path = io.run_dir / "out.csv"
    io.files(path)
    with path.open("w") as file:
        file.write("counter,x\\n")
        while (event := io.reader.get()) is not None:
            file.write(f"{io.reader.counter},{float(event['x'][0])}\\n")
'''


class Project:
    """A directory with a setup file and `my.py`, and the command run in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.write("my.py", FUNCTIONS)

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path

    def functions(self, text: str) -> None:
        """Add functions to `my.py`."""
        with (self.folder / "my.py").open("a", encoding="utf-8") as file:
            file.write("\n" + textwrap.dedent(text))

    def setup(self, *functions: str, slots: int = 16, more: str = "", name: str = "setup.yaml") -> Path:
        """A setup of functions such as `numbers > RB_1` or `to_csv < RB_2 {filename: x}`; see `_entry`."""
        entries = [_entry(f"Fkt_{i}", text) for i, text in enumerate(functions, 1)]
        buffers = sorted({b for text in functions for b in text.split() if b.startswith("RB_")})
        lines = ["RingBuffer:"]
        lines += [f"  - {b}: {{number_of_slots: {slots}, data_type: {{1: [x, float64]}}}}" for b in buffers]
        lines += ["Functions:", *entries, more]
        return self.write(name, "\n".join(lines) + "\n")

    # -- running it --------------------------------------------------------------------------------------------------

    def __call__(self, *arguments: str, expect: int = 0, **how: Any) -> subprocess.CompletedProcess[str]:
        """Run the command to its end."""
        done = subprocess.run(
            [*MIMODAQ, *arguments],
            **{"cwd": self.folder, "stdin": subprocess.DEVNULL, "timeout": DEADLINE_S, **how},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == expect, done.stdout + done.stderr
        return done

    def run(self, *arguments: str, expect: int = 0, **how: Any) -> dict[str, Any]:
        """`mimodaq run ... --json`; the object it prints."""
        return _checked(json.loads(self("run", *arguments, "--headless", "--json", expect=expect, **how).stdout))

    @contextmanager
    def started(self, *arguments: str, terminal: bool = False, screen: bool = False, **how: Any) -> Iterator[Session]:
        """`mimodaq run ... --json` while it runs; with keys from a terminal, or shown on one."""
        headless = [] if screen else ["--headless"]
        command = ["run", *arguments, *headless, "--json"]
        session = Session(self.folder, command, terminal=terminal, screen=screen, **how)
        try:
            yield session
        finally:
            session.close()

    def file(self, name: str) -> Path:
        """Wait for a file in the directory."""
        path = self.folder / name
        wait_until(path.exists, f"{name} does not appear")
        return path

    def pid(self, name: str) -> int:
        """The process that has put a file there with `tell`."""
        return int(self.file(name).read_text())


class Session:
    """A run that goes on."""

    def __init__(self, folder: Path, arguments: list[str], *, terminal: bool, screen: bool, **how: Any) -> None:
        self.keyboard = self._screen = -1
        ends = []
        if terminal:
            self.keyboard, how["stdin"] = pty.openpty()
            ends.append(how["stdin"])
        if screen:
            self._screen, how["stderr"] = pty.openpty()
            ends.append(how["stderr"])
        command = WITH_TERMINAL if terminal else MIMODAQ
        self.process = subprocess.Popen(
            [*command, *arguments],
            **{"cwd": folder, "stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **how},
        )
        for fd in ends:
            os.close(fd)
        self._news = threading.Condition()
        self.said = ""
        self.answer = b""
        ears = [(self._screen, self._hear)] if screen else []
        for pipe, take in ((self.process.stderr, self._hear), (self.process.stdout, self._receive)):
            if pipe is not None:
                ears.append((pipe.fileno(), take))
        self._threads = [threading.Thread(target=self._collect, args=ear) for ear in ears]
        for thread in self._threads:
            thread.start()

    def _collect(self, fd: int, take: Callable[[bytes], None]) -> None:
        with suppress(OSError):  # how a terminal ends
            while data := os.read(fd, 65536):
                take(data)

    def _hear(self, data: bytes) -> None:
        with self._news:
            self.said += data.decode()
            self._news.notify_all()

    def _receive(self, data: bytes) -> None:
        self.answer += data

    def hears(self, text: str, times: int = 1) -> None:
        """Wait until `text` was said on stderr so many times."""
        with self._news:
            assert self._news.wait_for(lambda: self.said.count(text) >= times, DEADLINE_S), self.said

    def press(self, keys: str) -> None:
        os.write(self.keyboard, keys.encode())

    def send(self, number: int) -> None:
        self.process.send_signal(number)

    def hang_up(self) -> None:
        """Close the terminal."""
        os.close(self.keyboard)
        self.keyboard = -1

    def ends(self, expect: int) -> None:
        """Wait for the end."""
        code = self.process.wait(DEADLINE_S)
        for thread in self._threads:
            thread.join(DEADLINE_S)
        assert code == expect, self.said

    def result(self, expect: int = 0) -> dict[str, Any]:
        """Wait for the end; what was printed on stdout."""
        self.ends(expect)
        return _checked(json.loads(self.answer))

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for thread in self._threads:
            thread.join()
        for pipe in (self.process.stdout, self.process.stderr, self.process.stdin):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()
        for fd in (self.keyboard, self._screen):
            if fd >= 0:
                os.close(fd)


def _entry(name: str, text: str) -> str:
    """A function of a setup from `what [xN] [> RB_1] [< RB_1] [o RB_1] [{options}] [| more keys]`."""
    text, _, more = text.partition(" | ")
    text, brace, options = text.partition("{")
    what, *words = text.split()
    module = "" if what.startswith("mimodaq:") or ":" in what else "my.py:"
    built_in = what in {"to_csv", "to_parquet", "drain", "simulate", "replay", "waveforms", "histograms", "to_tar"}
    function = what if built_in else f"{module}{what}"
    processes = next((int(word[1:]) for word in words if word[0] == "x"), 1)
    access = {">": "write", "<": "read", "o": "observe"}
    assign = [f"{b}: {access[sign]}" for sign, b in pairwise(words) if sign in access]
    entry = f'function: "{function}", num_process: {processes}, RB_assign: {{{", ".join(assign)}}}'
    config = f", config: {{{options}" if brace else ""
    return f"  - {name}: {{{entry}{config}{', ' if more else ''}{more}}}"


def _checked(result: dict[str, Any]) -> dict[str, Any]:
    """Every run must balance, and what it prints must be what it has recorded."""
    if "verdict" in result:
        assert result["ledger"]["balanced"]
        assert not any("contradict" in reason for reason in result["reasons"])
        recorded = record(result)
        assert (recorded["verdict"], recorded["ledger"]) == (result["verdict"], result["ledger"])
    return result


def record(result: Mapping[str, Any]) -> dict[str, Any]:
    """run.json of a run."""
    return json.loads((Path(result["run_dir"]) / "run.json").read_text())


def log(result: Mapping[str, Any]) -> str:
    """run.log of a run."""
    return (Path(result["run_dir"]) / "run.log").read_text()


def column(path: Path | str, name: str = "x") -> list[float]:
    """One column of a csv file."""
    lines = Path(path).read_text().splitlines()
    index = lines[0].split(",").index(name)
    return [float(line.split(",")[index]) for line in lines[1:]]


def wait_until(condition: Callable[[], Any], complaint: str) -> Any:
    """Wait for something another process does."""
    give_up = time.monotonic() + DEADLINE_S
    while not (answer := condition()):
        assert time.monotonic() < give_up, complaint
        threading.Event().wait(0.005)
    return answer


def wait_for_end(*pids: int) -> None:
    """Wait for the end of processes that are not children of this one."""
    for pid in pids:
        with suppress(ProcessLookupError):
            fd = os.pidfd_open(pid)
            try:
                assert select.select([fd], [], [], DEADLINE_S)[0], f"process {pid} does not end"
            finally:
                os.close(fd)


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def is_in_single_key_mode(fd: int) -> bool:
    return not termios.tcgetattr(fd)[3] & termios.ICANON
