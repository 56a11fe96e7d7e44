"""Classes that connect a user's function to buffers: into one, out of one, and from one to others.

Each is made with the arguments a worker function is given, and then called: `rbImport` once, `rbPut` for every event,
`rbExport` gives a generator, `rbTransfer`, `rbProcess` and `rbDrain` run until the end of the data and return then.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from numbers import Number
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mimodaq.mimocorb._endpoints import SetupDict
from mimodaq.mimocorb.activity_logger import Gen_logger
from mimodaq.mimocorb.mimo_buffer import Reader, Writer

Metadata = tuple[int, float, float]
"""Number, time (s, UTC) and dead-time fraction of an event."""
Sources = Sequence[SetupDict] | None
Config = dict[str, Any] | None

_PAUSE_LOOK_S = 0.05


def only(buffers: Sources, what: str, user: object) -> SetupDict:
    """The one dictionary of a list that shall have one; ValueError if there is none, a warning if there are more."""
    name = type(user).__name__
    if not buffers:
        raise ValueError(f"{name} was given no {what}: assign it a buffer in RB_assign and pass {what} on")
    if len(buffers) > 1:
        Gen_logger(name).warning("%s uses one buffer only, %s has %d", name, what, len(buffers))
    return buffers[0]


def refuse(rb_info: dict[str, Any], *access: str, user: object) -> None:
    """ValueError if a buffer is assigned for a kind of access that makes no sense here."""
    for buffer, word in rb_info.items():
        if word in access:
            raise ValueError(f"{type(user).__name__} cannot {word} a buffer, but RB_assign says {buffer}: {word}")


class _Input:
    """Fills one buffer from outside, and measures the dead time."""

    def __init__(self, sink_list: Sources, rb_info: dict[str, Any]) -> None:
        self.logger = Gen_logger(type(self).__name__)
        refuse(rb_info, "read", "observe", user=self)
        self.sink = Writer(only(sink_list, "sink_list", self))
        names = np.dtype(self.sink.dtype).names
        self.chnams: list[str] = list(names or ())
        self.number_of_channels = len(self.chnams) or 1
        self.event_count = 0
        self.T_last = time.monotonic()

    def _store(self, data: Any, metadata: Metadata | None) -> None:
        """Copy one event, `data[i]` = samples of channel i, into the buffer; the next one, or the end, commits it."""
        timestamp = time.time_ns() * 1e-9
        ready, waited_s = time.monotonic(), self.sink.waited_s
        buffer = self.sink.get_new_buffer()
        begin, waited_s = time.monotonic(), self.sink.waited_s - waited_s
        for i, name in enumerate(self.chnams):
            self._fill(buffer[name], data[i], name)
        if not self.chnams:
            self._fill(buffer, data, "data")
        end = time.monotonic()
        if metadata is None:
            paused_s = max(0.0, begin - ready - waited_s)
            passed_s = max(end - self.T_last - paused_s, 1e-9)
            metadata = (self.event_count, timestamp, min(1.0, (waited_s + end - begin) / passed_s))
        self.sink.set_metadata(*metadata)
        self.T_last = end

    def _fill(self, channel: NDArray[Any], samples: Any, name: str) -> None:
        try:
            channel[:] = samples
        except ValueError as error:
            raise ValueError(
                f"{type(self).__name__}: channel {name} takes {len(channel)} samples, "
                f"the source gave data of shape {np.shape(samples)}"
            ) from error


class rbImport(_Input):
    """Read a source, `ufunc`, and put its events into a buffer; called once, it returns when the source is exhausted.

    `ufunc()` is a generator that yields ``(data, metadata)``: `data[i]` = samples of channel i, or None = no
    more data; metadata = (number, time, dead time), or None = filled in here (number from 1, time now, fraction of the
    time since the previous event that went into waiting for a free slot and copying). While the run is paused the
    source is not asked.
    """

    def __init__(
        self,
        sink_list: Sources = None,
        config_dict: Config = None,
        ufunc: Callable[[], Iterator[Any]] | None = None,
        **rb_info: Any,
    ) -> None:
        if not callable(ufunc):
            raise ValueError(f"rbImport needs a generator function as ufunc, not {ufunc!r}")
        super().__init__(sink_list, rb_info)
        self.userdata_generator = ufunc()

    def __call__(self) -> None:
        """Import until the source has no more data; SystemExit if the run ends before."""
        while self._is_wanted():
            event = next(self.userdata_generator, (None, None))
            if not isinstance(event, tuple) or len(event) != 2:
                raise TypeError(f"the ufunc of rbImport must yield (data, metadata), not {type(event).__name__}")
            data, metadata = event
            if data is None:
                break
            self.event_count += 1
            self._store(data, metadata)
        self.sink.process_buffer()

    def _is_wanted(self) -> bool:
        """Wait for the end of a pause, which is not dead time; false when the run ends."""
        while self.sink.is_paused() and self.sink.is_active():
            before = time.monotonic()
            time.sleep(_PAUSE_LOOK_S)
            self.T_last += time.monotonic() - before
        return self.sink.is_active()


class rbPut(_Input):
    """Put events that come from a program with an event loop of its own into a buffer; called for every event."""

    def __init__(
        self, sink_list: Sources = None, config_dict: Config = None, ufunc: object = None, **rb_info: Any
    ) -> None:
        super().__init__(sink_list, rb_info)
        self.left_out = 0
        """Events that came during a pause and were not taken."""

    def __call__(self, data: Any, metadata: Metadata | None = None) -> bool:
        """Store one event, data[i] = samples of channel i; None = no more data. True while the run goes on.

        Blocks while the buffer is full. An event that comes during a pause is not taken.
        """
        if data is None or not self.sink.is_active():
            self.sink.process_buffer()
        elif self.sink.is_paused():
            self.left_out += 1
            self.T_last = time.monotonic()
        else:
            self.event_count += 1
            self._store(data, metadata)
            self.sink.process_buffer()
        return self.sink.is_active()


class rbExport:
    """Hand the events of a buffer to a user's program.

    Calling it gives a generator of ``(data, metadata)``, metadata = array of number, time and dead time; None is the
    end. An event is done when the next one is asked for.
    """

    def __init__(self, source_list: Sources = None, config_dict: Config = None, **rb_info: Any) -> None:
        refuse(rb_info, "write", "observe", user=self)
        self.source = Reader(only(source_list, "source_list", self))

    def __call__(self) -> Iterator[tuple[NDArray[Any], NDArray[np.float64]] | None]:
        """Events as they come, then None."""
        while (data := self.source.get_or_none()) is not None:
            yield data, np.array(self.source.get_metadata())
        yield None


class rbDrain:
    """Read a buffer and throw its events away; a file `message.txt` says so."""

    def __init__(self, source_list: Sources = None, config_dict: Config = None, **rb_info: Any) -> None:
        self.source = Reader(only(source_list, "source_list", self))
        self.filename = (config_dict or {})["directory_prefix"] + "/" + "message.txt"
        Path(self.filename).write_text("No output foreseen to be written by rbDrain()\n", encoding="utf-8")

    def __call__(self) -> None:
        """Read until the end of the data."""
        while self.source.get_or_none() is not None:
            pass


class _Filter:
    """Reads one buffer, asks the user's function, and writes to others."""

    def __init__(
        self,
        source_list: Sources = None,
        sink_list: Sources = None,
        config_dict: Config = None,
        ufunc: Callable[[NDArray[Any]], Any] | None = None,
        **rb_info: Any,
    ) -> None:
        name = type(self).__name__
        if not callable(ufunc):
            raise ValueError(f"{name} needs a function of the data as ufunc, not {ufunc!r}")
        if not sink_list:
            raise ValueError(f"{name} was given no sink_list: assign it buffers to write in RB_assign")
        self.filter = ufunc
        self.reader = Reader(only(source_list, "source_list", self))
        self.writers = [Writer(sink) for sink in sink_list]
        self._fields = [np.dtype(writer.dtype).names for writer in self.writers]

    def __call__(self) -> None:
        """Filter until the end of the data."""
        while (data := self.reader.get_or_none()) is not None:
            answer = self.filter(data)
            if answer is not None:
                self._deliver(data, answer)

    def _deliver(self, data: NDArray[Any], answer: Any) -> None:
        raise NotImplementedError

    def _write(self, sink: int, event: Any) -> None:
        """Write one event, a structured array or a row of it, with the input's metadata; other fields become zero."""
        fields = self._fields[sink]
        given: tuple[str, ...] | None = getattr(getattr(event, "dtype", None), "names", None)
        if given is None and fields is not None:
            raise TypeError(
                f"{type(self).__name__}: for sink {sink} the function gave {type(event).__name__} without field names; "
                f"give a structured array with fields among {', '.join(fields)}"
            )
        unknown = [name for name in given or () if name not in (fields or ())]
        if unknown:
            raise ValueError(
                f"{type(self).__name__}: sink {sink} has no field {unknown[0]!r}; "
                f"it has {', '.join(fields or ('no names',))}"
            )
        writer = self.writers[sink]
        buffer = writer.get_new_buffer()
        if fields is None:
            buffer[:] = event
        else:
            for name in fields:
                buffer[name] = event[name] if name in (given or ()) else 0
        writer.set_metadata(*self.reader.get_metadata())
        writer.process_buffer()


class rbTransfer(_Filter):
    """Filter the events of a buffer, and write what is accepted to one or several buffers.

    `ufunc(data)` answers None = reject; a number = copy the event to sink 0; or a list of structured arrays, one for
    each sink (None = nothing for that one). If there are more sinks than entries, sink 0 gets the event itself and
    the entries go to the sinks after it. Number, time and dead time are handed on unchanged.
    """

    def _deliver(self, data: NDArray[Any], answer: Any) -> None:
        if isinstance(answer, (list, tuple)):
            entries = list(answer)
            if len(entries) < len(self.writers):
                entries.insert(0, data)
            if len(entries) > len(self.writers):
                raise ValueError(f"rbTransfer has {len(self.writers)} sinks, the function gave {len(entries)} entries")
            for sink, entry in enumerate(entries):
                if entry is not None:
                    self._write(sink, entry)
        elif isinstance(answer, (Number, np.generic)) and not isinstance(answer, np.void):
            self._write(0, data)
        else:
            raise TypeError(
                "the function of rbTransfer must give None, a number or a list of structured arrays, "
                f"not {type(answer).__name__}"
            )


class rbProcess(_Filter):
    """Filter the events of a buffer, with any number of output events for each sink.

    `ufunc(data)` answers None = reject, or a list with one entry for each sink: None = nothing, True = the event
    itself, a structured array, or a list of structured arrays = several events. Number, time and dead time are
    handed on unchanged.
    """

    def _deliver(self, data: NDArray[Any], answer: Any) -> None:
        if not isinstance(answer, (list, tuple)) or len(answer) != len(self.writers):
            found = f"{len(answer)} entries" if isinstance(answer, (list, tuple)) else type(answer).__name__
            raise ValueError(f"the function of rbProcess must give a list of {len(self.writers)} entries, not {found}")
        for sink, entry in enumerate(answer):
            for event in entry if isinstance(entry, (list, tuple)) else [entry]:
                if isinstance(event, (bool, np.bool_)):
                    if event:
                        self._write(sink, data)
                elif event is not None:
                    self._write(sink, event)
