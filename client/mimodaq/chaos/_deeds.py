"""Carry faults out, and undo them."""

from __future__ import annotations

import os
import random
import signal
import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import psutil

from mimodaq.chaos._daemon import Likeness
from mimodaq.chaos._faults import BROKER, Fault, Kind, Place
from mimodaq.chaos._garbage import send_garbage
from mimodaq.chaos._network import in_network_of, listening
from mimodaq.chaos._targets import CannotDo, Handle, Targets
from mimodaq.client.bench._hosts import Host
from mimodaq.protocol.messages import Report
from mimodaq.system import CLOCK_STEP

Undo = Callable[[], None]

SMALL_BYTES: Final = 1 << 30
"""Only a file system that is smaller is filled, and only if it is not the one that is around it."""
_FILLER: Final = ".filled-by-chaos"
_PIECE: Final = 1 << 20
_GONE_S: Final = 10.0


@dataclass(slots=True)
class Deeds:
    """The hands of chaos."""

    targets: Targets
    seed: int
    cables: Mapping[str, Host] = field(default_factory=dict)
    """By node; those that can be cut."""
    disks: Mapping[str, Path] = field(default_factory=dict)
    """By node; folders on small file systems of their own that may be filled."""
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)
    """Daemons that were started again and are children of this process."""

    def places(self, reports: Mapping[str, Report]) -> list[Place]:
        """What can be got at, of what the nodes report."""
        places = []
        for name in self.targets.names:
            report = reports.get(name)
            links = {f"{line.name}[0]" for line in report.links} if report is not None else set()
            labels = sorted(line.name for line in report.workers) if report is not None else []
            places.append(
                Place(
                    name,
                    tuple(label for label in labels if label not in links),
                    tuple(label for label in labels if label in links),
                    can_cut=name in self.cables,
                    can_fill_disk=name in self.disks and name != BROKER,
                    can_fill_shm=name in self.disks and name == BROKER,
                    can_step_clock=self._clock_of(name) is not None,
                )
            )
        return places

    def do(self, fault: Fault, run: int | None) -> Undo | None:
        """Do it; what undoes it, if anything has to be. Raises CannotDo."""
        match fault.kind:
            case Kind.KILL_WORKER | Kind.KILL_LINK:
                self._signal(self._process(fault, run), signal.SIGKILL)
                return None
            case Kind.STALL_WORKER | Kind.STALL_LINK:
                return self._stall(self._process(fault, run))
            case Kind.KILL_NODE | Kind.KILL_BROKER:
                return self._kill(fault.node)
            case Kind.STALL_NODE | Kind.STALL_BROKER:
                return self._stall(self._daemon(fault.node))
            case Kind.CUT:
                self.cables[fault.node].cut()
                return self.cables[fault.node].restore
            case Kind.DISK | Kind.SHM:
                return fill(self.disks[fault.node])
            case Kind.CLOCK:
                return self._step_clock(fault)
            case Kind.GARBAGE:
                self._send_garbage(fault, run)
                return None

    # -- processes --------------------------------------------------------------------------------------------------

    def _process(self, fault: Fault, run: int | None) -> Handle:
        return Handle(lambda: self.targets.process(fault.node, run, fault.target), fault.target)

    def _daemon(self, name: str) -> Handle:
        return Handle(lambda: self.targets.daemon(name), f"the daemon {name}")

    def _signal(self, victim: Handle, number: signal.Signals) -> None:
        try:
            victim.signal(number)
        finally:
            victim.close()

    def _stall(self, victim: Handle) -> Undo:
        try:
            victim.signal(signal.SIGSTOP)
        except CannotDo:
            victim.close()
            raise
        return lambda: self._signal(victim, signal.SIGCONT)

    def _kill(self, name: str) -> Undo:
        victim = self._daemon(name)
        try:
            likeness = Likeness(victim.pid, f"the daemon {name}")
            victim.signal(signal.SIGKILL)
        except CannotDo:
            victim.close()
            raise
        return lambda: self._revive(name, victim, likeness)

    def _revive(self, name: str, victim: Handle, likeness: Likeness) -> None:
        try:
            victim.wait(_GONE_S)
            self.started = [process for process in self.started if process.poll() is None]  # some were killed again
            if not likeness.is_of_systemd and self.targets.daemon(name) is None:
                self.started.append(likeness.start())
        finally:
            victim.close()
            likeness.close()

    def end_started(self) -> None:
        """Kill the daemons that were started again."""
        for process in self.started:
            process.kill()
            process.wait()
        self.started.clear()

    # -- clock, sockets -----------------------------------------------------------------------------------------------

    def _clock_of(self, name: str) -> Path | None:
        """The file that moves the clock of a daemon, if it was started with one."""
        pid = self.targets.daemon(name) if name != BROKER else None
        if pid is None:
            return None
        with suppress(psutil.Error):
            path = psutil.Process(pid).environ().get(CLOCK_STEP)
            return Path(path) if path else None
        return None

    def _step_clock(self, fault: Fault) -> Undo:
        path = self._clock_of(fault.node)
        if path is None:
            raise CannotDo(f"the daemon {fault.node} does not run now")
        _write(path, round(fault.step_s * 1e9))
        return lambda: _write(path, 0)

    def _send_garbage(self, fault: Fault, run: int | None) -> None:
        dice = random.Random(f"{self.seed} {fault.number}")
        pids = list(self.targets.processes(fault.node, run).values()) if fault.node != BROKER else []
        daemon = self.targets.daemon(fault.node)
        heard = False
        for pid in [*pids, *([daemon] if daemon is not None else [])]:
            try:
                places = listening(pid)
            except OSError:
                continue  # it has ended meanwhile
            for host, port in places:
                heard = True
                in_network_of(pid, partial(send_garbage, host, port, dice))
        if not heard:
            raise CannotDo(f"nothing of {fault.node} listens now")


def fill(folder: Path) -> Undo:
    """Fill the small file system of a folder to the last byte; the answer makes room again. Raises CannotDo."""
    size = os.statvfs(folder)
    if size.f_blocks * size.f_frsize > SMALL_BYTES or os.stat(folder).st_dev == os.stat(folder.parent).st_dev:
        raise CannotDo(f"{folder} is on a large file system, or on that of its surroundings: it is not filled")
    filler = folder / _FILLER
    with filler.open("wb", buffering=0) as file:
        piece = _PIECE
        while piece:
            try:
                while file.write(bytes(piece)) == piece:
                    pass
                piece //= 2  # a part of it has found room
            except OSError:
                piece //= 2
    return filler.unlink


def _write(path: Path, number: int) -> None:
    """Replace the number in a file that others read."""
    temporary = path.with_suffix(".new")
    temporary.write_text(f"{number}\n", encoding="ascii")
    os.replace(temporary, path)
