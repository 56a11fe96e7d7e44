"""Scopes for tests, with one script: the pure-Python one, and the stand-in library behind the unmodified picosdk."""

from __future__ import annotations

import ctypes
import logging
import os
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from mimodaq.functions import FunctionIO
from mimodaq.picoscope._fake import FakeScope, Script
from mimodaq.picoscope._families import FAMILIES
from mimodaq.picoscope._fields import match_fields
from mimodaq.picoscope._sdk6000 import open_driver
from mimodaq.picoscope._settings import read_settings
from mimodaq.picoscope._signals import Pattern, View
from mimodaq.picoscope._source import Session
from mimodaq.ring import Ring, RingEnding, segment_name

COUNTS = np.dtype([("chA", "<i2", (50,)), ("chB", "<i2", (50,))])
_numbers = count()


class PurePython:
    """The scope in Python."""

    name = "python"

    def __init__(self, family: str = "ps3000a") -> None:
        self.family = family
        self.script = Script(signal=Pattern())

    def driver(self) -> FakeScope:
        return FakeScope(FAMILIES[self.family], self.script)

    def set(self, **script: Any) -> None:
        for name, value in script.items():
            assert hasattr(self.script, name), name
            setattr(self.script, name, value)

    def calls(self, name: str) -> int:
        return self.script.calls.get(name, 0)


class StandIn:
    """The library in C."""

    name = "library"

    def __init__(self, family: str, library: Path) -> None:
        self.family = family
        self.library = library
        self.control = ctypes.CDLL(str(library))
        self.control.fake_get.restype = ctypes.c_double
        self.control.fake_reset()

    def driver(self):
        return open_driver(FAMILIES[self.family], str(self.library))

    def set(self, **script: Any) -> None:
        for name, value in script.items():
            self.control.fake_set(name.encode(), ctypes.c_double(value))

    def get(self, name: str) -> float:
        return self.control.fake_get(name.encode())

    def calls(self, name: str) -> int:
        return int(self.get(f"calls.{name}"))


def config(**more: Any) -> dict[str, Any]:
    """Options of a readout of two channels with 50 samples, `more` on top."""
    return {
        "family": "ps3000a",
        "sample_interval": "4 ns",
        "pre_trigger": "20 %",
        "batch": {"captures": 8, "max_latency": "50 ms"},
        "channels": {"A": {"range": "500 mV"}, "B": {"range": "1 V"}},
        "trigger": {"source": "A", "level": "-30 mV", "edge": "falling"},
        **more,
    }


def pattern(numbers: np.ndarray, channel: int, samples: int = 50) -> np.ndarray:
    """What the pattern looks like in captures `numbers` of a channel."""
    view = View((channel,), (1.0,), (0.0,), 32512, samples, 0, 1.0)
    return np.stack([Pattern().captures(int(k), 1, view)[0, 0] for k in numbers])


class Desk:
    """A buffer, a readout, and what came of them."""

    def __init__(self, rig: Any, folder: Path) -> None:
        self.rig = rig
        self.folder = folder
        self.figures: dict[str, Any] = {}
        self.flags: list[str] = []
        self._rings: list[Ring] = []

    def close(self) -> None:
        for ring in self._rings:
            ring.verify()
            ring.unlink()

    def ring(self, slots: int = 64, limit: int = 0, dtype: np.dtype[Any] = COUNTS, **more: Any) -> Ring:
        segment = segment_name("RB_1", partition=f"pico-{os.getpid()}-{next(_numbers)}")
        made = Ring.create(
            segment, dtype, slots, groups=["reads"], expected_writers=1, buffer="RB_1", limit=limit, **more
        )
        self._rings.append(made)
        return made

    def read_out(
        self,
        ring: Ring,
        options: Mapping[str, Any] | None = None,
        look: Callable[[], bool] = lambda: False,
        **clock: Any,
    ) -> None:
        """Run the readout to its end; `look` is called whenever it asks whether the run stops."""
        settings = read_settings(options or config(family=self.rig.family))
        fields, faults = match_fields(settings, ring.dtype)
        assert fields is not None, faults
        writer = ring.writer("scope")
        io = FunctionIO(
            name="Fkt_1", process=0, processes=1, config={}, run_dir=self.folder, setup_dir=self.folder, run_info={},
            log=logging.getLogger("Fkt_1"), writers=[writer], is_stopping=look, flag=self.flags.append,
            figures=self.figures,
        )  # fmt: skip
        try:
            Session(io, settings, fields, self.rig.driver(), **clock).run()
        except RingEnding:
            pass
        except BaseException:
            writer.abandon()
            raise
        finally:
            writer.close()


class Events:
    """What is in a buffer whose writer has left; or what was there so far."""

    def __init__(self, ring: Ring) -> None:
        self._reader = ring.reader("reads", "test")
        self._dtype = ring.dtype
        self.parts: list[np.ndarray] = []
        self.times: list[np.ndarray] = []
        self.deadtimes: list[np.ndarray] = []
        self.counters: list[np.ndarray] = []

    def take(self) -> bool:
        """Take what is there; false at the end of the stream."""
        try:
            batch = self._reader.take(1000, timeout=0)
        except TimeoutError:
            return True
        if batch is None:
            return False
        self.parts.append(batch.events.copy())
        self.times.append(batch.timestamp.copy())
        self.deadtimes.append(batch.deadtime.copy())
        self.counters.append(batch.counter.copy())
        self._reader.release()
        return True

    def rest(self) -> Events:
        while self.take():
            pass
        self._reader.close()
        return self

    @property
    def events(self) -> np.ndarray:
        return np.concatenate(self.parts) if self.parts else np.zeros(0, self._dtype)

    @property
    def timestamp(self) -> np.ndarray:
        return np.concatenate(self.times)

    @property
    def deadtime(self) -> np.ndarray:
        return np.concatenate(self.deadtimes)


def numbers_of(events: np.ndarray) -> np.ndarray:
    """The numbers of captures, from the pattern; asserts that every sample of them is where it belongs."""
    first = (events["chA"][:, 0].astype(int) + 16000) % 32000
    inverse = pow(7919, -1, 32000)
    numbers = first * inverse % 32000
    assert np.array_equal(events["chA"], pattern(numbers, 0, events["chA"].shape[1]))
    assert np.array_equal(events["chB"], pattern(numbers, 1, events["chB"].shape[1]))
    return numbers
