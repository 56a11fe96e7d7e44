"""A small cluster to be broken, every event of which can be told from all others and checked.

A source on `daq1` makes numbered events with samples that follow from the number; filters on `ana1` and `ana2` check
the samples; a file on `sto` keeps number and check. With root the hosts are network namespaces, and /dev/shm and the
disks are small file systems that only this process and its children see; without, all is on loopback and these faults
are left out.
"""

from __future__ import annotations

import csv
import ctypes
import json
import os
import shutil
import subprocess
import tempfile
import zlib
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from mimodaq.chaos._faults import BROKER
from mimodaq.chaos._ledger import Declared, Found
from mimodaq.chaos.cluster import LocalCluster
from mimodaq.chaos.waiting import ChaosError
from mimodaq.client.bench._hosts import Host, Hosts, why_not
from mimodaq.client.session import Session
from mimodaq.node import RECORD
from mimodaq.protocol.messages import Answer
from mimodaq.system import CLOCK_STEP

DAQ, ANA1, ANA2, STO = "daq1", "ana1", "ana2", "sto"
NAMES: Final = (DAQ, ANA1, ANA2, STO)
_RATE_HZ: Final = 400
_SLOTS: Final = 256
_DISK: Final = "64m"
_SHM: Final = "64m"
_CLONE_NEWNS: Final = 0x00020000
_FILE: Final = "kept"
_MODULE: Final = '''
import time
import zlib

import numpy as np


def pulse(number):
    """16 samples that follow from the number."""
    return np.random.default_rng(int(number)).normal(size=16)


def pulses(*, rate=100.0):
    """Numbered pulses; a source that was started again begins elsewhere."""
    number = time.monotonic_ns() // 1000
    while True:
        yield {"n": number, "wave": pulse(number)}
        number += 1
        time.sleep(1.0 / rate)


def check(event):
    """The number, and a check of it if the samples are those that follow from it."""
    number = int(event["n"][0])
    is_whole = np.array_equal(event["wave"], pulse(number))
    return {"n": number, "check": zlib.crc32(str(number).encode()) if is_whole else -1}
'''


def make_private(folder: Path) -> str:
    """Give this process and its children a small /dev/shm of their own; why not, or nothing if that is done.

    Nobody else sees it or is touched by it, and it goes with the last of them.
    """
    if os.geteuid():
        return "that needs root"
    if shutil.which("mount") is None:
        return "mount not found: install mount"
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNS):
        return f"unshare: {os.strerror(ctypes.get_errno())}"
    mounts = [
        ["mount", "--make-rprivate", "/"],
        ["mount", "-t", "tmpfs", "-o", f"size={_SHM},mode=1777", "tmpfs", "/dev/shm"],
    ]
    for name in NAMES:
        place = folder / "data" / name
        place.mkdir(parents=True)
        mounts.append(["mount", "-t", "tmpfs", "-o", f"size={_DISK}", "tmpfs", str(place)])
    for words in mounts:
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            return f"{' '.join(words)}: {done.stderr.strip()}"
    return ""


class _Cluster(LocalCluster):
    """Daemons whose clocks can be moved, each for itself."""

    def environment_of(self, daemon: str) -> Mapping[str, str]:
        return {CLOCK_STEP: str(self.folder / f"{daemon}.clock_ns")}


class Demo:
    """The cluster of the demo, and what is known of its events. Use it in `with`."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        """Make it; `tell` hears what cannot be done here. Raises ChaosError, HostError."""
        self._opened = ExitStack()
        self._tell = tell
        with ExitStack() as undo:
            undo.callback(self._opened.close)
            self.folder = Path(tempfile.mkdtemp(prefix="mimodaq-chaos-")).resolve()
            self._opened.callback(lambda: shutil.rmtree(self.folder, ignore_errors=True))
            self.why_no_disks = make_private(self.folder)
            if not self.why_no_disks:
                self._opened.callback(self._unmount)
            reason = why_not()
            if reason:
                tell(f"no cables to cut: {reason}")
            if self.why_no_disks:
                tell(f"no disk and no /dev/shm to fill: {self.why_no_disks}")
            hosts = self._opened.enter_context(Hosts(1 + len(NAMES))) if not reason else None
            self.cluster = _Cluster(self.folder, NAMES, hosts)
            self._opened.callback(self.cluster.close)
            undo.pop_all()

    def __enter__(self) -> Demo:
        """For `with`."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it, and remove everything."""
        self._opened.close()

    @property
    def cables(self) -> dict[str, Host]:
        """Cables that can be cut."""
        hosts = self.cluster.hosts
        return {**self.cluster.place, BROKER: hosts[0]} if hosts else {}

    @property
    def disks(self) -> dict[str, Path]:
        """File systems that can be filled; that of the broker stands for /dev/shm, which all share."""
        if self.why_no_disks:
            return {}
        return {**{name: self.cluster.data_of(name) for name in NAMES}, BROKER: Path("/dev/shm")}

    def start(self) -> Session:
        """Start everything and send the setup; the session of the operator."""
        session = self.cluster.start()
        answer = self.configure(session)
        if not answer.ok:
            raise ChaosError(f"configuring the demo: {answer.text}")
        return session

    def configure(self, session: Session, on_turn: Callable[[], None] | None = None) -> Answer:
        """Send the setup."""
        return session.configure(self.cluster.write_setup(_setup(), demo=_MODULE), on_turn=on_turn)

    def end(self) -> None:
        """End all daemons and what they have started."""
        self.cluster.close()

    def keep(self) -> Path:
        """Copy data and logs to where they stay."""
        kept = Path(tempfile.mkdtemp(prefix="mimodaq-chaos-kept-"))
        shutil.copytree(self.folder, kept, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".filled*", "*.sock"))
        return kept

    def _unmount(self) -> None:
        """Let the folders of the disks be removed; the disks are gone with that."""
        for name in NAMES:
            subprocess.run(["umount", str(self.cluster.data_of(name))], check=False)

    # -- what is in the files -----------------------------------------------------------------------------------------

    def found(self, run: int, came_in: int) -> Found | None:
        """What is in the file of a run; None if there is none."""
        place = self.cluster.run_dirs(run).get(STO)
        path = place / f"{_FILE}.csv" if place is not None else None
        if path is None or not path.exists():
            return None
        return read(path, came_in)

    def declared(self, run: int) -> Declared:
        """What the records of all nodes tell of events that may be there twice."""
        in_doubt = 0
        unreadable = []
        for node, place in self.cluster.run_dirs(run).items():
            try:
                record = json.loads((place / RECORD).read_text())
            except (FileNotFoundError, ValueError):
                unreadable.append(node)
            else:
                in_doubt += doubt_in(record)
        return Declared(in_doubt, tuple(unreadable))


def read(path: Path, came_in: int) -> Found:
    """Count what is in a file of the demo."""
    times: Counter[int] = Counter()
    foreign = 0
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            number, counter = int(float(row["n"])), int(row["counter"])
            if int(float(row["check"])) != zlib.crc32(str(number).encode()) or counter >= came_in:
                foreign += 1
            else:
                times[counter] += 1
    return Found(len(times), times.total() - len(times), foreign)


def doubt_in(record: Mapping[str, Any]) -> int:
    """Events of a record that may be somewhere twice: each was handed out again, or its link was given up."""
    again: int = sum(g["redelivered"] for groups in record["ledger"]["buffers"].values() for g in groups.values())
    for entries in record["links"].values():
        for entry in entries:
            match entry["kind"]:
                case "doubled":
                    again += entry["count"]
                case "cut":
                    again += max(0, entry["sent"] - entry["position"])
                case "gap":
                    again += entry["in_doubt"]
    return again


def _setup() -> dict[str, Any]:
    number, check = ["n", "float64"], ["check", "float64"]
    kept = {"number_of_slots": _SLOTS, "data_type": {1: number, 2: check}, "host": STO}
    made = {
        "number_of_slots": _SLOTS,
        "channel_per_slot": 16,
        "data_type": {1: number, 2: ["wave", "float64"]},
        "host": DAQ,
    }
    source = {
        "function": "demo.py:pulses",
        "host": DAQ,
        "restart": True,
        "RB_assign": {"RB_1": "write"},
        "config": {"rate": _RATE_HZ},
    }
    filters = {
        "function": "demo.py:check",
        "host": [ANA1, ANA2],
        "num_process": 2,
        "RB_assign": {"RB_1": "read", "RB_2": "write"},
    }
    file = {"function": "to_csv", "RB_assign": {"RB_2": "read"}, "config": {"filename": _FILE}}
    return {
        "disk": {"when_low": "pause", "reserve": "2 MB"},
        "RingBuffer": [{"RB_1": made}, {"RB_2": kept}],
        "Functions": [{"Fkt_1": source}, {"Fkt_2": filters}, {"Fkt_3": file}],
    }
