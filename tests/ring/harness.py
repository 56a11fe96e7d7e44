"""What the tests of the ring share: events that say who made them, forked processes, dead clients."""

from __future__ import annotations

import ctypes
import faulthandler
import os
import select
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Iterable
from typing import Any, Self

import numpy as np

from mimodaq.ring import Ring
from mimodaq.ring import _layout as lay
from mimodaq.ring._client import Client
from mimodaq.ring._process import Identity, _stat, namespace

SMALL = np.dtype([("source", "<i8", (1,)), ("number", "<i8", (1,)), ("check", "<i8", (1,))])
WAVE = np.dtype([("source", "<i8", (1,)), ("number", "<i8", (1,)), ("check", "<i8", (1,)), ("chA", "<f4", (17000,))])
"""68 kB."""

PATIENCE_S = 30.0
"""How long a test waits for another process before it says that it hangs."""

NOW = 0.0
"""As a timeout: do not wait."""


def fill(event: np.void | np.ndarray, source: int, number: int | np.ndarray) -> None:
    """Write an event, or several, that can be checked by `keys`."""
    event["source"][..., 0] = source
    event["number"][..., 0] = number
    event["check"][..., 0] = np.asarray(number) * 1000003 + source
    if event.dtype == WAVE:
        event["chA"][...] = np.asarray(number, dtype="f4")[..., np.newaxis] if np.ndim(number) else number


def event_of(dtype: np.dtype[np.void], source: int, number: int) -> np.void:
    """One event for `Writer.put`."""
    event = np.zeros(1, dtype)
    fill(event, source, np.array([number]))
    return event[0]


def keys(events: np.ndarray) -> np.ndarray:
    """Who made each event, and its number, as source << 40 | number; AssertionError if an event is torn."""
    source, number = events["source"][:, 0], events["number"][:, 0]
    assert (events["check"][:, 0] == number * 1000003 + source).all(), "an event is torn"
    if events.dtype == WAVE:
        assert (events["chA"][:, ::4096] == number.astype("f4")[:, np.newaxis]).all(), "an event is torn"
        assert (events["chA"][:, -1] == number.astype("f4")).all(), "an event is torn"
    return source << 40 | number


def key(event: np.void) -> int:
    """The same for one event."""
    return int(keys(event.reshape(1))[0])


def numbers(events: Iterable[np.void]) -> list[int]:
    """The numbers of events, checked."""
    return [key(event) & 0xFFFFFFFFFF for event in events]


_PR_SET_PDEATHSIG = 1
_prctl = ctypes.CDLL(None).prctl


class Child:
    """A forked process that carries out `work(*arguments)` and exits with 0, or with 1 after an exception."""

    def __init__(self, work: Callable[..., None], *arguments: Any) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # the other thread is the watchdog of pytest-timeout
            self.pid = os.fork()
        if not self.pid:
            self._carry_out(work, arguments)
        self._descriptor = os.pidfd_open(self.pid)

    @staticmethod
    def _carry_out(work: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        code = 1
        try:
            _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)  # a test that is broken off takes its processes along
            faulthandler.register(signal.SIGUSR1, all_threads=True)
            work(*arguments)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)

    def fileno(self) -> int:
        """Readable once the process has ended."""
        return self._descriptor

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        signal.pidfd_send_signal(self._descriptor, number)

    def has_ended(self, within_s: float = NOW) -> bool:
        """Whether the process has ended, waiting up to `within_s`."""
        return bool(select.select([self], [], [], within_s)[0])

    def end(self) -> int:
        """Wait for the end; returns the exit code, -9 after SIGKILL. A process that hangs shows where, and fails."""
        hangs = not self.has_ended(PATIENCE_S)
        if hangs:
            self.send(signal.SIGCONT)
            self.send(signal.SIGUSR1)
            self.has_ended(1.0)
            self.send(signal.SIGKILL)
        _, status = os.waitpid(self.pid, 0)
        os.close(self._descriptor)
        assert not hangs, f"process {self.pid} did not end within {PATIENCE_S} s"
        return os.waitstatus_to_exitcode(status)

    def kill(self) -> int:
        """Send SIGKILL and wait."""
        self.send(signal.SIGKILL)
        return self.end()

    def wait_until_stopped(self) -> None:
        """Wait for the effect of SIGSTOP."""
        _, status = os.waitpid(self.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self.kill()
        else:
            assert self.end() == 0, f"process {self.pid} failed, see its traceback"


class Bell:
    """A one-way signal between processes: rung once or several times by one, awaited by another."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()

    def ring(self) -> None:
        """Let one `wait` return."""
        os.write(self._write, b"!")

    def wait(self) -> None:
        """Wait for one `ring`."""
        assert select.select([self._read], [], [], PATIENCE_S)[0], f"nothing was heard within {PATIENCE_S} s"
        os.read(self._read, 1)

    def close(self) -> None:
        """Close both ends."""
        os.close(self._read)
        os.close(self._write)


def dead_process() -> Identity:
    """The identity of a process that has lived and died."""
    stay = Bell()
    child = Child(stay.wait)
    found = _stat(child.pid)
    assert found is not None
    stay.ring()
    child.end()
    stay.close()
    return Identity(child.pid, found[1], namespace())


def declare_dead(client: Client, who: Identity) -> None:
    """Make a client one of the dead process `who`: it will be reaped, its object must not be used any more."""
    words = client._core.words
    words[client._row + lay.PID], words[client._row + lay.START], words[client._row + lay.NAMESPACE] = who


def drain(ring: Ring, group: str) -> list[np.void]:
    """Copies of all events that a new member of `group` gets without waiting."""
    events = []
    with ring.reader(group, "drain") as reader:
        while (batch := reader.take(ring.slots, NOW)) is not None and len(batch.events):
            events += list(batch.events.copy())
            reader.release()
    return events
