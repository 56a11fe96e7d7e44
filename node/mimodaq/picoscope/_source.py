"""The built-in source `picoscope`: waveforms of a scope straight into the slots of a buffer.

The shell around `_readout`: it owns driver, buffer and time, carries out one action after the other and decides
nothing.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import FrameType
from typing import Any, Final

from mimodaq.picoscope import _steps as step
from mimodaq.picoscope._arrange import Arrangement, arrange, find_driver
from mimodaq.picoscope._before import check_before_run
from mimodaq.picoscope._driver import ScopeDriver
from mimodaq.picoscope._fake import FakeScope
from mimodaq.picoscope._fields import Fields, match_fields
from mimodaq.picoscope._io import FunctionIO
from mimodaq.picoscope._options import Fault
from mimodaq.picoscope._publish import Publisher
from mimodaq.picoscope._readout import Readout
from mimodaq.picoscope._settings import Settings, SettingsError, read_settings
from mimodaq.picoscope._simulation import read_simulation
from mimodaq.picoscope._status import NOT_NOW, ScopeError, ScopeLostError, StatusError
from mimodaq.picoscope._steps import Wish
from mimodaq.ring import RingEnding, RingFull

_CLAIM_S: Final = 5e-3
"""How long to wait for free slots before looking at the scope, and at what the run wants."""
_ARMED: Final = step.Armed()
_BUSY: Final = step.Looked(False)
_READY: Final = step.Looked(True)
_FETCHED: Final = step.Fetched()
_PUBLISHED: Final = step.Published()
_WAITED: Final = step.Waited()


def picoscope(io: FunctionIO, **options: Any) -> None:
    """Read out a PicoScope: waveforms as counts (int16 buffer) or volts (float32 buffer).

    The options are described in docs/picoscope.md; `driver: simulate` needs no scope. They are checked before the run.
    What the scope has really set, live time, dead time by cause and gaps are in the record of the run.
    Raises ScopeError when the scope cannot be used as asked.
    """
    settings = read_settings(options)
    writer = io.writers[0]
    fields, faults = match_fields(settings, writer.dtype)
    if fields is None:
        raise SettingsError([Fault("RB_assign", f"picoscope: {writer.name}: {text}") for text in faults])
    driver = _driver(settings, io)
    with _told_by_asking():
        Session(io, settings, fields, driver).run()


picoscope.__mimodaq_checked_by__ = check_before_run  # type: ignore[attr-defined] # as mimodaq.functions.checked_by does


def _driver(settings: Settings, io: FunctionIO) -> ScopeDriver:
    if settings.driver == "simulate":
        faults: list[Fault] = []
        script = read_simulation(settings.simulation, settings.trigger.edge, io.setup_dir, faults)
        if faults:
            raise SettingsError(faults)
        return FakeScope(settings.known_family, script)
    return find_driver(settings)


@contextmanager
def _told_by_asking() -> Iterator[None]:
    """Do not let SIGTERM break into a transfer: that the run stops is asked often enough."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    if not callable(before):  # it ends the process, or is none of ours
        yield
        return

    def note(number: int, frame: FrameType | None) -> None:
        try:
            before(number, frame)
        except RingEnding:
            return  # `stopping()` tells

    signal.signal(signal.SIGTERM, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class Session:
    """One readout from its begin to its end."""

    def __init__(
        self,
        io: FunctionIO,
        settings: Settings,
        fields: Fields,
        driver: ScopeDriver,
        now_ns: Callable[[], int] = time.monotonic_ns,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._io = io
        self._settings = settings
        self._fields = fields
        self._driver = driver
        self._now_ns = now_ns
        self._sleep = sleep
        self._writer = io.writers[0]
        self._wish = Wish.GO
        self._is_over = False
        self._captures = 0
        self._registers_late = False
        self._complaint = ""
        self._began_ns = now_ns()

    def run(self) -> None:
        """Open the scope, take data until the run ends, close the scope, whatever happens."""
        arrangement = arrange(self._driver, self._settings, self._fields)
        try:
            self._begin(arrangement)
            self._loop()
        finally:
            self._driver.close()

    def _begin(self, arrangement: Arrangement) -> None:
        self._settings = replace(self._settings, serial=arrangement.unit.serial or self._settings.serial)
        self._publisher = Publisher(self._fields, self._writer, self._settings.unit, self._io.log)
        self._readout = Readout(
            captures=arrangement.captures,
            max_latency_ns=int(self._settings.max_latency_s * 1e9),
            window_ns=arrangement.window_ns,
            rearm_ns=self._settings.rearm_ns,
            begin_ns=self._began_ns,
        )
        self._adopt(arrangement)
        unit, interval = arrangement.unit, arrangement.timebase.interval_ns
        self._io.log.info(
            "%s %s: %d samples of %g ns, batches of up to %d captures", unit.model, unit.serial, arrangement.samples,
            interval, arrangement.captures,
        )  # fmt: skip
        if unit.power:
            self._io.log.warning("%s", unit.power)
        if arrangement.captures < self._settings.captures and self._settings.mode == "rapid":
            self._io.log.warning("batches have %d captures at most: the memory of this model", arrangement.captures)

    def _adopt(self, arrangement: Arrangement) -> None:
        """Use a scope that was just set up."""
        self._arrangement = arrangement
        self._captures = arrangement.captures
        self._publisher.adopt(arrangement, self._driver)
        self._io.note(**arrangement.record)

    def _loop(self) -> None:
        readout = self._readout
        self._look_at_run()
        action = readout.handle(step.Begun(), self._now_ns(), self._wish)
        try:
            while not isinstance(action, step.Leave):
                try:
                    event = self._carry_out(action)
                except ScopeLostError as error:
                    event = self._lost(error)
                action = readout.handle(event, self._now_ns(), self._wish)
        finally:
            readout.close_gap(self._now_ns())
            self._io.note(**self._publisher.figures(readout, self._now_ns()))

    def _carry_out(self, action: step.Action) -> step.Event:
        match action:
            case step.Look(wait_s):
                if wait_s:
                    self._sleep(wait_s)
                self._look_at_run()
                return _READY if self._driver.is_ready() else _BUSY
            case step.Arm(captures):
                if captures != self._captures:
                    self._driver.set_captures(captures)
                    self._captures = captures
                arrangement = self._arrangement
                self._driver.run(arrangement.pre, arrangement.post, arrangement.timebase.number)
                self._publisher.armed()
                return _ARMED
            case step.Prepare(first, count):
                return step.Prepared(self._claim(first, count))
            case step.Fetch(first, count):
                if self._registers_late:
                    self._publisher.register(first, count)
                assert self._readout.batch is not None
                self._publisher.fetch(self._readout.batch, first, count)
                return _FETCHED
            case step.Publish():
                self._publisher.publish(self._readout.books)
                return _PUBLISHED
            case step.Halt():
                captures = self._driver.stop()
                return step.Halted(captures)
            case step.Wait(wait_s):
                self._sleep(wait_s)
                self._look_at_run()
                return _WAITED
            case step.Reopen():
                return self._reopen()
            case step.Leave():
                raise AssertionError("the loop ends before")

    def _look_at_run(self) -> None:
        if self._is_over or self._io.stopping():
            self._wish = Wish.END
        else:
            self._wish = Wish.PAUSE if self._writer.is_paused else Wish.GO

    def _claim(self, first: int, count: int) -> int:
        """Slots for captures of the batch, registered as the scope's memory; 0 if there are none at once."""
        try:
            slots = self._publisher.claim(count, _CLAIM_S)
        except RingFull:
            self._look_at_run()
            return 0
        except RingEnding:
            self._is_over = True
            self._look_at_run()
            return 0
        if not self._registers_late:
            try:
                self._publisher.register(first, slots)
            except StatusError as error:
                if error.status not in NOT_NOW:
                    raise
                self._registers_late = True  # this driver takes no buffers while it captures
                self._io.log.info("buffers are registered after each batch: the driver does not take them during it")
        return slots

    # -- without a scope ----------------------------------------------------------------------------------------

    def _lost(self, error: ScopeLostError) -> step.Event:
        if not self._readout.is_lost:
            name = f"scope {self._settings.serial}" if self._settings.serial else "the scope"
            self._io.log.error("%s is gone: %s", name, error)
            self._io.flag(f"{name} was gone for a while ({error})")
        return step.Lost(str(error))

    def _reopen(self) -> step.Event:
        if self._settings.on_disconnect == "fail":
            raise ScopeError(
                f"the scope is gone and `on_disconnect` is fail. Plug it in and start again, or set it to reopen. "
                f"Gap: {self._readout.lost_reason}"
            )
        self._driver.close()
        try:
            self._adopt(arrange(self._driver, self._settings, self._fields))
        except (ScopeError, ScopeLostError) as error:
            if str(error) != self._complaint:
                self._complaint = str(error)
                self._io.log.warning("the scope is not back yet, trying again: %s", error)
            self._look_at_run()
            return step.NotReopened()
        self._complaint = ""
        self._io.log.warning("the scope is back; what happened meanwhile is missing (see `gaps` in run.json)")
        self._look_at_run()
        return step.Reopened()
