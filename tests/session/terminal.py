"""Commands of a cluster as a user has them: in a shell, through a pipe, or on a terminal."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from contextlib import suppress

from broker.running import DEADLINE_S

MIMODAQ = [sys.executable, "-m", "mimodaq.client.cli"]
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Shell:
    """Runs commands against one broker; without an address, against that which is meant then."""

    def __init__(self, folder, address=""):
        self.folder, self.address = folder, address

    def environment(self):
        given = {
            "MIMODAQ_KEYS": str(self.folder / "keys"),
            "MIMODAQ_STATE": str(self.folder),
            "MIMODAQ_BROKER": self.address,
            "HOME": str(self.folder),
            "TERM": "xterm",
            "COLUMNS": "120",
        }
        return {**os.environ, **given}

    def json(self, *arguments, expect=0):
        """What a command with `--json` has printed: one value."""
        return json.loads(self(*arguments, "--json", expect=expect).stdout)

    def __call__(self, *arguments, expect=0, limit_s=DEADLINE_S):
        """Run a command to its end."""
        done = subprocess.run(
            [*MIMODAQ, *map(str, arguments)],
            cwd=self.folder,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=limit_s,
            check=False,
        )
        assert done.returncode == expect, done.stdout + done.stderr
        return done

    def started(self, *arguments, on_terminal=False):
        return Running(self, arguments, on_terminal=on_terminal)


class Running:
    """A command that goes on; what it says on stdout and stderr, or draws on a terminal."""

    def __init__(self, shell, arguments, *, on_terminal):
        if on_terminal:
            self._fd, write = pty.openpty()
            fcntl.ioctl(write, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        else:
            self._fd, write = os.pipe()
        self.process = subprocess.Popen(
            [*MIMODAQ, *map(str, arguments)],
            cwd=shell.folder,
            env=shell.environment(),
            stdin=subprocess.DEVNULL,
            stdout=write,
            stderr=write,
        )
        os.close(write)
        self.raw = ""

    @property
    def said(self):
        """Without colours and movements."""
        return _CONTROL.sub("", self.raw)

    def hears(self, text, times=1, limit_s=DEADLINE_S):
        """Wait until something was said so many times."""
        give_up = time.monotonic() + limit_s
        while self.said.count(text) < times:
            assert select.select([self._fd], [], [], max(0.0, give_up - time.monotonic()))[0], self.said
            assert self._read(), f"ended without {text!r}: {self.said}"
        return self.said

    def _read(self):
        with suppress(OSError):  # how a terminal ends
            data = os.read(self._fd, 65536)
            self.raw += data.decode()
            return bool(data)
        return False

    def interrupt(self):
        """Ctrl-C."""
        self.process.send_signal(signal.SIGINT)

    def ends(self, expect):
        while self._read():
            pass
        code = self.process.wait(DEADLINE_S)
        assert code == expect, self.said

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._fd)
